"""What people read when a config or a data file is wrong, word for word.

`messages/configs.txt` and `messages/data.txt` hold a case after each `###`: what is wrong, then the
file, then, after `=>`, the exit code and the message. A config is completed by the sections that it
leaves out, unless it begins with `!raw`; a data file's bytes that are no text are written as \\xff.
"""

import re
from pathlib import Path

import pytest

from tests.conftest import Command

MESSAGES = Path(__file__).parent / "messages"
TABLE = "a,b,r,y\n" + "".join(
    f"{row % 7},{'rgb'[row % 3]},{row * 0.5},{['no', 'yes'][row * 5 % 7 > 3]}\n"
    for row in range(40)
)
SECTIONS = {
    "data": "data: {path: table.csv, target: y}\n",
    "model": "model: {layers: [{type: dense}]}\n",
}
CONFIG = "data: {path: bad.csv, target: y, split: {test: 0.25}}\nmodel: {layers: [{type: dense}]}\n"


def cases(name: str) -> list[object]:
    blocks = (MESSAGES / name).read_text("utf-8").split("### ")[1:]
    parts = [re.fullmatch(r"(.*)\n((?:.*\n)*?)=> (\d)\n((?:.*\n)+)", block) for block in blocks]
    return [pytest.param(part[2], int(part[3]), part[4], id=part[1]) for part in parts if part]


def completed(text: str) -> str:
    if text.startswith("!raw\n"):
        return text.removeprefix("!raw\n")
    return text + "".join(
        lines for key, lines in SECTIONS.items() if not re.search(f"^{key}:", text, re.MULTILINE)
    )


@pytest.mark.parametrize(("text", "code", "message"), cases("configs.txt"))
def test_a_bad_config(text: str, code: int, message: str, dlcli: Command) -> None:
    Path("table.csv").write_text(TABLE)
    Path("bad.yaml").write_text(completed(text), encoding="utf-8")
    outcome = dlcli("validate", "bad.yaml")
    assert (outcome.code, outcome.out, outcome.err) == (code, "", message)


@pytest.mark.parametrize(("text", "code", "message"), cases("data.txt"))
def test_a_bad_data_file(text: str, code: int, message: str, dlcli: Command) -> None:
    Path("bad.csv").write_bytes(text[:-1].encode().decode("unicode_escape").encode("latin-1"))
    Path("config.yaml").write_text(CONFIG)
    outcome = dlcli("train", "config.yaml", "--run-dir", "run")
    assert (outcome.code, outcome.err) == (code, message)
    assert not Path("run").exists()


@pytest.mark.parametrize(("text", "code", "_"), cases("data.txt"))
def test_a_bad_data_file_is_told_with_the_same_words_where_it_is_streamed(
    text: str, code: int, _: str, dlcli: Command
) -> None:
    Path("bad.csv").write_bytes(text[:-1].encode().decode("unicode_escape").encode("latin-1"))
    Path("config.yaml").write_text(CONFIG)
    # Not by shares: those draw other training rows, whose first bad one may be another.
    same = ("train", "config.yaml", "--run-dir", "run", "--set", "data.split={}", "--set")
    held = dlcli(*same, "data.streaming=false")
    streamed = dlcli(*same, "data.streaming=true")
    assert (streamed.code, streamed.err) == (held.code, held.err)
    assert held.code == code
    assert not Path("run").exists()


def test_the_tables_are_as_long_as_they_should_be() -> None:
    assert len(cases("configs.txt")) >= 60
    assert len(cases("data.txt")) >= 30
