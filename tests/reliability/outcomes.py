"""What came of inputs tried at random, one after the other: counted, and what is wrong printed."""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path


def report_outcomes(
    try_inputs: Callable[[int, int, Path], Iterator[object]], arguments: list[str]
) -> int:
    """Try so many inputs of a seed, which are the arguments; return 1 where one is wrong.

    An outcome that is a word is counted; any other says what is wrong, as a dataclass, and is
    printed as JSON on a line of its own.
    """
    num_inputs = int(arguments[0])
    seed = int(arguments[1]) if len(arguments) > 1 else 0
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for outcome in try_inputs(num_inputs, seed, Path(folder)):
            if isinstance(outcome, str):
                counts[outcome] += 1
                continue
            print(json.dumps(vars(outcome)), flush=True)
            counts["wrong"] += 1
    print(dict(counts), file=sys.stderr)
    return 1 if counts["wrong"] else 0
