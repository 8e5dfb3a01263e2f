"""Whether the tests bite: `python -m tests.reliability.bites`.

Every line that a promise of docs/reference/reliability.md rests on is taken out in turn, in a copy of the
repository. The tests named beside it must fail then, and pass on the copy as it is.
"""

# ruff: noqa: E501 - lines as they stand
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT

# File of dlcli, what stands there, what is put in its place, and the tests that must notice.
_POWER, _CALLS = "tests/test_power_loss.py", "tests/runs/test_system_calls.py"
_STATE, _DAMAGE = "tests/training/test_state.py", "tests/training/test_damage.py"
_RESUME, _ENDS = "tests/runs/test_resume.py", "tests/cli/test_ends.py"
_CHECKPOINT = "tests/training/test_checkpoint.py"
MUTATIONS = [
    ("files.py", "                os.fsync(file.fileno())\n", "", _POWER),
    ("files.py", "        os.fsync(descriptor)\n", "        pass\n", _POWER),
    ("files.py",
     "            temporary.replace(path)\n            if is_durable:\n                _sync_folder(path.parent)\n",
     "            if is_durable:\n                _sync_folder(path.parent)\n            temporary.replace(path)\n", _POWER),
    ("files.py", "            temporary.replace(path)\n",
     "            path.write_bytes(temporary.read_bytes())\n", _CALLS),
    ("files.py", "                _keep(path, keep)\n", "                pass\n", _CALLS),
    ("files.py", "                os.link(path, temporary)\n", "                raise OSError\n", _CALLS),
    ("files.py", 'open("xb")', 'open("wb")', _CHECKPOINT),
    ("files.py", "            partial.unlink(missing_ok=True)\n", "            pass\n", _CALLS),
    ("runs/training/saver.py", "        self._metrics.sync()\n", "", _POWER),
    ("runs/training/saver.py", ", keep=self._folder.previous", "", _RESUME),
    ("runs/folder/lock.py", "            remove_leftovers(folder.path)\n", "", _RESUME),
    ("runs/folder/lock.py", "        with held(folder):\n", "        if True:\n", _RESUME),
    ("runs/folder/lines_file.py", "                os.truncate(self.path, self.num_bytes)\n                raise",
     "                raise", _ENDS),
    ("runs/training/resume.py", "            folder.last.replace(folder.damaged)\n", "", _RESUME),
    ("runs/training/resume.py", "    if config or data:\n", "    if config:\n", _RESUME),
    ("runs/training/resume.py", "    if config or data:\n", "    if data:\n", _RESUME),
    ("runs/training/signals.py", "        handlers[signal.SIGHUP] = signal.SIG_IGN\n", "        pass\n", _ENDS),
    ("training/saving/file.py", "    if digest != raw[DIGEST]:\n", "    if False:\n", _DAMAGE),
    ("training/saving/file.py", "[view[: DIGEST.start], NO_DIGEST, view[DIGEST.stop :]]",
     "[view[DIGEST.stop :]]", _CHECKPOINT),
    ("training/saving/file.py", "start[8 : DIGEST.start] != START", "False", _DAMAGE),
    ("training/saving/state.py", '        torch.set_rng_state(states["cpu"])\n', "        pass\n", _STATE),
    ("training/saving/state.py", "    copy_into(trainer.optimizer.named_state(), state.optimizer)\n", "", _STATE),
    ("training/saving/state.py", "    copy_into(weights, state.weights)\n", "", _STATE),
    ("training/saving/state.py", "        copy_into(best, state.best)\n", "", _STATE),
    ("training/saving/state.py", "    trainer.watch.standing = standing = replace(numbers.standing)\n", "    standing = replace(numbers.standing)\n", _STATE),
    ("training/saving/state.py", "    trainer.schedule.state = numbers.plateau\n", "", _STATE),
    ("training/saving/state.py", "        summed_loss=numbers.summed_loss,\n", "", _STATE),
    ("training/saving/state.py", "        num_steps=numbers.num_steps,\n        num_rows=numbers.num_rows,\n        summed",
     "        num_rows=numbers.num_rows,\n        summed", _STATE),
    ("training/saving/state.py", "    refuse_not_finite(trainer, weights | optimizer)\n", "", _STATE),
    ("training/saving/state.py", "    _refuse_impossible(trainer, numbers)\n", "", _DAMAGE),
    ("training/saving/state.py", '    trainer.optimizer.num_steps = int(trainer.optimizer.state["step"])\n', "", _STATE),
    ("training/saving/state.py", "        trainer.scaler.put_back(numbers.scaler)\n", "        pass\n", _STATE),
    ("training/saving/checkpoint.py", " or not torch.isfinite(tensor).all()", "", _DAMAGE),
    ("training/saving/file.py", "            if size != expected:\n", "            if False:\n", _DAMAGE),
    ("training/loop.py", "        start=epoch.num_steps,\n", "", _STATE),
    ("training/epoch.py", "            if not math.isfinite(loss) or overflow:\n",
     "            if False:\n", _ENDS),
]  # fmt: skip


def main() -> int:
    """Mutate, run, and return 1 where the tests didn't notice."""
    unnoticed = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "dlcli"
        ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__")
        shutil.copytree(ROOT, copy, ignore=ignored)
        for tests in dict.fromkeys(tests for *_, tests in MUTATIONS):
            print(f"as it is: {tests}", flush=True)
            assert _pass(copy, tests), f"{tests} fails on the code as it is"
        for name, before, after, tests in MUTATIONS:
            path = copy / "dlcli" / name
            text = path.read_text("utf-8")
            assert text.count(before) == 1, f"{name}: {before!r} is not there once"
            path.write_text(text.replace(before, after), encoding="utf-8")
            noticed = not _pass(copy, tests)
            path.write_text(text, encoding="utf-8")
            print(
                f"{'noticed' if noticed else 'UNNOTICED'}: {name}: {before.strip()!r}", flush=True
            )
            if not noticed:
                unnoticed.append(name)
    print(f"{len(MUTATIONS)} lines taken out, {len(unnoticed)} unnoticed")
    return int(bool(unnoticed))


def _pass(copy: Path, tests: str) -> bool:
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", tests]
    environment = os.environ | {"PYTHONPATH": str(copy)}  # for the processes that tests start
    outcome = subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False)
    return outcome.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
