"""The config section `model.ensemble`: several networks that train as one."""

from typing import Annotated, Literal

from pydantic import Field

from dlcli.section import Section

Share = Literal["batch", "mini", "none"]


class EnsembleConfig(Section):
    """Several networks, the members, that train as one and share weights: TabM.

    Gorishniy et al. 2025, arXiv:2410.24210. Members begin at the first dense layer: what comes
    before is computed once. The last dense layer is each member's own. Training minimises the mean
    of the members' losses; predictions are the mean of their probabilities or, for numbers, of
    their outputs.
    """

    members: Annotated[int, Field(ge=2, le=4096)] = Field(32, description="number of networks")
    share: Share = Field(
        "batch",
        description="what members share. `batch`: the matrices of dense layers, for whose inputs "
        "and outputs each member has factors, and biases of its own (BatchEnsemble); `mini`: all "
        "but the last layer, after factors for the inputs of the first; `none`: nothing",
    )
    adapter_init: Literal["random_signs", "normal"] = Field(
        "random_signs",
        description="how each member's factors for the inputs of the first dense layer are drawn, "
        "one for all numbers of a column: 1 or -1, or from the standard normal distribution, which "
        "TabM takes for embedded numbers; all other factors begin at 1",
    )
