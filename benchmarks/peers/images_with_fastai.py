"""fastai on folders of images: `python images_with_fastai.py FOLDER OUT SIDE BATCH EPOCHS LR`.

FOLDER has the folders `train` and `validation`, each with a folder for each class. Prints the
accuracy on the validation images as JSON.
"""

import json
import sys
from pathlib import Path

import torch

try:
    import torchvision  # noqa: F401 - fastai needs it
except RuntimeError:  # its wheel is for torch with CUDA: its operators, which nothing here needs
    operators = torch.library.Library("torchvision", "FRAGMENT")
    operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from fastai.callback.schedule import *  # noqa: F403 - as its users do: fit_one_cycle
from fastai.vision.all import (
    CrossEntropyLossFlat,
    ImageDataLoaders,
    Learner,
    Resize,
    ResizeMethod,
    accuracy,
    aug_transforms,
    nn,
)


def network(num_classes):
    layers, before = [], 3
    for place, channels in enumerate((24, 48, 96, 192, 192)):
        stride = 1 if place else 2
        convolution = nn.Conv2d(before, channels, 3, stride=stride, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] * (place in (1, 2, 3))
        before = channels
    pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, *pooled, nn.Linear(before, num_classes))


def main(folder, out, side, batch_size, epochs, lr):
    loaders = ImageDataLoaders.from_folder(
        Path(folder),
        train="train",
        valid="validation",
        seed=0,
        item_tfms=Resize(side, method=ResizeMethod.Squish),
        batch_tfms=aug_transforms(
            do_flip=False, max_rotate=15, min_zoom=0.85, max_zoom=1.15, max_lighting=0.2, max_warp=0
        ),
        bs=batch_size,
        num_workers=2,
    )
    loss = CrossEntropyLossFlat(label_smoothing=0.1)
    learner = Learner(loaders, network(loaders.c), loss_func=loss, metrics=accuracy, wd=0.05)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs, lr)
        _, reached = learner.validate()
    learner.export(Path(out).resolve() / "learner.pkl")
    print(json.dumps({"accuracy": float(reached)}))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:6]), float(sys.argv[6]))
