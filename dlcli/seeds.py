"""Seeds of all random streams, derived from the config's seed and the stream's purpose."""

import hashlib


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Return the seed of one random stream: 63 bits, a function of its arguments alone.

    Streams of different purposes are independent: drawing more numbers from one (for another
    dropout layer, say) doesn't change another (the order of the rows).

    >>> derive_seed(0, "order", 1) == derive_seed(0, "order", 1)
    True
    >>> derive_seed(0, "order", 1) == derive_seed(0, "order", 2)
    False
    """
    text = ":".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
