"""What a network is given and must answer with, by the data."""

from dataclasses import dataclass

from dlcli.columns.base import Embedding


@dataclass(frozen=True)
class Signature:
    """The rows of features are float32 [num_dense + len(embeddings)]: numbers, then codes."""

    num_dense: int
    embeddings: tuple[Embedding, ...]
    shape: tuple[int, ...] | None  # the dense features as one array, where the config says so
    num_classes: int | None  # None for a regression

    @property
    def num_inputs(self) -> int:
        """Numbers a row, as the data room encodes it."""
        return self.num_dense + len(self.embeddings)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape, without the batch, that the first layer gets."""
        width = self.num_dense + sum(embedding.dim for embedding in self.embeddings)
        return self.shape or (width,)
