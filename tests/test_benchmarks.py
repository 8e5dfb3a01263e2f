"""What the benchmarks make of their measurements."""

from benchmarks.performance import Asked, Figures, ratio, unlike


def figures(*steps: float, accuracy: float = 0.9) -> list[Figures]:
    return [Figures(step, whole=1.0, accuracy=accuracy) for step in steps]


def test_a_ratio_is_taken_within_rounds_and_against_the_fastest() -> None:
    rounds = {
        "dlcli": figures(1.0, 20.0, 3.0),  # the machine was busy in the second round
        "pytorch": figures(2.0, 50.0, 4.0),
        "sklearn": figures(10.0, 10.0, 4.5),
    }
    step = Asked("tiny", "step", ("pytorch", "sklearn", "skorch"), 1.0)
    reached, whose = ratio(rounds, step)
    assert (reached, whose) == (2 / 3, "sklearn")
    assert ratio(rounds, Asked("tiny", "step", ("pytorch",), 1.0))[0] == 0.5


def test_who_learns_less_is_named() -> None:
    rounds = {"pytorch": figures(1.0), "dlcli": figures(1.0, accuracy=0.88),
              "skorch": figures(1.0, accuracy=0.7)}  # fmt: skip
    assert unlike(rounds) == ["skorch"]
