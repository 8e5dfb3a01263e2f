"""A loop over a DataLoader, with PyTorch's layers for sequences."""

import math
from functools import partial

import torch
from common import Watch, read_spec, read_table, report
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

spec, out = read_spec()
shape = (spec.num_channels, spec.length)
x, y, validation_x, validation_y = map(torch.from_numpy, read_table(spec))
x, validation_x = (rows.view(-1, *shape).transpose(1, 2) for rows in (x, validation_x))


class Transformer(nn.Module):
    """[batch, length, channels] to logits."""

    def __init__(self, *, dim, heads, layers, hidden, dropout):
        super().__init__()
        self.project = nn.Linear(spec.num_channels, dim)
        layer = nn.TransformerEncoderLayer(dim, heads, hidden, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers)
        self.output = nn.Linear(dim, spec.num_classes)
        places = torch.arange(spec.length)[:, None]
        angles = places * torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000) / dim))
        waves = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
        self.register_buffer("positions", waves)

    def forward(self, x):
        return self.output(self.encoder(self.project(x) + self.positions).mean(dim=1))


class Recurrent(nn.Module):
    """[batch, length, channels] to logits of the last state."""

    def __init__(self, kind, units):
        super().__init__()
        self.recurrent = kind(spec.num_channels, units, batch_first=True)
        self.output = nn.Linear(units, spec.num_classes)

    def forward(self, x):
        return self.output(self.recurrent(x)[0][:, -1])


NETWORKS = {
    "transformer": Transformer,
    "lstm": partial(Recurrent, nn.LSTM),
    "gru": partial(Recurrent, nn.GRU),
}

train = DataLoader(TensorDataset(x, y), spec.batch_size, shuffle=True)
validation = DataLoader(TensorDataset(validation_x, validation_y), 1024)
model = NETWORKS[spec.name](**spec.settings)
optimizer = torch.optim.Adam(model.parameters(), lr=spec.lr)
watch = Watch()
for _ in range(spec.epochs):
    model.train()
    watch.start()
    for signals, labels in train:
        optimizer.zero_grad()
        F.cross_entropy(model(signals), labels).backward()
        optimizer.step()
    model.eval()
    right, loss = 0, 0.0
    with torch.no_grad():
        for signals, labels in validation:
            outputs = model(signals)
            loss += F.cross_entropy(outputs, labels).item() * len(labels)
            right += (outputs.argmax(1) == labels).sum().item()
    watch.stop()
torch.save(model.state_dict(), out / "model.pt")
report(watch, len(x), spec, right / len(validation_x))
