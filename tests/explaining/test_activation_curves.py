import math

import numpy as np
import pytest

from dlcli.explaining.activation_curves import activation_curves
from dlcli.layers.activations import ACTIVATIONS
from dlcli.report.plots.activations import draw_activations


def test_every_function_has_its_values_and_its_slopes() -> None:
    curves = {own.name: own for own in activation_curves()}
    assert tuple(curves) == tuple(ACTIVATIONS)
    for own in curves.values():
        # Away from corners, the slope is what the values' differences say.
        numeric = np.gradient(own.values, own.inputs)
        off = np.abs(numeric - own.slopes) > 0.01
        assert off.sum() <= 6, own.name
    sigmoid = curves["sigmoid"]
    assert np.interp(-2.0, sigmoid.inputs, sigmoid.values) == pytest.approx(1 / (1 + math.e**2))
    assert sigmoid.slopes.max() == pytest.approx(0.25)
    assert curves["softmax"].values == pytest.approx(sigmoid.values)


def test_the_picture_names_them_all() -> None:
    picture = draw_activations(activation_curves())
    assert all(name in picture.svg and name in picture.text for name in tuple(ACTIVATIONS))
