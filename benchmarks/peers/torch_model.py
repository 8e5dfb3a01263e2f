"""The network as PyTorch modules."""

from torch import nn


def build(spec):
    """Return the network, which gives logits [rows, classes]; for two classes one, [rows, 1]."""
    outputs = 1 if spec.num_classes == 2 else spec.num_classes
    if spec.image_side:
        flat = 64 * (spec.image_side // 2) ** 2
        return nn.Sequential(
            nn.Unflatten(1, (1, spec.image_side, spec.image_side)),
            nn.Conv2d(1, 32, 3, padding="same"),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding="same"),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(flat, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, outputs),
        )
    layers, width = [], spec.num_features
    for units in spec.units:
        layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(spec.dropout)]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, outputs))
