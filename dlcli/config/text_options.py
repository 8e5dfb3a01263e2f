"""`--set` where no config can be changed: how the file at hand is written, what is read of it."""

from collections.abc import Sequence
from functools import partial

from pydantic import ValidationError

from dlcli.config.problems import explain
from dlcli.config.sections.data import DataConfig
from dlcli.config.text.overrides import apply_override
from dlcli.config.text.parsing import Document
from dlcli.config.values import read_value
from dlcli.errors import ConfigError, Place
from dlcli.tables.text.text_format import TEXT_KEYS

FILE_KEYS = (*TEXT_KEYS, "sheet", "query")


def names_file_key(override: str) -> bool:
    """Say whether an override is of how files are written, or of what is read of them."""
    return override.partition("=")[0] in {f"data.{name}" for name in FILE_KEYS}


def file_settings(overrides: Sequence[str], *, also: Sequence[str] = ()) -> DataConfig:
    """Return a `data` section with the keys that overrides set, all of how files are read.

    Its path and target stand for none. `also` are other keys of the section that can be set. Raises
    ConfigError for any other key, and for values that can't be used.
    """
    read = partial(read_value, DataConfig)
    document = Document({"path": "-", "target": "-"}, {(): Place("--set")})
    for override in overrides:
        named = override.partition("=")[0].removeprefix("data.")
        if "=" in override and not names_file_key(override) and named not in also:
            known = ", ".join(f"data.{name}" for name in FILE_KEYS)
            more = "".join(f"; and data.{name}" for name in also)
            raise ConfigError(
                f"--set {override}: this command can't change a config; what can be set is how "
                f"the file is read: {known}{more}"
            )
        key = override.removeprefix("data.")
        document = apply_override(document, key, read, f"--set {override}")
    try:
        return DataConfig.model_validate(document.data)
    except ValidationError as error:
        explained = explain(error, document.data, DataConfig)
        problems = (document.problem(path, message) for path, message in explained.items())
        raise ConfigError(*problems) from None
