"""Captured steps, each one CUDA graph, beside eager ones."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.engines import prepared_step
from benchmarks.gpu.work import Work, seconds_a_call
from benchmarks.workloads import write_workload
from dlcli.config import load_config
from dlcli.config.sections.training import Precision
from dlcli.runs.preparation import prepare

_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
_LARGE_BATCH = 8192  # for which a step of *wide* has work enough to be worth a card
_SECONDS = 4.0  # of a row of the table


def lines(work: Work) -> Iterator[str]:
    """Yield the section's lines."""
    yield "One step without what is around it, many on end; the share is that of the captured step."
    yield ""
    yield "| network | batch | precision | eager | captured | times eager | of the matrix rate |"
    yield "|---|---|---|---|---|---|---|"
    workloads = work.workloads()
    if not work.is_small:
        workloads += [replace(one, batch_size=_LARGE_BATCH) for one in workloads[2:3]]
    left_out = []
    for workload in workloads:
        config, _ = write_workload(workload, Path(work.folder))
        prepared = prepare(load_config(config, [f"training.batch_size={workload.batch_size}"]))
        for precision in _PRECISIONS:
            name = f"{workload.name} | {workload.batch_size:,} | {precision}"
            if not work.has_time_for(_SECONDS):
                left_out.append(name.replace(" | ", ", "))
                continue
            steps = {
                engine: prepared_step(prepared, engine, work.device, precision)
                for engine in ("eager", "captured")
            }
            seconds = seconds_a_call(steps, work)
            eager, captured = seconds["eager"], seconds["captured"]
            multiply_adds = prepared.plan.multiply_adds
            share = work.share_of_matrix_rate(multiply_adds, workload.batch_size, captured)
            yield (
                f"| {name} | {eager * 1e6:,.0f} µs | {captured * 1e6:,.0f} µs | "
                f"{captured / eager:.2f} | {share:.2%} |"
            )
    if left_out:
        yield ""
        yield f"Left out, as there was no time: {'; '.join(left_out)}."
