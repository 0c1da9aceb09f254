"""Measure what the script costs beside a plain program, and how the cost grows.

    python tests/benchmark.py

Every figure is a ratio from this one run, with both sides in turn: median [smallest to largest].
The plain program trains one network, the script two, and tests five predictors.
"""

import contextlib
import io
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SCRIPT = Path(__file__).resolve().parent.parent / "rnn_sine.py"
sys.path.insert(0, str(SCRIPT.parent))

import rnn_sine


def plain_loop(seed=42, n_samples=1000, seq_length=20, noise=0.0, batch_size=32, hidden_size=64, num_layers=1,
               learning_rate=0.001, epochs=100, schedule="constant", max_grad_norm=None):
    """Train as a tutorial does, on the CPU, without a line of the script.

    Returns (rnn, fc, losses, seconds of training, inputs and targets of the test).
    """
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
                norm = math.sqrt(sum((parameter.grad**2).sum().item() for parameter in parameters))
                for parameter in parameters:
                    parameter.grad *= min(1, max_grad_norm / norm)
            optimizer.step()
            if schedule == "onecycle":
                cycle.step()
            total += loss.item()
        losses.append(total / len(loader))
    return rnn, fc, losses, time.perf_counter() - start, inputs[n_train:], targets[n_train:]


def script_loop(flags):
    """Train the RNN as the script does with `flags`: (model, seconds of training, test data)."""
    args = rnn_sine.make_parser().parse_args(flags.split() + ["--device", "cpu"])
    torch.manual_seed(args.seed)
    train_data, test_data = rnn_sine.generate_data(args.n_samples, args.seq_length)
    model = rnn_sine.SimpleRNN(1, args.hidden_size, args.num_layers, 1)
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        rnn_sine.train_as_told(model, train_data, args.epochs, args)
    return model, time.perf_counter() - start, test_data


def spread(values, form=".2f"):
    """Median, smallest and largest."""
    return f"{statistics.median(values):{form}}  [{min(values):{form}} to {max(values):{form}}]"


def training_loop():
    """Compare the training of the RNN alone, and its weights."""
    ratios = []
    for _ in range(7):
        model, ours, _ = script_loop("--epochs 20")
        rnn, fc, _, theirs, _, _ = plain_loop(epochs=20)
        ratios.append(ours / theirs)
    pairs = zip(model.parameters(), list(rnn.parameters()) + list(fc.parameters()))
    equal = all(torch.equal(ours, theirs) for ours, theirs in pairs)
    print(f"training of the RNN / plain loop: {spread(ratios)}")
    print(f"  final weights equal, bit for bit: {equal}")


def recipe():
    """Compare the time to the article's accuracy, and count the seeds that reach it."""
    flags = "--seq-length 10 --hidden-size 32 --schedule onecycle --learning-rate 0.02 --max-grad-norm 0.1 --epochs 18"
    errors = []
    ratios = []
    for seed in range(200, 210):
        model, ours, test_data = script_loop(f"{flags} --seed {seed}")
        results = rnn_sine.compare({"RNN": model}, test_data, 32, "cpu")
        errors.append(results["test_mse"]["RNN"])
        if len(ratios) < 3:
            ratios.append(ours / plain_loop()[3])
    print(f"{flags}")
    print(f"  seconds of training / plain loop of 100 epochs: {spread(ratios)}")
    print(f"  test MSE of seeds 200 to 209: {spread(errors, '.1e')}")
    print(f"  below the article's 3.74e-6: {sum(error < 3.74e-6 for error in errors)} of 10")


def plain_program(picture):
    """Train, predict, draw one chart: what `whole_programs` compares the script with."""
    rnn, fc, _, _, inputs, targets = plain_loop()
    with torch.no_grad():
        predictions = fc(rnn(inputs)[0][:, -1])
    plt.figure(figsize=(10, 6))
    plt.plot(targets[:50], label="actual")
    plt.plot(predictions[:50], label="predicted")
    plt.legend()
    plt.savefig(picture)


def measure(command):
    """Run a process to its end: wall seconds, CPU seconds, peak memory."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable] + command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def whole_programs():
    """Compare the script with the plain program, each as a process of its own, on the CPU."""
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(5):
            ours = measure([str(SCRIPT), "--no-show", "--device", "cpu", "--output", f"{folder}/a.png"])
            theirs = measure([__file__, f"{folder}/b.png"])
            ratios.append([a / b for a, b in zip(ours, theirs)])
    for name, values in zip(("wall seconds", "CPU seconds", "peak memory"), zip(*ratios)):
        print(f"whole program / plain program, {name}: {spread(values)}")


def step_seconds(seq_length=20, hidden_size=64, n_windows=32):
    """Seconds of ten training steps of an RNN on one thread of the CPU."""
    model = rnn_sine.SimpleRNN(1, hidden_size, 1, 1)
    batches = [(torch.zeros(n_windows, seq_length, 1), torch.zeros(n_windows, 1))] * 10
    optimizer = torch.optim.Adam(model.parameters())
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        rnn_sine.train_model(model, batches, nn.MSELoss(), optimizer, "cpu", 1)
    return time.perf_counter() - start


def growth():
    """Compare the time of a training step as one size grows, on one thread of the CPU."""
    torch.set_num_threads(1)
    step_seconds()  # what torch loads at the first step is not counted
    sizes = [({"seq_length": 500}, 25), ({"hidden_size": 256}, 16), ({"n_windows": 1024}, 32)]
    for size, work in sizes:
        ratios = [step_seconds(**size) / step_seconds() for _ in range(5)]
        print(f"step with {size}, work x {work}: {spread(ratios)}")


if __name__ == "__main__":
    plt.switch_backend("Agg")
    if len(sys.argv) > 1:
        plain_program(sys.argv[1])
    else:
        print(f"Python {sys.version.split()[0]}, torch {torch.__version__}, {os.cpu_count()} processors")
        training_loop()
        recipe()
        whole_programs()
        growth()
