"""`--set` where no config can be changed: how the text file at hand is written."""

from collections.abc import Sequence

from pydantic import ValidationError

from dlcli.config.problems import explain
from dlcli.config.sections.data import DataConfig
from dlcli.config.sections.text_files import TEXT_KEYS
from dlcli.config.text.overrides import apply_override
from dlcli.config.text.parsing import Document
from dlcli.errors import ConfigError, Place


def names_text_key(override: str) -> bool:
    """Say whether an override is of how text files are written."""
    return override.partition("=")[0] in {f"data.{name}" for name in TEXT_KEYS}


def text_settings(overrides: Sequence[str], *, also: Sequence[str] = ()) -> DataConfig:
    """Return a `data` section with the keys that overrides set, all of how text files are written.

    Its path and target stand for none. `also` are other keys of the section that can be set. Raises
    ConfigError for any other key, and for values that can't be used.
    """
    document = Document({"path": "-", "target": "-"}, {(): Place("--set")})
    for override in overrides:
        named = override.partition("=")[0].removeprefix("data.")
        if "=" in override and not names_text_key(override) and named not in also:
            known = ", ".join(f"data.{name}" for name in TEXT_KEYS)
            more = "".join(f"; and data.{name}" for name in also)
            raise ConfigError(
                f"--set {override}: this command can't change a config; what can be set is how "
                f"the file is written: {known}{more}"
            )
        document = apply_override(document, override.removeprefix("data."), f"--set {override}")
    try:
        return DataConfig.model_validate(document.data)
    except ValidationError as error:
        explained = explain(error, document.data, DataConfig)
        problems = (document.problem(path, message) for path, message in explained.items())
        raise ConfigError(*problems) from None
