"""Random numbers of single rows: the same ones wherever, and beside whichever others, a row is.

They are not taken from a generator one after the other, but computed from the row's seed and what
they are for, by SplitMix64 (Steele, Lea and Flood 2014, *Fast splittable pseudorandom number
generators*). Imported where something is drawn.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from dlcli.seeds import derive_seed


def _signed(bits: int) -> int:
    """Return the int64 of the same 64 bits."""
    return bits - 2**64 if bits >= 2**63 else bits


_GAMMA = _signed(0x9E3779B97F4A7C15)
_FIRST, _SECOND = _signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB)


def row_seeds(rows: Tensor, key: Tensor) -> Tensor:
    """Return the seed of each row, int64 as `rows`, by its index in the training set.

    `key` is int64 and has a shape that goes with that of `rows`: it tells epochs and runs apart.
    """
    return _mixed(key + (rows + 1) * _GAMMA)


@dataclass(frozen=True)
class Draws:
    """Numbers of some rows, for one purpose; each is told apart from others by its name."""

    seeds: Tensor  # int64 [rows]
    purpose: tuple[str | int, ...]

    def uniform(self, name: str) -> Tensor:
        """Return a number from 0 to 1 for each row, float32 [rows], below 1."""
        words = _mixed(self.seeds + _salt(*self.purpose, name))
        return _shifted(words, 40).float() * 2.0**-24

    def between(self, name: str, low: float, high: float) -> Tensor:
        """Return a number of a range for each row, float32 [rows]."""
        return low + (high - low) * self.uniform(name)

    def around(self, name: str, middle: float, distance: float) -> Tensor:
        """Return a number at most so far from the middle for each row, float32 [rows]."""
        return self.between(name, middle - distance, middle + distance)

    def happens(self, name: str, probability: float) -> Tensor:
        """Return for which rows something happens, bool [rows]."""
        return self.uniform(name) < probability

    def whole(self, name: str, count: int) -> Tensor:
        """Return one of the numbers from 0 on, `count` of them, for each row, int64 [rows]."""
        return (self.uniform(name) * count).long()

    def beta(self, name: str, alpha: float) -> Tensor:
        """Return a number from 0 to 1 of the distribution Beta(alpha, alpha), float32 [rows].

        By way of Student's t, of 2 alpha degrees of freedom, as Bailey (1994, *Polar generation of
        random variates with the t-distribution*) draws it.
        """
        radius = self.uniform(f"{name} radius").double().clamp(min=2.0**-25)
        angle = self.uniform(f"{name} angle").double() * (2 * torch.pi)
        squared = torch.expm1(-radius.log() / alpha) * angle.cos().square()  # t² / (2 alpha)
        distance = (squared / (1 + squared)).nan_to_num(1.0).sqrt()  # 1 where it overflows
        number: Tensor = ((1 + angle.cos().sign() * distance) / 2).float()
        return number


def _mixed(state: Tensor) -> Tensor:
    """Return int64 whose bits all depend on all bits of the state; products wrap around."""
    state = (state ^ _shifted(state, 30)) * _FIRST
    state = (state ^ _shifted(state, 27)) * _SECOND
    return state ^ _shifted(state, 31)


def _shifted(words: Tensor, count: int) -> Tensor:
    """Shift right, zeros coming in from the left."""
    shifted: Tensor = (words >> count) & (2 ** (64 - count) - 1)
    return shifted


@cache
def _salt(*purpose: str | int) -> int:
    return derive_seed(0, "augment", *purpose)
