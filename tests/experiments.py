"""Measure every comparison of the README, and draw its picture of them, tests/experiments.png.

    python tests/experiments.py    ten seeds, 17 minutes on two CPU cores; a quick look: --seeds 2

Settings were chosen on the seeds 42 to 46 and 100 to 109. A cell is the median over the seeds from 200
on, with the [smallest to largest]; a ratio is taken seed by seed, on the same test values.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"  # pyplot reads it when it is imported
import matplotlib.pyplot as plt
import numpy as np
import torch

TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS.parent))

import rnn_sine

CLIPPED = "--schedule onecycle --learning-rate 0.01 --max-grad-norm 0.03"
RUNS = {
    "clean sine": "",
    "clean, one cycle": "--schedule onecycle",
    "clean, higher peak": "--schedule onecycle --learning-rate 0.01",
    "clean, clipped": CLIPPED,
    "clean, 300 epochs": "--schedule onecycle --learning-rate 0.003 --max-grad-norm 0.01 --epochs 300",
    "clean, 1000 epochs": "--schedule onecycle --learning-rate 0.003 --max-grad-norm 0.002 --epochs 1000",
    "clean, 128 hidden": "--hidden-size 128",
    "clean, 2 layers": "--num-layers 2",
    "clean, window 40": "--seq-length 40",
    "noisy sine": "--noise 0.1",
    "noisy, one cycle": "--noise 0.1 --schedule onecycle --learning-rate 0.01",
    "rectified sine": "--series rectified.txt --schedule onecycle --learning-rate 0.01",
    "sunspots": f"--series {TESTS / 'sunspots.csv'}",
}
PAIRS = "--series pairs.txt --schedule onecycle --max-grad-norm 0.1 --epochs 10"
WINDOWS = [2, 4, 6, 10, 20]
N_PATHS = 100


def run(flags, seed):
    """What rnn_sine.main finds with `flags`, in the current folder."""
    with contextlib.redirect_stdout(io.StringIO()):
        return rnn_sine.main(f"{flags} --seed {seed} --device cpu --no-show".split())


def train(network, train_data, flags):
    """Train a network as rnn_sine.main does with `flags`; returns it."""
    args = rnn_sine.make_parser().parse_args(f"{flags} --device cpu".split())
    with contextlib.redirect_stdout(io.StringIO()):
        rnn_sine.train_as_told(network, train_data, args.epochs, args)
    return network


def note_errors(found, row, results, best=1.0):
    """Write down the test MSE of every predictor, over `best`; the ratios; the free runs."""
    mse = results["test_mse"]
    for name in mse:
        errors = results["free_run"][name] - results["actuals"]
        found["test MSE", row, name] = mse[name] / best
        found["largest error of the free run", row, name] = abs(errors).max()
    ladder = list(mse)
    for name, other in ((2, 1), (3, 1), (3, 2), (4, 3)):
        found["ratio of test MSEs", row, f"{ladder[name]} / {ladder[other]}"] = mse[ladder[name]] / mse[ladder[other]]


def toss_pairs(seed, length=5020):
    """Heads writes 1 twice, tails writes 0 once: the series, and the best prediction of each value."""
    coin = np.random.default_rng(seed).integers(0, 2, length)
    series = np.repeat(coin, 1 + coin)[:length]
    best = []
    odd = False  # the number of ones since the last 0
    for value in series:
        best.append(1.0 if odd else 0.5)
        odd = value == 1 and not odd
    return series, np.array(best)


def measure_pairs(found, seed):
    """Pairs, over the best possible, for every window and three sizes of network."""
    series, best = toss_pairs(seed)
    np.savetxt("pairs.txt", series)
    for window in WINDOWS:
        for hidden_size, peak in ((64, 0.01), (8, 0.01), (1, 0.03)):
            flags = f"{PAIRS} --seq-length {window} --hidden-size {hidden_size} --learning-rate {peak}"
            results = run(flags, seed)
            errors = (best - series)[-len(results["actuals"]) :] / results["scale"]
            note_errors(found, f"pairs, window {window}, hidden {hidden_size}", results, np.mean(errors**2))


def measure_ridge(found, seed):
    """Linear regression with shrunken weights (ridge, penalty 10) on the noisy sine; the best weights."""
    np.random.seed(seed)
    train_data, test_data = rnn_sine.generate_data(noise=0.1)
    windows, targets = train_data.tensors[0].squeeze(-1), train_data.tensors[1]
    errors = []
    for penalty in (0, 10):
        weights = torch.linalg.solve(windows.T @ windows + penalty * torch.eye(20), windows.T @ targets)
        predictions = test_data.tensors[0].squeeze(-1) @ weights
        errors.append(torch.nn.functional.mse_loss(predictions, test_data.tensors[1]).item())
    found["ratio of test MSEs", "noisy sine", "ridge / linear regression"] = errors[1] / errors[0]
    angles = 10 * np.pi / 1019 * np.arange(21)
    waves = np.array([np.sin(angles), np.cos(angles)])
    weights = np.linalg.pinv(waves[:, :20]) @ waves[:, 20]  # the smallest that continue every such sine
    found["variance over that of the noise", "noisy sine", "best unbiased sum"] = 1 + np.sum(weights**2)


def measure_shake(found, seed):
    """How many times as large a small change of the first window is after 200 free steps."""
    train_data, test_data = rnn_sine.generate_data()
    torch.manual_seed(seed)
    predictors = {
        "linear regression": rnn_sine.linear_regression(train_data),
        "dense network": train(rnn_sine.dense_network(20, 64), train_data, CLIPPED),
        "RNN": train(rnn_sine.SimpleRNN(1, 64, 1, 1), train_data, CLIPPED),
    }
    window, _ = test_data[0]
    shakes = 0.001 * torch.randn(10, 20, 1)
    for name, predictor in predictors.items():
        free_run = rnn_sine.forecast(predictor, window, 200, "cpu")
        ends = [rnn_sine.forecast(predictor, window + shake, 200, "cpu")[-1] for shake in shakes]
        growth = np.mean(np.abs(ends - free_run[-1])) / 0.001
        found["a shake, 200 free steps on", "growth", name] = growth
        found["a shake, 200 free steps on", "rate, ln(growth) / 200", name] = np.log(growth) / 200


def measure_band(found, seed):
    """How often the band of 90 % holds on the last 62 sunspots, which neither model nor errors saw."""
    series = np.loadtxt(TESTS / "sunspots.csv", delimiter=",", usecols=1, skiprows=1)
    np.savetxt("past.txt", series[:-62])
    results = run("--series past.txt", seed)
    train_data, _, mean, scale = rnn_sine.load_series("past.txt")
    scaled = torch.tensor((series - mean) / scale).float().unsqueeze(-1)
    models = {"linear regression": rnn_sine.linear_regression(train_data), "RNN": results["model"]}
    for name, model in models.items():
        errors = torch.from_numpy(results["actuals"] - results["one_step"][name])
        model.register_forward_hook(lambda *call: call[-1] + errors[torch.randint(len(errors), (1,))])
        held = []
        for start in range(len(scaled) - 62, len(scaled) - 19, 3):
            window, future = scaled[start - 20 : start], scaled[start : start + 20].numpy()
            paths = [rnn_sine.forecast(model, window, 20, "cpu") for _ in range(N_PATHS)]
            low, high = np.quantile(paths, [0.05, 0.95], axis=0)
            held.append((low <= future) & (future <= high))
        for years in (1, 7, 20):
            share = np.mean([band[years - 1] for band in held])
            found["share of sunspots in a band of 90 %", f"{years} years ahead", name] = share


def measure(seed):
    """Run every experiment for one seed; returns the figures by (table, row, column)."""
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        np.savetxt("rectified.txt", abs(np.sin(4 * np.linspace(0, 10 * np.pi, 1020))))
        for row, flags in RUNS.items():
            note_errors(found, row, run(flags, seed))
        for experiment in (measure_ridge, measure_pairs, measure_shake, measure_band):
            experiment(found, seed)
        os.chdir(TESTS)
    return found


def print_tables(runs):
    """Print a table for each kind of figure, a row for each run; for ratios, in how many it is below 1."""
    for title in dict.fromkeys(table for table, _, _ in runs[0]):
        print(f"\n{title}")
        for row in dict.fromkeys(row for table, row, _ in runs[0] if table == title):
            cells = []
            for column in [key[2] for key in runs[0] if key[:2] == (title, row)]:
                values = [found[title, row, column] for found in runs]
                form = ".3f" if 0.01 < abs(np.median(values)) < 1000 else ".1e"
                below = f" below 1 in {sum(value < 1 for value in values)}" if "ratio" in title else ""
                spread = f"[{min(values):{form}} to {max(values):{form}}]"
                cells.append(f"{column} {np.median(values):{form}} {spread}{below}")
            print(f"  {row}: " + ", ".join(cells))


def draw(runs, path):
    """Draw a strip for every series, with a mark for every predictor; and pairs against the window."""
    marks = [("persistence", "v", "darkgoldenrod"), ("linear regression", "s", "olivedrab"),
             ("dense network", "D", "lightseagreen"), ("RNN", "o", "royalblue"), ("stateful RNN", "*", "indigo")]
    strips = [("Clean sine: the linear rule is exact", "clean sine", "test MSE"),
              ("Noisy sine: no network is needed", "noisy, one cycle", "test MSE / linear regression's"),
              ("Rectified sine: the bend wins", "rectified sine", "test MSE / linear regression's"),
              ("Sunspots: one rule for all steps wins", "sunspots", "test MSE / linear regression's"),
              ("Pairs, windows of 2: memory wins", "pairs, window 2, hidden 1", "test MSE / the best possible")]
    figure = plt.figure(figsize=(13, 9), layout="constrained")
    grid = figure.add_gridspec(len(strips), 2, width_ratios=[3, 2])
    for number, (title, row, unit) in enumerate(strips):
        ax = figure.add_subplot(grid[number, 0])
        for height, (name, marker, color) in enumerate(marks):
            values = np.array([found["test MSE", row, name] for found in runs])
            if "linear" in unit:
                values = values / [found["test MSE", row, "linear regression"] for found in runs]
            ax.plot([min(values), max(values)], [height, height], color=color, linewidth=2)
            ax.plot(np.median(values), height, color=color, marker=marker, markersize=9)
        ax.set(title=title, xlabel=unit, yticks=range(5), yticklabels=[mark[0] for mark in marks], ylim=(4.6, -0.6))
        if "/" in unit:
            ax.axvline(1, color="black", linestyle=":")
        if row not in ("sunspots", "pairs, window 2, hidden 1"):
            ax.set_xscale("log")
    ax = figure.add_subplot(grid[:, 1])
    for name, marker, color in marks[1:]:
        cells = [[found["test MSE", f"pairs, window {n}, hidden 1", name] for found in runs] for n in WINDOWS]
        ax.plot(WINDOWS, np.median(cells, axis=1), color=color, marker=marker, markersize=9, label=name)
    ax.plot(WINDOWS, [1 + 2 ** (-n / 2) / 3 for n in WINDOWS], color="black", linestyle="--", label="bound for any rule of the window")
    ax.axhline(1, color="black", linestyle=":", label="best possible")
    ax.set(title="Pairs: with memory, no long window is needed", xlabel="values in the window", xticks=WINDOWS)
    ax.set_ylabel("test MSE / the best possible")
    ax.legend()
    figure.savefig(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 200 on")
    n_seeds = parser.parse_args().seeds
    runs = []
    with ProcessPoolExecutor(2) as pool:
        for found in pool.map(measure, range(200, 200 + n_seeds)):
            runs.append(found)
            print(f"{len(runs)} of {n_seeds} seeds are measured", flush=True)
    print_tables(runs)
    draw(runs, TESTS / "experiments.png")
