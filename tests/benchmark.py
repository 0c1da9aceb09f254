"""Measure what the script costs beside a plain program, in some two minutes: python tests/benchmark.py

A figure is a ratio, both sides in turn: median [range]. The script trains one network more.
"""

import os
import subprocess
import sys
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def plain_loop(seed=42, n_samples=1000, seq_length=20, noise=0.0, batch_size=32, hidden_size=64, num_layers=1,
               learning_rate=0.001, epochs=100, schedule="constant", max_grad_norm=None):
    """Train as a tutorial does; returns (rnn, fc, losses, seconds, inputs and targets of the test)."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    series = np.sin(np.linspace(0, 10 * np.pi, n_samples + seq_length))
    series = series + np.random.normal(0, noise, len(series))
    windows = np.array([series[i : i + seq_length] for i in range(n_samples)])
    inputs = torch.tensor(windows, dtype=torch.float32).unsqueeze(-1)
    targets = torch.tensor(series[seq_length:], dtype=torch.float32).unsqueeze(-1)
    n_train = int(0.8 * n_samples)
    loader = DataLoader(TensorDataset(inputs[:n_train], targets[:n_train]), batch_size, shuffle=True)
    rnn = nn.RNN(1, hidden_size, num_layers, batch_first=True)
    fc = nn.Linear(hidden_size, 1)
    parameters = list(rnn.parameters()) + list(fc.parameters())
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    if schedule == "onecycle":
        steps = epochs * len(loader)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps, cycle_momentum=False)
    losses = []
    start = time.perf_counter()
    for _ in range(epochs):
        total = 0.0
        for x, y in loader:
            output, _ = rnn(x, torch.zeros(num_layers, len(x), hidden_size))
            loss = nn.functional.mse_loss(fc(output[:, -1, :]), y)
            optimizer.zero_grad()
            loss.backward()
            if max_grad_norm:
                nn.utils.clip_grad_norm_(parameters, max_grad_norm)
            optimizer.step()
            if schedule == "onecycle":
                cycle.step()
            total += loss.item()
        losses.append(total / len(loader))
    return rnn, fc, losses, time.perf_counter() - start, inputs[n_train:], targets[n_train:]


def cost(command, folder):
    """Run a program to its end in `folder`: wall seconds, CPU seconds, peak memory."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable] + command, stdout=subprocess.DEVNULL, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def print_spread(name, values):
    print(f"{name}: {np.median(values):.2f} [{min(values):.2f} to {max(values):.2f}]")


def compare_costs(folder):
    """Print the ratios of the RNN's training and of the whole programs."""
    from experiments import rnn_sine, train

    ratios = []
    for _ in range(7):
        train_data, _ = rnn_sine.generate_data()
        start = time.perf_counter()
        train(rnn_sine.SimpleRNN(1, 64, 1, 1), train_data, "--epochs 20")
        seconds = time.perf_counter() - start
        ratios.append(seconds / plain_loop(epochs=20)[3])
    print_spread("training of the RNN / plain loop", ratios)
    ours = [rnn_sine.__file__, "--no-show", "--device", "cpu"]
    ratios = [np.divide(cost(ours, folder), cost([__file__, "plain"], folder)) for _ in range(5)]
    for name, values in zip(("wall seconds", "CPU seconds", "peak memory"), np.transpose(ratios)):
        print_spread(f"whole script / plain program, {name}", values)


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "Agg"
    if sys.argv[1:] == ["plain"]:  # train, predict, draw one chart: what the script is compared with
        rnn, fc, _, _, inputs, targets = plain_loop()
        predictions = fc(rnn(inputs)[0][:, -1])
        plt.plot(torch.cat([targets[:50], predictions[:50].detach()], dim=1))
        plt.savefig("plain.png")
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare_costs(folder)
