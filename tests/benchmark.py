"""Measure what the script costs beside a plain program, in some four minutes: python tests/benchmark.py

A figure is a ratio, both sides in turn: median [range]. The whole script trains one network more.
"""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"  # pyplot reads it when it is imported
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import matplotlib.pyplot as plt
import numpy as np
import torch
from reference import plain_data, plain_loop, predict
from torch import nn
from torch.utils.data import DataLoader

import rnn_sine


def plain_program():
    """Train, predict, draw one chart: what the script is compared with."""
    hidden_layer, output_layer, _ = plain_loop()
    inputs, targets = plain_data()
    predictions = predict(hidden_layer, output_layer, inputs[800:])
    plt.plot(torch.cat([targets[800:850], predictions[:50].detach()], dim=1))
    plt.savefig("plain.png")


def cost(command, folder):
    """Run a program to its end in `folder`: wall seconds, CPU seconds, peak memory."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable] + command, stdout=subprocess.DEVNULL, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def seconds_of(function, *arguments, **settings):
    """How long a call takes; what it prints is thrown away."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        function(*arguments, **settings)
    return time.perf_counter() - start


def train(epochs):
    """The article's training through `train_model`, which measures no test losses."""
    train_data, _ = rnn_sine.generate_data()
    model = rnn_sine.SimpleRNN(1, 64, 1, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    train_loader = DataLoader(train_data, batch_size=32, shuffle=True)
    rnn_sine.train_model(model, train_loader, nn.MSELoss(), optimizer, "cpu", epochs)


def train_and_test(epochs, n_samples=1000, seq_length=20, batch_size=32):
    """The same through `train_with_adam`, which measures the test loss after every epoch."""
    train_data, test_data = rnn_sine.generate_data(n_samples, seq_length)
    model = rnn_sine.SimpleRNN(1, 64, 1, 1)
    rnn_sine.train_with_adam(model, train_data, test_data, epochs, batch_size=batch_size)


def print_spread(name, values):
    print(f"{name}: {np.median(values):.2f} [{min(values):.2f} to {max(values):.2f}]", flush=True)


def compare_trainings():
    """Print the ratios of our training to the plain loop's, and how the training's time grows."""
    for function in (train, train_and_test):
        ratios = []
        for _ in range(9):
            seconds = seconds_of(function, 20)
            ratios.append(seconds / seconds_of(plain_loop, epochs=20))
        print_spread(f"{function.__name__} / plain loop", ratios)
    for name, more in (("a window of 200 / of 20", (10, 1000, 200)), ("10,000 samples / 1,000", (10, 10_000)),
                       ("a batch of 256 / of 32", (10, 1000, 20, 256))):
        print_spread(f"training time, {name}", [seconds_of(train_and_test, *more) / seconds_of(train_and_test, 10)
                                                for _ in range(3)])


def compare_programs(folder):
    """Print the ratios of the whole programs, each in a process of its own."""
    ours = [rnn_sine.__file__, "--no-show", "--device", "cpu"]
    ratios = [np.divide(cost(ours, folder), cost([__file__, "plain"], folder)) for _ in range(5)]
    for name, values in zip(("wall seconds", "CPU seconds", "peak memory"), np.transpose(ratios)):
        print_spread(f"whole script / plain program, {name}", values)


if __name__ == "__main__":
    if sys.argv[1:] == ["plain"]:
        plain_program()
    elif hasattr(os, "wait4"):
        torch.set_num_threads(1)
        compare_trainings()
        with tempfile.TemporaryDirectory() as folder:
            compare_programs(folder)
    else:
        print("The benchmark needs os.wait4, which Windows does not have.")
