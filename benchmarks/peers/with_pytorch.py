"""A loop over a DataLoader, as PyTorch's tutorials write it."""

import torch
from common import Watch, read_spec, read_table, report
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch_model import build

spec, out = read_spec()
x, y, validation_x, validation_y = map(torch.from_numpy, read_table(spec))
pinned = spec.device != "cpu"
train = DataLoader(TensorDataset(x, y), spec.batch_size, shuffle=True, pin_memory=pinned)
validation = DataLoader(TensorDataset(validation_x, validation_y), 1024, pin_memory=pinned)
model = build(spec).to(spec.device)
optimizer = torch.optim.Adam(model.parameters(), lr=spec.lr)


def outputs_of(features):
    if spec.precision != "bf16":
        return model(features)
    with torch.autocast(spec.device.partition(":")[0], torch.bfloat16):
        return model(features)


def loss_of(outputs, targets):
    if spec.num_classes == 2:
        return F.binary_cross_entropy_with_logits(outputs[:, 0].float(), targets.float())
    return F.cross_entropy(outputs.float(), targets)


watch = Watch()
for _ in range(spec.epochs):
    model.train()
    watch.start()
    for batch in train:
        features, targets = (tensor.to(spec.device, non_blocking=True) for tensor in batch)
        optimizer.zero_grad()
        loss_of(outputs_of(features), targets).backward()
        optimizer.step()
    model.eval()
    right, loss = 0, 0.0
    with torch.no_grad():
        for batch in validation:
            features, targets = (tensor.to(spec.device, non_blocking=True) for tensor in batch)
            outputs = outputs_of(features)
            loss += loss_of(outputs, targets).item() * len(targets)
            answers = outputs[:, 0] > 0 if spec.num_classes == 2 else outputs.argmax(1)
            right += (answers == targets).sum().item()
    watch.stop()
torch.save(model.state_dict(), out / "model.pt")
report(watch, len(x), spec, right / len(validation_x))
