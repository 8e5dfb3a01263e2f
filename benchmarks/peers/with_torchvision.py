"""A DataLoader of torchvision's ImageFolder, as its tutorials write it: images a second.

`python with_torchvision.py FOLDER decoding SIDE BATCH PASSES` decodes and scales alone;
`... training ...` also crops and flips at random, and trains a linear classifier. Prints the
seconds of each pass as JSON.
"""

import json
import sys
import time

import torch

try:
    import torchvision
except RuntimeError:  # its wheel is for torch with CUDA: its operators, which nothing here needs
    operators = torch.library.Library("torchvision", "FRAGMENT")
    operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

NUM_WORKERS = 2


def transforms(side, *, is_training):
    scaled = [v2.Resize(side, antialias=True), v2.CenterCrop(side)]
    if not is_training:
        return v2.Compose([*scaled, v2.PILToTensor()])
    return v2.Compose(
        [
            *scaled,
            v2.RandomHorizontalFlip(),
            v2.RandomCrop(side, padding=side // 8, padding_mode="reflect"),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.25] * 3),
        ]
    )


def main(folder, part, side, batch_size, num_passes):
    torch.manual_seed(0)
    is_training = part == "training"
    images = torchvision.datasets.ImageFolder(folder, transforms(side, is_training=is_training))
    loader = DataLoader(
        images, batch_size, shuffle=is_training, num_workers=NUM_WORKERS, persistent_workers=True
    )
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, len(images.classes)))
    optimizer = torch.optim.Adam(network.parameters())
    seconds = []
    for _ in range(num_passes):
        started = time.perf_counter()
        for batch, labels in loader:
            if is_training:
                optimizer.zero_grad()
                nn.functional.cross_entropy(network(batch), labels).backward()
                optimizer.step()
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"num_images": len(images), "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
