"""Two processes train one network together."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.utils.data import DataLoader, DistributedSampler

import rnn_sine

MACHINES = Path(__file__).with_name("machines.py")


@pytest.mark.skipif(os.name == "nt", reason="torchrun needs libuv, which PyTorch lacks on Windows")
@pytest.mark.skipif(not distributed.is_available() or not distributed.is_gloo_available(), reason="PyTorch has no gloo")
def test_two_processes_train_to_the_weights_of_one_with_whole_batches(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(MACHINES)]
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    weights = torch.load(tmp_path / "weights_0.pt")
    others = torch.load(tmp_path / "weights_1.pt")

    train_data, _ = rnn_sine.generate_data()
    sampler = DistributedSampler(train_data, num_replicas=1, rank=0)  # the same order, in one share
    train_loader = DataLoader(train_data, batch_size=32, sampler=sampler)
    torch.manual_seed(42)
    model = rnn_sine.SimpleRNN(1, 64, 1, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        rnn_sine.train_epoch(model, train_loader, nn.MSELoss(), optimizer, "cpu")
    for name, tensor in model.state_dict().items():
        assert torch.equal(weights[name], others[name])
        torch.testing.assert_close(weights[name], tensor, atol=1e-5, rtol=0)


def test_the_page_shows_lines_of_the_program_in_their_order():
    page = MACHINES.with_name("README.md").read_text(encoding="utf8")
    shown = re.search(r"^```py\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[1]
    shown_lines = [line.strip() for line in shown.splitlines() if line.strip()]
    program_lines = [line.strip() for line in MACHINES.read_text(encoding="utf8").splitlines()]
    assert [line for line in program_lines if line in shown_lines] == shown_lines
