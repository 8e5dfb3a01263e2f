"""Files that are no checkpoints, made to hurt: `python -m tests.reliability.hostile FOLDER`.

Each stands where a checkpoint should, and is used to `restore` a network and to `resume` a run.
What came of it goes to standard output as JSON; tests/training/test_damage.py judges it. Most are
signed: their SHA-256 is right.
"""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import pickle
import random
import re
import resource
import shlex
import shutil
import struct
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch
import yaml

from dlcli.config import load_config
from dlcli.errors import DlcliError
from dlcli.runs.folder.run_folder import RunFolder
from dlcli.runs.preparation import Prepared, prepare
from dlcli.runs.restore import restore
from dlcli.runs.training.resume import restore_trainer
from dlcli.runs.training.run import build_trainer
from dlcli.runs.training.train import train
from dlcli.training.device import choose_placement
from dlcli.training.saving.file import DIGEST, NO_DIGEST

Stored = tuple[str, list[int], bytes]  # a tensor: dtype, shape, data


# Checkpoints taken apart and put together


@dataclass(frozen=True)
class Parts:
    """A checkpoint as one can write it without dlcli, its digest right."""

    about: dict[str, Any]  # the metadata
    tensors: dict[str, Stored]

    @classmethod
    def of(cls, path: Path) -> "Parts":
        raw = path.read_bytes()
        end = 8 + int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8:end])
        about = json.loads(header.pop("__metadata__")["dlcli"])
        tensors = {}
        for name, entry in header.items():
            start, stop = entry["data_offsets"]
            tensors[name] = (entry["dtype"], entry["shape"], raw[end + start : end + stop])
        return cls(about, tensors)

    def edited(self, changes: dict[str, Any]) -> "Parts":
        """Return it with metadata replaced: keys and indices joined by dots → value or ABSENT."""
        about = deepcopy(self.about)
        for path, value in changes.items():
            *keys, last = [int(key) if key.isdecimal() else key for key in path.split(".")]
            inside: Any = about
            for key in keys:
                inside = inside[key]
            if value is ABSENT:
                del inside[last]
            else:
                inside[last] = value
        return replace(self, about=about)

    def stored(self, changes: dict[str, Stored | None]) -> "Parts":
        """Return it with tensors added, replaced or, by None, left out."""
        tensors = {**self.tensors, **changes}
        return replace(self, tensors={k: stored for k, stored in tensors.items() if stored})

    def file(self, entries: dict[str, Any] | None = None, tail: str = "") -> bytes:
        """Put it together; entries of the header can be replaced, and text added at its end."""
        text = json.dumps(self.about | {"sha256": NO_DIGEST.decode()}, separators=(",", ":"))
        for mark, raw in RAW.items():
            text = text.replace(f'"{mark}"', raw)
        return from_text(text, self.tensors, entries or {}, tail)


ABSENT = object()
RAW = {  # what json.dumps doesn't write
    "@5000 digits": "1" * 5000,
    "@1e999": "1e999",
    "@deep lists": "[" * 100_000 + "]" * 100_000,
    "@deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "@half a surrogate": '"\\ud800"',
}


def from_text(
    text: str, tensors: dict[str, Stored], entries: dict[str, Any] | None = None, tail: str = ""
) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"dlcli": text}}
    data = b""
    for name, (dtype, shape, stored) in tensors.items():
        place = [len(data), len(data) + len(stored)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": place}
        data += stored
    written = json.dumps(header | (entries or {}), separators=(",", ":"))
    return from_header((written[:-1] + tail + "}").encode(), data)


def from_header(header: bytes, data: bytes = b"") -> bytes:
    header += b" " * (-len(header) % 8)
    return signed(len(header).to_bytes(8, "little") + header + data)


def signed(raw: bytes) -> bytes:
    """Return a file's bytes with the digest that they must have."""
    blank = raw[: DIGEST.start] + NO_DIGEST + raw[DIGEST.stop :]
    digest = hashlib.sha256(blank).hexdigest().encode()
    return raw[: DIGEST.start] + digest + raw[DIGEST.stop :]


def numbers(code: str, *values: float) -> bytes:
    return struct.pack(f"<{len(values)}{code}", *values)


# The sound runs


def begin_run(folder: Path, **sections: Any) -> None:
    """Train a small run in `folder/r`."""
    folder.mkdir()
    rows = "".join(f"{i},{i * 7 % 11},c{i % 12},{'ny'[i % 2]}\n" for i in range(60))
    (folder / "table.csv").write_text(f"a,b,colour,label\n{rows}")
    config = {
        "data": {
            "path": "table.csv",
            "target": "label",
            "features": ["a", "b"],
            "split": {"validation": 0.2, "test": 0.2},
        },
        "model": {"layers": [{"type": "dense"}]},
        "training": {"epochs": 1, "batch_size": 16, "device": "cpu"},
        **sections,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    for _ in train(read_run(folder), run_dir=folder / "r"):
        pass


def read_run(folder: Path) -> Prepared:
    return prepare(load_config(folder / "config.yaml"))


def begin_runs(folder: Path) -> None:
    """Train `small`, and `half` in half precision with more to remember."""
    begin_run(folder / "small")
    data = {"path": "table.csv", "target": "label", "split": {"validation": 0.2}}
    layers = [{"type": "dense", "units": 2}, {"type": "batch_norm"}, {"type": "dense"}]
    begin_run(
        folder / "half",
        data=data,
        model={"layers": layers},
        training={"epochs": 1, "batch_size": 16, "device": "cpu", "precision": "fp16"},
    )


# Hostile files


@dataclass(frozen=True)
class Case:
    """Something hostile, in the place of a checkpoint."""

    name: str
    content: bytes | Callable[[Path], object]  # of the file, or what puts something in its place
    run: Literal["small", "half"] = "small"  # that it is a checkpoint of
    resume_codes: tuple[int, ...] = (4,)
    of_state: bool = False  # its network is sound, and may be used


class Payload:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def payloads(marker: Path) -> dict[str, Payload]:
    """Return several ways to make a file or folder."""
    code = f"open({str(marker)!r}, 'w').close()"
    return {
        "mkdir": Payload(os.mkdir, str(marker)),
        "exec": Payload(exec, code),
        "eval": Payload(eval, code),
        "system": Payload(os.system, f"touch {shlex.quote(str(marker))}"),
        "touch": Payload(Path.touch, marker),
    }


def pickled(markers: Path) -> Iterator[Case]:
    """Yield pickles, each of which makes a marker of its name."""
    for how in payloads(markers):

        def payload(form: str, how: str = how) -> Payload:
            return payloads(markers / f"{form} {how}")[how]

        for form, is_zip in (("zip", True), ("legacy", False)):
            saved = io.BytesIO()
            content = {"weight": torch.zeros(2), "more": payload(form)}
            torch.save(content, saved, _use_new_zipfile_serialization=is_zip)
            yield Case(f"{form} {how}", saved.getvalue())
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            form = f"pickle {protocol}"
            yield Case(f"{form} {how}", pickle.dumps(payload(form), protocol))


def pickled_in_disguise(markers: Path, sound: Parts, last: bytes) -> Iterator[Case]:
    """Yield pickles inside of other things."""

    def payload(name: str) -> Payload:
        return payloads(markers / name)["mkdir"]

    for name, save in (("npy", np.save), ("npz", np.savez)):
        saved = io.BytesIO()
        save(saved, np.array([payload(name)], dtype=object))
        yield Case(name, saved.getvalue())
    saved = io.BytesIO()
    torch.save(payload("after"), saved)
    packed = pickle.dumps(payload("inside"))
    yield Case("gzip", gzip.compress(packed, mtime=0))
    yield Case("after a start", last[: DIGEST.stop] + packed)
    yield Case("before a checkpoint", packed + last)
    yield Case("a zip after a checkpoint", last + saved.getvalue())
    yield Case("a zip after a checkpoint, signed", signed(last + saved.getvalue()))
    stored: Stored = ("U8", [len(packed)], packed)
    yield Case("as a weight", sound.stored({"0_dense.weight": stored}).file())
    yield Case("as another tensor", sound.stored({"data.pkl": stored}).file())
    whole: Stored = ("U8", [5056], packed.ljust(5056, b"."))
    random_state = sound.stored({"random/cpu": whole})
    yield Case("as a random state", random_state.file(), of_state=True)
    yield Case("as metadata", sound.edited({"torch": [packed.decode("latin-1")]}).file())


def sizes(last: bytes) -> Iterator[Case]:
    """Yield declared sizes of a header that are none."""
    size = int.from_bytes(last[:8], "little")
    small = (0, 1, 7, 8, size - 8, size - 1, size + 1, size + 8)
    large = (len(last) - 8, len(last) - 7, len(last), 100_000_001, 2**31, 2**32, 2**62)
    for declared in (*small, *large, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1):
        raw = declared.to_bytes(8, "little") + last[8:]
        yield Case(f"{declared}", raw)
        yield Case(f"{declared}, signed", signed(raw))
        yield Case(f"{declared}, short", raw[:200])


def foreign(sound: Parts) -> Iterator[Case]:
    """Yield what the safetensors library writes for other programs."""
    tensors = {"0_dense.bias": torch.zeros(1), "0_dense.weight": torch.zeros(1, 2)}
    metadata: dict[str, dict[str, str] | None] = {
        "no metadata": None,
        "empty metadata": {},
        "PyTorch's metadata": {"format": "pt"},
        "an empty entry": {"dlcli": ""},
        "another's entry": {"dlcli": "hello"},
        "an old checkpoint": {"dlcli": json.dumps(sound.about | {"format": 1})},
        "unsigned metadata": {"dlcli": json.dumps(sound.about, separators=(",", ":"))},
        "a key like a tensor": {"0_dense.bias": "x"},
    }
    for name, entries in metadata.items():
        yield Case(name, safetensors.torch.save(tensors, entries))
    yield Case("no tensors", safetensors.torch.save({}, {"dlcli": "{}"}))


def texts() -> Iterator[Case]:
    """Yield metadata that is hardly any, in foreign files and, where it begins right, signed."""
    bodies = {
        "cut": "{", "null": "null", "list": "[]", "number": "5", "text": '"x"', "NaN": "NaN",
        "empty object": "{}", "lists": RAW["@deep lists"], "objects": RAW["@deep objects"],
        "digits": RAW["@5000 digits"], "infinity": "-Infinity", "control": '"\x01"', "NUL": "\0",
    }  # fmt: skip
    entry = ("F32", [1], numbers("f", 1.0))
    for name, body in bodies.items():
        saved = safetensors.torch.save({"w": torch.zeros(1)}, {"dlcli": body})
        yield Case(f"{name}, foreign", saved)
        text = f'{{"sha256":"{NO_DIGEST.decode()}","format":3,"dlcli":{body}}}'
        yield Case(f"{name}, inside", from_text(text, {"w": entry}))
        after = f'{{"sha256":"{NO_DIGEST.decode()}"}}{body}'
        yield Case(f"{name}, after", from_text(after, {"w": entry}))


def headers(sound: Parts) -> Iterator[Case]:
    """Yield signed headers whose tensors or JSON can't be."""
    bias = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    sources: dict[str, dict[str, Any]] = {
        "overlapping": bias | {"data_offsets": [4, 8]},
        "a hole": bias | {"data_offsets": [0, 0], "shape": [0]},
        "negative offsets": bias | {"data_offsets": [-4, 0]},
        "reversed": bias | {"data_offsets": [4, 0]},
        "out of range": bias | {"data_offsets": [0, 2**40]},
        "far out of range": bias | {"data_offsets": [2**64 - 4, 2**64 - 1]},
        "too large for 64 bits": bias | {"data_offsets": [0, 2**64]},
        "three offsets": bias | {"data_offsets": [0, 4, 8]},
        "offsets of text": bias | {"data_offsets": "04"},
        "fractions": bias | {"data_offsets": [0, 4.0]},
        "a shape of another size": bias | {"shape": [2]},
        "a negative shape": bias | {"shape": [-1]},
        "a huge shape": bias | {"shape": [2**40]},
        "a shape that overflows": bias | {"shape": [2**32, 2**32]},
        "a shape of fractions": bias | {"shape": [1.0]},
        "no such dtype": bias | {"dtype": "OBJECT"},
        "a dtype of nothing": bias | {"dtype": None},
        "no dtype": {"shape": [1], "data_offsets": [0, 4]},
    }
    for name, source in sources.items():
        yield Case(name, sound.file({"0_dense.bias": source}))
    for name, value in (("number", 5), ("list", []), ("null", None), ("text", "x")):
        yield Case(f"a tensor that is a {name}", sound.file({"0_dense.bias": value}))
    twice = ',"0_dense.bias":' + json.dumps(bias | {"data_offsets": [4, 8]})
    yield Case("a tensor twice", sound.file(tail=twice))
    for name in ("@deep lists", "@deep objects", "@5000 digits"):
        yield Case(f"{name[1:]} in the header", sound.file(tail=f',"x":{RAW[name]}'))
    for name, tail in (
        ("number", ',"__metadata__":7'),
        ("null", ',"__metadata__":null'),
        ("list", ',"__metadata__":[]'),
        ("empty object", ',"__metadata__":{}'),
        ("object without text", ',"__metadata__":{"dlcli":{}}'),
    ):
        yield Case(f"metadata again, a {name}", sound.file(tail=tail))
    whole = sound.file()
    size = int.from_bytes(whole[:8], "little")
    header, data = whole[8 : 8 + size], whole[8 + size :]
    yield Case("half a header", from_header(header[: size // 2]))
    yield Case("no UTF-8", from_header(header.rstrip()[:-1] + b',"\xff":1}', data))
    yield Case("more after the header", from_header(header.rstrip() + b"{}", data))
    yield Case("no data", from_header(header))
    yield Case("data cut", from_header(header, data[:-1]))
    yield Case("data and more", from_header(header, data + b"\0"))
    empty: dict[str, list[int]] = {
        "empty, as wide as can be": [0, 2**64 - 1],
        "empty, of strides that overflow": [0, 2**63 - 1, 2**63 - 1],
        "empty, of more than 64 axes": [0] * 1000,
    }
    for name, shape in empty.items():
        yield Case(name, sound.stored({"0_dense.extra": ("F32", shape, b"")}).file())


METADATA: dict[str, tuple[Any, ...]] = {  # values that nothing of it can have
    "sha256": (ABSENT,),
    "format": (ABSENT, None, "2", 2.5, -1, 1, 2, 99, True, [], 2**70, 10**4000, "@5000 digits"),
    "dlcli": (ABSENT, None, 5, "@half a surrogate"),
    "torch": (ABSENT, None, 5),
    "unknown": (1,),
    "config": (ABSENT, None, [], {}, "x", "@deep lists", "@deep objects"),
    "config.unknown": (1,),
    "config.name": (ABSENT, "", "../../x", "x" * 101, 5),
    "config.seed": (None, -1, 2**63, 1.5, "@5000 digits"),
    "config.data": (ABSENT, None, []),
    "config.data.unknown": ("x",),
    "config.data.path": (ABSENT, "", 5),
    "config.data.features": ([], [1], ["a", "a"], ["label"], "a"),
    "config.data.kinds": ({"a": "evil"}, []),
    "config.data.split": ({"validation": 2.0}, {"test": float("nan")}, None),
    "config.model": (ABSENT, None, {"layers": []}, {"layers": {}}, {"layers": [[]]}),
    "config.model.layers.0.type": (ABSENT, "lambda", None, 5),
    "config.model.layers.0.units": (0, -1, 1.5, "1", True, 10**7, 2**64, float("nan")),
    "config.model.layers.0.unknown": (1,),
    "config.model.layers.0.activation": ("eval", 5),
    "config.model.layers.0.initial": ({}, {"weight": [[10**400, 1]]}, {"bias": [10**39]},
                                      {"bias": [float("nan")]}, {"bias": ["@1e999"]},
                                      {"bias": ["x"]}, {"weight": [[1], [1, 2]]}),
    "config.optimizer": (None, [], {"type": "evil"}, {"lr": 1.0}, {"type": "adam", "evil": 1}),
    "config.optimizer.lr": (0.0, -1.0, float("nan"), float("inf"), "@1e999", "1", True, None),
    "config.optimizer.betas": ([0.9], [0.9, 2.0], 5),
    "config.schedule": (None, {"type": "evil"}, {"type": "step"}),
    "config.loss": ({"type": "evil"}, 5),
    "config.training.batch_size": (0, -1, "half", 10**10),
    "config.training.epochs": (0, -1, 1.5, float("nan"), 10**10),
    "config.training.precision": ("fp1", 16),
    "config.training.device": ("cuda:-1", "; rm -rf /"),
    "config.checkpoint": ({"every_steps": -1}, {"unknown": 1}),
    "fitted": (ABSENT, None, {}, []),
    "fitted.unknown": (1,),
    "fitted.columns": ([], {}, [{}], [{"kind": "evil"}]),
    "fitted.columns.0.center": (float("nan"), float("inf"), "1", None),
    "fitted.columns.0.indicator": (1, "true"),
    "fitted.columns.0.unknown": (1,),
    "fitted.target": (None, {}, {"kind": "evil"}),
    "fitted.target.classes": (["n"], [1, 2], ["n", "n"], ["n", "y", "z"], None),
    "fitted.target.label_type": ("evil",),
    "fitted.shape": ([], [0], [-1], [2**70], ["2"], [1.5], [1, 1, 1, 1, 2], [1, 2]),
    "fitted.separator": (5, "", "ab", "é"),
    "checksums": (ABSENT, None, [], {"evil": "x"}, {"path": 5}),
    "epoch": (ABSENT, None, "1", 1.5, float("nan"), True, -1, 2**70, "@5000 digits"),
    "numbers": (ABSENT, [], {}, "@deep lists"),
    "numbers.unknown": (1,),
    "numbers.epoch": (0, -1, "2", 1.5, float("nan"), None, 10**10),
    "numbers.num_steps": (-1, "0", 1.0, 2**64),
    "numbers.num_rows": (-1, None, 2**64),
    "numbers.summed_loss": (float("nan"), float("-inf"), "0", None),
    "numbers.seconds": (-1.0, float("inf"), "0"),
    "numbers.last": ("x", {}),
    "numbers.last.step": (0, -1, "1"),
    "numbers.last.lr": (float("nan"), None),
    "numbers.last.norms": (None, ["x"], [float("inf")] * 2),
    "numbers.standing": (None, [], {"unknown": 1}),
    "numbers.standing.best": (float("nan"), "x"),
    "numbers.standing.num_waited": (None, 1.5),
    "numbers.plateau": (None, {"unknown": 1}),
    "numbers.plateau.factor": (float("nan"), "1", None),
    "numbers.scaler": ([], {"scale": "x"}, {"scale": float("inf")}),
    "numbers.best_epoch": (0, -1, "1"),
    "run": (ABSENT, [], {}, "x"),
    "run.seconds": (-1.0, float("nan"), "x"),
    "run.metrics_bytes": ("x", 1.5, None),
    "run.surroundings": (None, [], {"dlcli": 5}),
}  # fmt: skip

POSITIONS: tuple[dict[str, Any], ...] = (  # that no run of one epoch, now over, comes to
    {"numbers.epoch": 1},
    {"numbers.epoch": 3},
    {"numbers.epoch": 10**9},
    {"numbers.num_steps": 1},
    {"numbers.num_rows": 5},
    {"numbers.num_steps": 10**9, "numbers.num_rows": 5},
    {"numbers.epoch": 1, "numbers.num_steps": 1, "numbers.num_rows": 10**9},
    {"numbers.last": None},
    {"numbers.last.step": 1},
    {"numbers.last.step": 10**9},
    {"numbers.last.norms": []},
    {"numbers.last.norms": [1.0] * 3},
    {"numbers.best_epoch": None},
    {"numbers.best_epoch": 2},
    {"numbers.best_epoch": 10**9},
    {"numbers.standing.best_epoch": -1},
    {"numbers.standing.best_epoch": 10**9},
    {"numbers.standing.num_waited": -1},
    {"numbers.plateau.factor": -1.0},
    {"numbers.plateau.num_bad_epochs": -1},
    {"numbers.plateau.cooldown_left": -1},
    {"numbers": None},
    {"run": None},
    {"run.metrics_bytes": -1},
)


def metadata(sound: Parts) -> Iterator[Case]:
    """Yield signed metadata with one wrong value."""
    for path, values in METADATA.items():
        for index, value in enumerate(values):
            shown = "absent" if value is ABSENT else f"{index}: {value!s:.20}"
            yield Case(f"{path} {shown}", sound.edited({path: value}).file())


def positions(sound: Parts, half: Parts) -> Iterator[Case]:
    """Yield signed metadata of right types that is none of this run."""
    for changes in POSITIONS:
        yield Case(f"{changes}", sound.edited(changes).file(), of_state=True)
    scaler = half.about["numbers"]["scaler"]
    for name, other in (
        ("of another", {"x": 1.0}),
        ("empty", {}),
        ("without its scale", {key: value for key, value in scaler.items() if key != "scale"}),
        ("negative", scaler | {"scale": -1.0}),
        ("zero", scaler | {"scale": 0.0}),
    ):
        changed = half.edited({"numbers.scaler": other})
        yield Case(f"scaler {name}", changed.file(), "half", of_state=True)


def misfits(sound: Parts) -> Iterator[Case]:
    """Yield signed metadata that is right, part by part, and doesn't fit together."""
    number = {"kind": "number", "name": "label", "center": 0.0, "scale": 1.0}
    smooth = {"class_weights": None, "label_smoothing": 0.0}
    cross_entropy = {"type": "cross_entropy", **smooth}
    dense, kept = {"type": "dense"}, sound.about["config"]["model"]["layers"]
    convolution = {"type": "conv1d", "out_channels": 10**6, "kernel_size": 1, "padding": 10**6}
    residual: dict[str, Any] = {"type": "dense", "units": 2}
    for _ in range(60):
        residual = {"type": "residual", "layers": [residual]}
    layers: dict[str, list[dict[str, Any]]] = {
        "a network of 4 TB": [dense | {"units": 10**6}] * 2 + [dense],
        "a network of 1.6 GB": [dense | {"units": 20_000}] * 2 + [dense],
        "a network of 40 MB": [dense | {"units": 3000}] * 2 + [dense],
        "a convolution of 8 TB": [{"type": "reshape", "shape": [1, 2]}, convolution,
                                  {"type": "flatten"}, dense],
        "a shape of 10^18": [{"type": "reshape", "shape": [10**6] * 3}, dense],
        "20,000 layers": [dense | {"units": 1}] * 20_000,
        "60 residuals in each other": [residual, dense],
        "no units": [dense, dense],
        "more layers than weights": [*kept, *kept],
        "no layer with weights": [{"type": "flatten"}],
    }  # fmt: skip
    for name, some in layers.items():
        changed = sound.edited({"config.model.layers": some})
        yield Case(name, changed.file(), resume_codes=(2, 4))
    losses: dict[str, Any] = {"no loss": None, "numbers' loss": {"type": "mse"},
                              "another loss": cross_entropy}  # fmt: skip
    for name, loss in losses.items():
        yield Case(name, sound.edited({"config.loss": loss}).file(), resume_codes=(2, 4))
    numeric = {"fitted.target": number}
    yield Case("classes' loss", sound.edited(numeric).file())
    both = sound.edited({**numeric, "config.loss": cross_entropy})
    yield Case("classes' other loss", both.file(), resume_codes=(2, 4))
    for width in (1, 6):
        weight: Stored = ("F32", [1, width], numbers("f", *[1.0] * width))
        wide = sound.edited({"fitted.shape": [width]}).stored({"0_dense.weight": weight})
        yield Case(f"a shape of {width} for two columns", wide.file())
    columns = sound.about["fitted"]["columns"]
    embedded = {"kind": "categorical", "name": "c", "categories": ["x"], "has_missing": False}
    for dim in (-5, 0, 10**12, 10**30):
        more = [*columns, embedded | {"embedding_dim": dim}]
        yield Case(f"embedding_dim {dim}", sound.edited({"fitted.columns": more}).file())


def weights(sound: Parts, half: Parts) -> Iterator[Case]:
    """Yield signed tensors that the network doesn't have."""
    name = "0_dense.weight"
    nan, inf = float("nan"), float("inf")
    changed: dict[str, dict[str, Stored | None]] = {
        "no weight": {name: None},
        "no weights": {name: None, "0_dense.bias": None},
        "another number of inputs": {name: ("F32", [1, 3], numbers("f", 1, 2, 3))},
        "another number of units": {name: ("F32", [2, 2], numbers("f", 1, 2, 3, 4))},
        "transposed": {name: ("F32", [2, 1], numbers("f", 1, 2))},
        "flat": {name: ("F32", [2], numbers("f", 1, 2))},
        "an axis more": {name: ("F32", [1, 1, 2], numbers("f", 1, 2))},
        "a scalar": {name: ("F32", [], numbers("f", 1))},
        "empty": {name: ("F32", [0, 2], b"")},
        "F64": {name: ("F64", [1, 2], numbers("d", 1, 2))},
        "F16": {name: ("F16", [1, 2], numbers("e", 1, 2))},
        "BF16": {name: ("BF16", [1, 2], bytes(4))},
        "I32": {name: ("I32", [1, 2], numbers("i", 1, 2))},
        "I64": {name: ("I64", [1, 2], numbers("q", 1, 2))},
        "U8": {name: ("U8", [1, 2], b"\1\2")},
        "BOOL of neither": {name: ("BOOL", [1, 2], b"\2\3")},
        "C64": {name: ("C64", [1, 2], numbers("f", 1, 2, 3, 4))},
        "F8": {name: ("F8_E4M3", [1, 2], b"\1\2")},
        "F8 without a mantissa": {name: ("F8_E8M0", [1, 2], b"\1\2")},
        "F4": {name: ("F4", [1, 2], b"\1")},
        "F6": {name: ("F6_E2M3", [1, 4], b"\1\2\3")},
        "NaN": {name: ("F32", [1, 2], numbers("f", 1, nan))},
        "infinity": {name: ("F32", [1, 2], numbers("f", inf, 1))},
        "a bias of NaN": {"0_dense.bias": ("F32", [1], numbers("f", nan))},
    }
    for what, changes in changed.items():
        yield Case(what, sound.stored(changes).file())
    one: Stored = ("F32", [1], numbers("f", 1))
    for odd in (
        "", "/", "x/", "../../x", "/etc/passwd", "best", "0_dense", "0_dense.", ".weight",
        "0_dense.weight.x", "_extra_state", "0_dense._extra_state", "__class__", "nul\0", "\n",
        "0_dense.WEIGHT", "module.0_dense.weight", "bеst/x", "random//../best/x/../../y/",
    ):  # fmt: skip
        group = odd.split("/")[0]
        yield Case(f"a tensor {odd!r}", sound.stored({odd: one}).file(), of_state=group == "random")
    count = "1_batch_norm.num_batches_tracked"
    for what, stored in (
        ("of an axis", ("I64", [1], numbers("q", 1))),
        ("empty", ("I64", [0], b"")),
        ("of floats", ("F32", [], numbers("f", 1))),
    ):
        yield Case(f"a count {what}", half.stored({count: stored}).file(), "half")
    table = half.tensors["columns.tables.0.weight"]
    other: Stored = (table[0], [table[1][0] * table[1][1]], table[2])
    yield Case("flat embeddings", half.stored({"columns.tables.0.weight": other}).file(), "half")


def states(sound: Parts) -> Iterator[Case]:
    """Yield signed tensors that the state of the run doesn't have."""
    best, mean = "best/0_dense.weight", "optimizer/0_dense.weight/exp_avg"
    step = "optimizer/0_dense.weight/step"
    nan = float("nan")
    state = sound.tensors["random/cpu"][2]
    left, seeded, index = 8, 12, 16  # where they stand in it

    def rewritten(place: int, *values: int) -> Stored:
        """Return the random state with 32-bit numbers replaced."""
        written = numbers("i", *values)
        return ("U8", [5056], state[:place] + written + state[place + len(written) :])

    one: Stored = ("F32", [1], numbers("f", 1))
    changed: dict[str, dict[str, Stored | None]] = {
        "no best": {best: None},
        "best transposed": {best: ("F32", [2, 1], numbers("f", 1, 2))},
        "best in F64": {best: ("F64", [1, 2], numbers("d", 1, 2))},
        "best of NaN": {best: ("F32", [1, 2], numbers("f", 1, nan))},
        "best//x": {"best//x": one},
        "best/": {"best/": one},
        "best/../../x": {"best/../../x": one},
        "optimizer/": {"optimizer/": one},
        "optimizer of another": {"optimizer/9_dense.weight/exp_avg": one},
        "optimizer of another kind": {"optimizer/0_dense.bias/momentum_buffer": one},
        "no mean": {mean: None},
        "no optimizer": {name: None for name in sound.tensors if name.startswith("optimizer")},
        "mean flat": {mean: ("F32", [2], numbers("f", 1, 2))},
        "mean in F16": {mean: ("F16", [1, 2], numbers("e", 1, 2))},
        "mean of NaN": {mean: ("F32", [1, 2], numbers("f", 1, nan))},
        "step in I64": {step: ("I64", [], numbers("q", 3))},
        "step of NaN": {step: ("F32", [], numbers("f", nan))},
        "no random state": {"random/cpu": None},
        "random state of zeros": {"random/cpu": ("U8", [5056], bytes(5056))},
        "random state of ones": {"random/cpu": ("U8", [5056], b"\xff" * 5056)},
        "random state of garbage": {"random/cpu": ("U8", [5056], random.Random(1).randbytes(5056))},
        "random state cut": {"random/cpu": ("U8", [5055], bytes(5055))},
        "random state empty": {"random/cpu": ("U8", [0], b"")},
        "random state of a megabyte": {"random/cpu": ("U8", [2**20], bytes(2**20))},
        "random state in F32": {"random/cpu": ("F32", [1264], state)},
        "random state in I8": {"random/cpu": ("I8", [5056], state)},
        "random state in two rows": {"random/cpu": ("U8", [2, 2528], state)},
        "random state used up": {"random/cpu": rewritten(left, 0)},
        "random state of too much": {"random/cpu": rewritten(left, 625)},
        "random state without a seed": {"random/cpu": rewritten(seeded, 0)},
        "random state beyond its end": {"random/cpu": rewritten(index, 625)},
        "random state of no device": {"random/tpu": ("U8", [4], bytes(4))},
    }
    for what, changes in changed.items():
        yield Case(what, sound.stored(changes).file(), of_state=True)


def large(sound: Parts, last: bytes) -> Iterator[Case]:
    """Yield what takes much memory or time, if one lets it."""
    many = {f"k{index}": 1 for index in range(25_000)}
    changed: dict[str, dict[str, Any]] = {
        "50,000 names that are none": {"config.data.features": [1] * 50_000},
        "25,000 unknown keys": {"config.unknown": 1, "config": sound.about["config"] | many},
        "25,000 checksums": {"checksums": many},
        "100,000 norms that are none": {"numbers.last.norms": [""] * 100_000},
        "20,000 layers of no type": {"config.model.layers": [{}] * 20_000},
        "a key of a megabyte": {"x" * 2**20: 1},
        "a version of a megabyte": {"format": 1, "dlcli": "x" * 2**20},
        "a shape of 100,000 axes": {"fitted.shape": [10**6] * 100_000},
    }
    for name, changes in changed.items():
        yield Case(name, sound.edited(changes).file())
    nothing: Stored = ("F32", [0], b"")
    tensors = {f"t{index}": nothing for index in range(10_000)}
    yield Case("10,000 empty tensors", sound.stored({**tensors}).file())

    def extended(content: bytes) -> Callable[[Path], None]:
        def write(path: Path) -> None:
            path.write_bytes(content)
            os.truncate(path, 2**30)

        return write

    yield Case("a GiB of nothing", extended(b""))
    yield Case("a GiB after a checkpoint", extended(last))
    yield Case("a megabyte of zeros", bytes(2**20))
    yield Case("a megabyte of ones", b"\xff" * 2**20)
    yield Case("a megabyte at random", random.Random(2).randbytes(2**20))


def formats() -> Iterator[Case]:
    """Yield files of other kinds."""
    text = b"a,b\n1,2\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("last.safetensors", text)
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        entry = tarfile.TarInfo("../../etc/passwd")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    arrays = {"npy": io.BytesIO(), "npz": io.BytesIO()}
    np.save(arrays["npy"], np.zeros(3))
    np.savez(arrays["npz"], weights=np.zeros(3))
    contents = {
        "zip": archive.getvalue(), "tar": tarred.getvalue(), "gzip": gzip.compress(text, mtime=0),
        "bzip2": bz2.compress(text), "xz": lzma.compress(text),
        "npy": arrays["npy"].getvalue(), "npz": arrays["npz"].getvalue(),
        "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(1000), "JPEG": b"\xff\xd8\xff\xe0JFIF",
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(1000), "ELF": b"\x7fELF\2\1\1" + bytes(1000),
        "PE": b"MZ\x90\0" + bytes(1000), "Parquet": b"PAR1" + bytes(1000) + b"PAR1",
        "SQLite": b"SQLite format 3\0" + bytes(1000), "GGUF": b"GGUF\3\0\0\0" + bytes(1000),
        "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "WebAssembly": b"\0asm\1\0\0\0" + bytes(100),
        "protocol buffers": b"\x08\x07\x12\x07pytorch" + bytes(100), "Java": b"\xca\xfe\xba\xbe",
        "empty": b"", "a byte": b"\0", "seven bytes": bytes(7), "eight bytes": bytes(8),
        "text": b"hello, hello\n" * 20, "CSV": text * 50, "HTML": b"<!DOCTYPE html><title>404",
        "JSON": json.dumps({"__metadata__": {"dlcli": "{}"}}).encode(), "a lone {": b"{" * 300,
        "YAML": b"!!python/object/apply:os.system ['true']\n" * 5,
        "UTF-16": "hello".encode("utf-16"),
        "a script": b"#!/bin/sh\nexit 0\n", "Git LFS": b"version https://git-lfs.github.com/spec/v1\n",
    }  # fmt: skip
    for name, content in contents.items():
        yield Case(name, content)


def no_files() -> Iterator[Case]:
    """Yield what is no file at all."""

    def folder(path: Path) -> None:
        path.mkdir()
        (path / "last.safetensors").write_bytes(b"x")

    def link(target: str) -> Callable[[Path], None]:
        return lambda path: path.symlink_to(target)

    yield Case("a folder", folder)
    yield Case("a link to nothing", link("nowhere"))
    yield Case("a link to itself", link("last.safetensors"))
    yield Case("a link to a folder", link("."))
    yield Case("a link to endless zeros", link("/dev/zero"))
    yield Case("a link to an empty device", link("/dev/null"))
    yield Case("a link to a text", link("config.yaml"))
    yield Case("a pipe that nobody writes to", os.mkfifo)


def hostile(runs: Path, markers: Path) -> dict[str, list[Case]]:
    """Return all of them, by what they are."""
    path = runs / "small" / "r" / "last.safetensors"
    sound, last = Parts.of(path), path.read_bytes()
    half = Parts.of(runs / "half" / "r" / "last.safetensors")
    groups = {
        "pickled": pickled(markers),
        "pickled in disguise": pickled_in_disguise(markers, sound, last),
        "sizes": sizes(last),
        "foreign": foreign(sound),
        "texts": texts(),
        "headers": headers(sound),
        "metadata": metadata(sound),
        "positions": positions(sound, half),
        "misfits": misfits(sound),
        "weights": weights(sound, half),
        "states": states(sound),
        "large": large(sound, last),
        "formats": formats(),
        "no files": no_files(),
    }
    return {name: list(cases) for name, cases in groups.items()}


SIGNED = ("headers", "metadata", "positions", "misfits", "weights", "states")


# Using them


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    group: str
    name: str
    use: str  # restore or resume
    is_of_state: bool
    codes: list[int]  # that it may end with
    code: int  # 0: it was accepted; 1: a bug
    message: str
    seconds: float  # of the processor
    megabytes: float  # at its peak, more than before


def main(folder: Path) -> None:
    """Use all of them."""
    # A file may not make dlcli take the machine's memory; what it does take is measured.
    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, 8 * 2**30))
    begin_runs(folder)
    markers = folder / "markers"
    markers.mkdir()
    prepared = {name: read_run(folder / name) for name in ("small", "half")}
    outcomes = [
        asdict(outcome)
        for group, cases in hostile(folder, markers).items()
        for case in cases
        for outcome in _use(group, case, folder / case.run, prepared[case.run])
    ]
    executed = [path.name for path in markers.iterdir()]
    print(json.dumps({"outcomes": outcomes, "executed": executed}))


def _use(group: str, case: Case, begun: Path, prepared: Prepared) -> Iterator[Outcome]:
    place = begun / "used"
    shutil.copytree(begun / "r", place)
    folder = RunFolder(place)
    folder.last.unlink()
    folder.previous.unlink(missing_ok=True)
    if isinstance(case.content, bytes):
        folder.last.write_bytes(case.content)
    else:
        case.content(folder.last)
    trainer = build_trainer(prepared, choose_placement("cpu", prepared.config.training.precision))
    for use, codes in (("restore", (4,)), ("resume", case.resume_codes)):
        code, message = 0, ""
        resident, begun_at = _begin_peak(), time.process_time()
        try:
            if use == "restore":
                restore(folder.last)
            else:
                assert restore_trainer(folder, prepared, trainer), "it has a last"
        except DlcliError as error:
            code, message = error.exit_code, str(error)
        except BaseException as error:  # a test tells of it
            code, message = 1, f"{type(error).__name__}: {error}"
        yield Outcome(
            group=group,
            name=case.name,
            use=use,
            is_of_state=case.of_state,
            codes=list(codes),
            code=code,
            message=message[:2000],
            seconds=time.process_time() - begun_at,
            megabytes=(_peak() - resident) / 2**10,
        )
    shutil.rmtree(place)


def _begin_peak() -> int:
    """Forget the most memory that this process has had, and return what it has now, in KiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, "Linux tells"
    return int(found[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
