"""Embeddings of tokens: a learned vector for each code."""

from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from dlcli.layers.base import FirstInput, Layer, PlannedLayer, Shape, ShapeError, TensorAxes, Traits
from dlcli.section import Size

if TYPE_CHECKING:
    from torch import nn


@final
class TokenEmbedding(Layer):
    """A learned vector for each token: codes `[length]` to `[dim, length]`."""

    type: Literal["embedding"]
    dim: Size = Field(description="numbers that stand for a token")

    traits: ClassVar[Traits] = Traits(
        keeps_positions=False,
        passes_input_on=False,
        has_filters=False,
        row_mixing=None,
        at_end="each",
        stacking_obstacle=None,
        recording_obstacle=None,
    )

    @property
    def takes_columns(self) -> bool:
        """Yes: how many codes there are is known of a column."""
        return True

    def plan(self, shape: Shape) -> PlannedLayer:
        """Refuse it: without the column, nothing says how many codes there are."""
        del shape
        raise ShapeError(
            "must be the first layer of a network, or of one of its inputs (model.inputs): it "
            "looks up the tokens of a column"
        )

    def plan_columns(self, given: FirstInput) -> PlannedLayer:
        """Give each code a vector, that of the padding zeros."""
        if given.num_codes is None:
            raise ShapeError(
                f"expects the tokens of a column, got the numbers {list(given.shape)}; leave it "
                "out, or embed the numeric columns of a table with {type: numeric_embedding}"
            )
        return PlannedLayer(
            self,
            given.shape,
            (self.dim, *given.shape),
            num_parameters=given.num_codes * self.dim,
            multiply_adds=0,
            num_kept=given.shape[0] * self.dim,
            num_codes=given.num_codes,
        )

    def tensors(self, planned: PlannedLayer) -> dict[str, TensorAxes]:
        """Return the vectors."""
        assert planned.num_codes is not None, "it was planned for tokens"
        return {"weight": TensorAxes((planned.num_codes, self.dim), outputs=1)}

    def build(self, planned: PlannedLayer) -> "nn.Module":
        """Build nn.Embedding, with channels first."""
        from dlcli.layers.embedding.modules import TokenVectors

        assert planned.num_codes is not None, "it was planned for tokens"
        return TokenVectors(planned.num_codes, self.dim)
