"""Numbers are short, and never a bound that they don't reach."""

import math

import pytest

from dlcli.numbers import error_text, fixed_text, number_text, percent_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((1.0, "1"), (0.9996, "0.9996"), (0.99996, "0.99996"), (1.00001, "1.00001")),
        *((1.0 - 1e-12, "1"), (-0.99999, "-0.99999"), (0.0, "0"), (12345.6, "12350")),
    ],
)
def test_a_figure_that_is_not_1_is_not_written_as_1(value: float, text: str) -> None:
    assert number_text(value, 4) == text


@pytest.mark.parametrize(
    ("share", "percent", "fixed"),
    [
        *((1.0, "100%", "1.000"), (0.9996, "99.96%", "0.9996"), (0.0, "0%", "0.000")),
        *((0.00004, "0.004%", "0.00004"), (0.5, "50%", "0.500")),
    ],
)
def test_shares_are_all_or_none_only_where_they_are(share: float, percent: str, fixed: str) -> None:
    assert percent_text(share) == percent
    assert fixed_text(share) == fixed


def test_what_is_no_number_ends() -> None:
    assert [number_text(math.nan), percent_text(math.nan), fixed_text(math.inf)] == [
        *("nan", "–", "inf")
    ]


def test_what_only_rounding_adds_is_no_error() -> None:
    assert error_text(0.9855, 1.1e-16) == "0.9855 ± 0"
    assert error_text(0.9855, 0.0123) == "0.9855 ± 0.012"
    assert error_text(0.0, 0.0) == "0 ± 0"
