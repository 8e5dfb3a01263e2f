"""Several inputs."""

from dlcli.runs.combinations.rule import Facts, Found, refused, reported

_DENSE = {"type": "dense", "units": 4, "activation": "relu"}
_LAST = {"type": "dense"}


def _shaped_inputs(facts: Facts) -> Found:
    shape = facts.config.data.shape
    if shape is not None and facts.config.model.inputs is not None:
        yield (
            ("data", "shape"),
            "gives the one input of a network its shape, and there are others (model.inputs): "
            "leave it out, and begin the layers of an input with "
            f"{{type: reshape, shape: {list(shape)}}}",
        )


def _lone_inputs(facts: Facts) -> Found:
    model = facts.config.model
    if len(model.inputs or ()) == 1 and facts.says("model", "combine"):
        yield ("model", "combine"), "has no effect: there is a single input (model.inputs)"


RULES = (
    refused(
        *("model.combine", "model.inputs"),
        when="there are no `inputs`",
        effect="there is nothing to join",
        example={"model": {"combine": "sum", "layers": [_DENSE, _LAST]}},
    ),
    reported(
        *("model.combine", "model.inputs: of one column, or table"),
        when="there is a single input",
        effect="there is nothing to join",
        example={
            "model": {
                "inputs": {"table": {"layers": [_DENSE]}},
                "combine": "concat",
                "layers": [_LAST],
            }
        },
        find=_lone_inputs,
    ),
    refused(
        *("data.shape", "model.inputs"),
        when="both are given",
        effect="it isn't said which input has the shape",
        example={
            "data": {"shape": [1, 2]},
            "model": {"inputs": {"table": {"layers": [_DENSE]}}, "layers": [_LAST]},
        },
        find=_shaped_inputs,
    ),
)
