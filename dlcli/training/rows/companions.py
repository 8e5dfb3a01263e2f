"""What travels with rows that are augmented: the seed of each row's draws, and a partner.

Both are functions of the run's seed, the epoch and the row's index in the training set. They are
fields like any others, so that they go wherever a row goes: into batches, shards and stacks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dlcli.augmentations.base import Augmentation
from dlcli.augmentations.computing.draws import row_seeds
from dlcli.seeds import derive_seed

Companions = Literal["nothing", "seeds", "partners"]  # each with those before it


def companions_of(augmentations: Sequence[Augmentation]) -> Companions:
    """Return what augmentations need beside each row."""
    if any(one.mixes for one in augmentations):
        return "partners"
    return "seeds" if augmentations else "nothing"


@dataclass(frozen=True)
class EpochCompanions:
    """Those of an epoch of a run, or of several runs side by side."""

    key: Tensor  # int64 [], or [runs, 1]: it tells epochs and runs apart
    partners: Tensor | None = None  # int64 [rows], or [runs, rows]: the partner of each row

    @classmethod
    def of(
        cls,
        companions: Companions,
        num_rows: int,
        seeds: int | Sequence[int],
        epoch: int,
        device: torch.device,
    ) -> "EpochCompanions | None":
        """Return those of a run's seed, or of several seeds; None where there are none."""
        if companions == "nothing":
            return None
        each = [seeds] if isinstance(seeds, int) else seeds
        key = torch.tensor([[derive_seed(seed, "augment", epoch)] for seed in each], device=device)
        partners = None
        if companions == "partners":
            drawn = [_partners(num_rows, seed, epoch) for seed in each]
            partners = torch.stack(drawn).to(device)
        if isinstance(seeds, int):
            return cls(key[0, 0], None if partners is None else partners[0])
        return cls(key, partners)

    def seeds_of(self, numbers: Tensor) -> Tensor:
        """Return the seeds of rows by their indices, int64 of the same shape."""
        return row_seeds(numbers, self.key)


def _partners(num_rows: int, seed: int, epoch: int) -> Tensor:
    """Return the partner of each row, int64 [rows]: every row is that of one."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "partners", epoch))
    return torch.randperm(num_rows, generator=generator)
