"""A loop over a DataLoader, as PyTorch's tutorials write it."""

import torch
from common import Watch, read_spec, read_table, report
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch_model import build

spec, out = read_spec()
x, y, validation_x, validation_y = map(torch.from_numpy, read_table(spec))
train = DataLoader(TensorDataset(x, y), batch_size=spec.batch_size, shuffle=True)
validation = DataLoader(TensorDataset(validation_x, validation_y), batch_size=1024)
model = build(spec)
optimizer = torch.optim.Adam(model.parameters(), lr=spec.lr)


def loss_of(outputs, targets):
    if spec.num_classes == 2:
        return F.binary_cross_entropy_with_logits(outputs[:, 0], targets.float())
    return F.cross_entropy(outputs, targets)


watch = Watch()
for _ in range(spec.epochs):
    model.train()
    watch.start()
    for features, targets in train:
        optimizer.zero_grad()
        loss_of(model(features), targets).backward()
        optimizer.step()
    model.eval()
    right, loss = 0, 0.0
    with torch.no_grad():
        for features, targets in validation:
            outputs = model(features)
            loss += loss_of(outputs, targets).item() * len(targets)
            answers = outputs[:, 0] > 0 if spec.num_classes == 2 else outputs.argmax(1)
            right += (answers == targets).sum().item()
    watch.stop()
torch.save(model.state_dict(), out / "model.pt")
report(watch, len(x), spec, right / len(validation_x))
