"""Train the article's RNN in several processes, here in two on one machine, with Linux or a Mac:

    python -m torch.distributed.run --standalone --nproc-per-node=2 tests/machines.py

Each process computes the gradient of its share of a batch, and PyTorch averages the gradients before each step. So all
processes have the same weights, those that one process would have got from the whole batches. Each process saves its
own, as weights_0.pt and weights_1.pt. With graphics cards, write "nccl" for "gloo", and give each process its device.
"""

import sys
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rnn_sine import SimpleRNN, generate_data, train_epoch

distributed.init_process_group("gloo")
train_data, _ = generate_data()
sampler = DistributedSampler(train_data)  # the share of this process, in an order that all know
train_loader = DataLoader(train_data, batch_size=16, sampler=sampler)  # two times 16 samples are a batch
torch.manual_seed(42)
model = DistributedDataParallel(SimpleRNN(1, 64, 1, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
for epoch in range(3):
    sampler.set_epoch(epoch)  # another order in each epoch
    train_epoch(model, train_loader, nn.MSELoss(), optimizer, "cpu")
torch.save(model.module.state_dict(), f"weights_{distributed.get_rank()}.pt")
distributed.destroy_process_group()
