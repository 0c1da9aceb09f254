"""Measure what the script costs beside a plain program that does the same work.

    python tests/benchmark.py

Every figure is a ratio from this one run, with both sides in turn: median [smallest to largest].
"""

import contextlib
import io
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


def plain_loop(epochs=100):
    """Train as a tutorial does: (model, test inputs, test targets, seconds of training)."""
    torch.manual_seed(42)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    y = np.sin(np.linspace(0, 10 * np.pi, 1020))
    inputs = torch.tensor(np.array([y[i : i + 20] for i in range(1000)]), dtype=torch.float32).unsqueeze(-1)
    targets = torch.tensor(np.array([y[i + 20] for i in range(1000)]), dtype=torch.float32).unsqueeze(-1)
    loader = DataLoader(TensorDataset(inputs[:800], targets[:800]), batch_size=32, shuffle=True)
    model = rnn_sine.SimpleRNN(1, 64, 1, 1).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    start = time.perf_counter()
    for _ in range(epochs):
        for x, y in loader:
            loss = nn.functional.mse_loss(model(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
    return model, inputs[800:].to(device), targets[800:], time.perf_counter() - start


def plain_program(picture):
    """Train, evaluate, draw one chart: what `whole_programs` compares the script with."""
    model, inputs, targets, _ = plain_loop()
    with torch.no_grad():
        predictions = model(inputs).cpu()
    plt.figure(figsize=(10, 6))
    plt.plot(targets[:50], label="actual")
    plt.plot(predictions[:50], label="predicted")
    plt.legend()
    plt.savefig(picture)


def script(flags):
    """Run the script's main: (its results, the seconds of its training)."""
    train_model, seconds = rnn_sine.train_model, []

    def timed(*args):
        start = time.perf_counter()
        losses = train_model(*args)
        seconds.append(time.perf_counter() - start)
        return losses

    rnn_sine.train_model = timed
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        results = rnn_sine.main([*flags.split(), "--no-show", "--output", f"{folder}/a.png"])
    rnn_sine.train_model = train_model
    return results, seconds[0]


def spread(values, form=".2f"):
    """Median, smallest and largest."""
    return f"{statistics.median(values):{form}}  [{min(values):{form}} to {max(values):{form}}]"


def training_loop():
    """Compare the training as each program runs it: the script on one thread, the loop on torch's."""
    ratios, equal = [], []
    for _ in range(7):
        (results, ours), (model, *_, theirs) = script("--epochs 20"), plain_loop(20)
        ratios.append(ours / theirs)
        equal += map(torch.equal, results["model"].parameters(), model.parameters())
    print(f"training loop / plain loop: {spread(ratios)}")
    print(f"  final weights equal, bit for bit: {all(equal)}")


def recipe():
    """Compare the time to the article's accuracy, and count the seeds that reach it."""
    flags = "--seq-length 10 --hidden-size 32 --schedule onecycle --learning-rate 0.02 --max-grad-norm 0.1"
    runs = [script(f"{flags} --epochs 18 --seed {seed}") for seed in range(200, 210)]
    errors = [results["test_mse"]["RNN"] for results, _ in runs]
    print(f"{flags} --epochs 18")
    print(f"  seconds / plain loop of 100 epochs: {spread([s / plain_loop()[-1] for _, s in runs[:3]])}")
    print(f"  test MSE of seeds 200 to 209: {spread(errors, '.1e')}")
    print(f"  below the article's 3.74e-6: {sum(error < 3.74e-6 for error in errors)} of 10")


def whole_programs():
    """Compare the script with the plain program, each as a process of its own."""

    def measure(*command):
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, command
        return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss

    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(5):
            ours = measure(str(SCRIPT), "--no-show", "--output", f"{folder}/a.png")
            runs.append(np.divide(ours, measure(__file__, f"{folder}/b.png")))
    for name, ratios in zip(("wall seconds", "CPU seconds", "peak memory"), np.transpose(runs)):
        print(f"whole program / plain program, {name}: {spread(ratios)}")


def growth():
    """Compare the time of a training step as one size grows, on one thread of the CPU."""
    torch.set_num_threads(1)

    def seconds(steps=20, hidden_size=64, windows=32):
        model = rnn_sine.SimpleRNN(1, hidden_size, 1, 1)
        batches = [(torch.zeros(windows, steps, 1), torch.zeros(windows, 1))] * 10
        optimizer = torch.optim.Adam(model.parameters())
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            rnn_sine.train_model(model, batches, nn.MSELoss(), optimizer, "cpu", 1)
        return time.perf_counter() - start

    seconds()  # what torch loads at the first step is not counted
    for size, work in (({"steps": 500}, 25), ({"hidden_size": 256}, 16), ({"windows": 1024}, 32)):
        print(f"step with {size}, work x {work}: {spread([seconds(**size) / seconds() for _ in range(5)])}")


if __name__ == "__main__":
    plt.switch_backend("Agg")
    if sys.argv[1:]:
        plain_program(sys.argv[1])
    else:
        print(f"Python {sys.version.split()[0]}, torch {torch.__version__}, {os.cpu_count()} processors")
        training_loop(), recipe(), whole_programs(), growth()
