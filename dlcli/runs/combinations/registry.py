"""All rules, what they find in a config, and the page that lists them."""

import json
from collections.abc import Iterator

from dlcli.config.text.parsing import format_path
from dlcli.errors import Problem
from dlcli.runs.combinations import data, inputs, parts, schedules, training
from dlcli.runs.combinations.rule import Facts, Rule

RULES: tuple[Rule, ...] = (
    *schedules.RULES,
    *training.RULES,
    *parts.RULES,
    *inputs.RULES,
    *data.RULES,
)

_HEADER = """# Settings that undo each other

Made by `dlcli schema --combinations`. A combination in which one setting undoes another, never acts
or acts twice is refused where no rows could make it act, with the setting and what to change; where
it trains all the same, `validate` and `train` report it.

| settings | when | what happens | | such as |
|---|---|---|---|---|"""


def refused_combinations(facts: Facts) -> Iterator[Problem]:
    """Yield the problems of what is refused."""
    for rule in RULES:
        if rule.is_refused and rule.find is not None and _is_sound(rule, facts):
            for path, message in rule.find(facts):
                yield facts.loaded.problem(path, message)


def reported_combinations(facts: Facts) -> Iterator[str]:
    """Yield what is reported, each with its setting."""
    found = (
        f"{format_path(path)}: {message}"
        for rule in RULES
        if not rule.is_refused and rule.find is not None
        for path, message in rule.find(facts)
    )
    yield from dict.fromkeys(found)


def combinations_page() -> str:
    """Return the table of all rules, in Markdown."""
    return "\n".join([_HEADER, *map(_row, RULES)])


def _is_sound(rule: Rule, facts: Facts) -> bool:
    """Say whether the sections that a rule looks at are valid, and no placeholders."""
    return not rule.sections & facts.loaded.doubtful


def _row(rule: Rule) -> str:
    keys = ", ".join(f"`{key}`" for key in rule.keys)
    severity = "refused" if rule.is_refused else "reported"
    example = "; ".join(f"`{key}: {_flow(value)}`" for key, value in rule.example.items())
    return f"| {keys} | {rule.when} | {rule.effect} | {severity} | {example} |"


def _flow(value: object) -> str:
    """Write a value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and value.replace("_", "").replace(".", "").isalnum():
        return value
    return json.dumps(value)
