"""DistributedDataParallel, as PyTorch's tutorials write it: run by torchrun, gloo between CPUs."""

import torch
import torch.distributed as dist
from common import Watch, read_spec, read_table, report
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
from torch_model import build

dist.init_process_group("gloo")
torch.set_num_threads(1)
spec, _ = read_spec()
x, y, *_ = map(torch.from_numpy, read_table(spec))
rows = TensorDataset(x, y)
sampler = DistributedSampler(rows)
train = DataLoader(rows, spec.batch_size // dist.get_world_size(), sampler=sampler)
model = DistributedDataParallel(build(spec))
optimizer = torch.optim.Adam(model.parameters(), lr=spec.lr)

watch = Watch()
for epoch in range(spec.epochs):
    sampler.set_epoch(epoch)
    model.train()
    watch.start()
    for features, targets in train:
        optimizer.zero_grad()
        F.cross_entropy(model(features), targets).backward()
        optimizer.step()
    watch.stop()
if dist.get_rank() == 0:
    report(watch, len(x), spec, 0.0)
dist.destroy_process_group()
