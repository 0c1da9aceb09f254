"""Measure what the evidence page, tests/README.md, says, and draw its picture.

    python tests/experiments.py              all figures, on ten seeds from 200 on, in half an hour
    python tests/experiments.py --seeds 1    a quick look, which writes into the current folder
    python tests/experiments.py --search     how the settings were chosen, on three seeds from 100 on

A figure is the median over the seeds and [smallest to largest]. A ratio is taken seed by seed, of
two errors on the same test values.
"""

import argparse
import contextlib
import io
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"  # pyplot reads it when it is imported
TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS.parent))

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

import rnn_sine

LAYERS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}
SUNSPOTS = np.loadtxt(TESTS / "sunspots.csv", delimiter=",", skiprows=1, usecols=1)
PAIR_WINDOWS = [2, 4, 6, 10, 20]
PERIODS = [6, 12, 24, 48, 96]
PENALTIES = [0.1, 0.3, 1, 3, 10, 30]  # of ridge regression
ONECYCLE = {"schedule": "onecycle", "max_grad_norm": 0.1}
# For each network the best of --search: units, peak of the learning rate, epochs.
BEST = {
    ("noisy sine", "MLP"): (64, 0.01, 100), ("noisy sine", "RNN"): (8, 0.01, 100),
    ("logistic map", "MLP"): (64, 0.01, 100), ("logistic map", "RNN"): (64, 0.01, 100),
    ("pairs", "MLP"): (1, 0.1, 10), ("pairs", "RNN"): (8, 0.03, 10),
    ("season", "MLP"): (8, 0.001, 100), ("season", "RNN"): (64, 0.001, 100),
    ("season", "GRU"): (64, 0.001, 100), ("season", "LSTM"): (64, 0.001, 100),
}
PAIR_PEAKS = {("MLP", 1): 0.1, ("MLP", 8): 0.1, ("MLP", 64): 0.03,  # the best of --search for each size
              ("RNN", 1): 0.1, ("RNN", 8): 0.03, ("RNN", 64): 0.003}
TRAININGS = {  # of the RNN on the clean sine
    "the article's": {},
    "one cycle": {"schedule": "onecycle"},
    "one cycle, peak 0.01": {"schedule": "onecycle", "learning_rate": 0.01},
    "one cycle, peak 0.01, clipped at 0.03": {"schedule": "onecycle", "learning_rate": 0.01, "max_grad_norm": 0.03},
    "one cycle, peak 0.003, clipped at 0.01, 300 epochs": {
        "schedule": "onecycle", "learning_rate": 0.003, "max_grad_norm": 0.01, "epochs": 300},
}
SIZES = {"128 units": {"hidden_size": 128}, "2 layers": {"num_layers": 2}, "window 40": {}}


# The series. Each gives (train_data, test_data, ideal): what pencil and paper predict for the
# targets of the test part, [n, 1].


def samples(series, ideal, seq_length):
    """A series [time] in samples, and the ideal [time] at its test targets, scaled as in the script."""
    with contextlib.redirect_stdout(io.StringIO()):
        train_data, test_data, mean, scale = rnn_sine.scale_series(series, seq_length)
    ideal = (ideal[-len(test_data) :] - mean) / scale
    return train_data, test_data, torch.tensor(ideal).float().unsqueeze(-1)


def clean_sine(seed, seq_length=20):
    """The article's sine; the ideal is the mean, so that errors are in units of the variance."""
    train_data, test_data = rnn_sine.generate_data(seq_length=seq_length)
    return train_data, test_data, torch.zeros(len(test_data), 1)


def noisy_sine(seed):
    """The sine with noise of standard deviation 0.1; the ideal knows the sine."""
    np.random.seed(seed)
    train_data, test_data = rnn_sine.generate_data(noise=0.1)
    sine = np.sin(np.linspace(0, 10 * np.pi, 1020))
    return train_data, test_data, torch.tensor(sine[-len(test_data) :]).float().unsqueeze(-1)


def logistic_map(seed):
    """x -> 4x(1 - x) in windows of 2; the ideal is the mean, the best that a weighted sum can do."""
    x = [np.random.default_rng(seed).uniform(0.1, 0.4)]
    while len(x) < 1002:
        x.append(4 * x[-1] * (1 - x[-1]))
    return samples(np.array(x), np.full(len(x), 0.5), 2)


def pairs(seed, seq_length=2, length=5020):
    """Heads writes 1 twice, tails writes 0 once; the ideal counts the ones since the last 0."""
    coin = np.random.default_rng(seed).integers(0, 2, length)
    series = np.repeat(coin, 1 + coin)[:length]
    ideal = np.zeros(length)
    odd = False
    for n, value in enumerate(series):
        ideal[n] = 1.0 if odd else 0.5
        odd = value == 1 and not odd
    return samples(series.astype(float), ideal, seq_length)


def season(seed, period=12, length=2400):
    """x_t = 0.9 x_{t-period} + e_t, e of variance 1, in windows of a period; the ideal is 0.9 x_{t-period}."""
    e = np.random.default_rng(seed).normal(size=11 * period + length)
    x = e.copy()
    for t in range(period, len(x)):
        x[t] = 0.9 * x[t - period] + e[t]
    kept = slice(10 * period, None)  # by then the beginning is forgotten
    return samples(x[kept], (x - e)[kept], period)


SERIES = {"clean sine": clean_sine, "noisy sine": noisy_sine, "logistic map": logistic_map, "season": season}


# The predictors.


def train(kind, data, seed, hidden_size=64, num_layers=1, epochs=100, share=1.0, **settings):
    """A trained network and its test losses; the kind is "MLP" or that of a SimpleRNN's layer.

    `share` of the epochs, at least one, are trained: tests take little of it.
    """
    train_data, test_data = data[0], data[1]
    torch.manual_seed(seed)
    if kind == "MLP":
        model = rnn_sine.mlp(test_data.tensors[0].size(1), hidden_size)
    else:
        model = rnn_sine.SimpleRNN(1, hidden_size, num_layers, 1)
        if kind != "RNN":
            model.rnn = LAYERS[kind](1, hidden_size, num_layers, batch_first=True)
    with contextlib.redirect_stdout(io.StringIO()):
        _, test_losses = rnn_sine.fit(model, train_data, test_data, max(1, int(share * epochs)), **settings)
    return model, test_losses


def train_best(name, kind, data, seed, share):
    """The network of this kind with the settings that the search found for this series."""
    if name == "clean sine":
        return train(kind, data, seed, share=share)[0]  # the article's settings
    units, rate, epochs = BEST[name, kind]
    return train(kind, data, seed, units, epochs=epochs, share=share, learning_rate=rate, **ONECYCLE)[0]


def five_predictors(data, network, model):
    """The script's five predictors by name, as `compare` takes them, of a trained MLP and RNN."""
    train_data, test_data = data[0], data[1]
    windows = test_data.tensors[0]
    longer = rnn_sine.long_windows(train_data, test_data, 10 * windows.size(1))
    return {"persistence": (rnn_sine.Persistence(), windows),
            "linear regression": (rnn_sine.linear_regression(train_data), windows),
            "MLP": (network, windows), "RNN": (model, windows), "RNN, long window": (model, longer)}


def ridge(windows, targets, penalty):
    """Linear regression whose weights a penalty draws towards zero, a function of windows [n, time, 1]."""
    windows = windows.squeeze(-1).double()
    matrix = windows.T @ windows + penalty * torch.eye(windows.size(1))
    weights = torch.linalg.solve(matrix, windows.T @ targets.double()).float()
    return lambda x: x.squeeze(-1) @ weights


def mse(predictions, targets):
    return nn.functional.mse_loss(predictions, targets).item()


@torch.no_grad()
def test_mse(model, data):
    return mse(model(data[1].tensors[0]), data[1].tensors[1])


# The measurements. Each gives figures by (table, row, column), for one seed.


def measure_series(seed, share):
    """The five predictors on all series but pairs and sunspots, one step ahead and more."""
    found = {}
    for name, make in SERIES.items():
        data = make(seed)
        targets = data[1].tensors[1]
        unit = mse(data[2], targets)
        networks = [train_best(name, kind, data, seed, share) for kind in ("MLP", "RNN")]
        results = rnn_sine.compare(five_predictors(data, *networks), targets, 64, 500, "cpu")
        errors = results["test_mse"]
        for predictor, error in errors.items():
            found["test MSE / unit", name, predictor] = error / unit
            if name in ("clean sine", "logistic map"):
                sizes = np.exp(np.mean(np.log(np.abs(results["errors"][predictor]) + 1e-12), axis=0))
                for steps in (1, 2, 3, 4, 6, 8, 12, 16, 32, 64):
                    found["typical |error|, steps ahead", f"{name}, {predictor}", steps] = sizes[steps - 1]
        for above, below in (("RNN", "MLP"), ("RNN", "linear regression"), ("MLP", "linear regression"),
                             ("RNN, long window", "RNN")):
            found["ratio of test MSEs", name, f"{above} / {below}"] = errors[above] / errors[below]
        if name == "noisy sine":
            windows, train_targets = data[0].tensors
            shrunk = ridge(windows, train_targets, 3)  # the best penalty of --search
            error = mse(shrunk(data[1].tensors[0]), targets)
            found["ratio of test MSEs", name, "ridge / linear regression"] = error / errors["linear regression"]
            found["ratio of test MSEs", name, "MLP / ridge"] = errors["MLP"] / error
    return found


def measure_pairs(seed, share):
    """Pairs, for each window and three sizes of network, over the ideal's error; how far one unit counts."""
    found = {}
    for window in PAIR_WINDOWS:
        data = pairs(seed, window)
        targets = data[1].tensors[1]
        for units in (1, 8, 64):
            networks = [train(kind, data, seed, units, epochs=10, share=share, learning_rate=PAIR_PEAKS[kind, units],
                              **ONECYCLE)[0] for kind in ("MLP", "RNN")]
            errors = rnn_sine.compare(five_predictors(data, *networks), targets, 1, 500, "cpu")["test_mse"]
            for predictor, error in errors.items():
                row = f"window {window}, {units} units"
                found["pairs: test MSE / best possible", row, predictor] = error / mse(data[2], targets)
            for above, below in (("RNN, long window", "RNN"), ("RNN", "MLP")):
                row = f"pairs, window {window}, {units} units"
                found["ratio of test MSEs", row, f"{above} / {below}"] = errors[above] / errors[below]
            if (window, units) == (2, 1):
                low, high = data[1].tensors[1].min(), data[1].tensors[1].max()  # 0 and 1, scaled
                ones = torch.cat([low.view(1, 1), high.expand(2000, 1)])  # a 0, then 2,000 ones
                answers = (networks[1].fc(networks[1].rnn(ones)[0]).detach() - low) / (high - low)
                table = "pairs: one unit after 2,000 ones"
                found[table, "answers", "least after odd numbers"] = answers[1::2].min().item()
                found[table, "answers", "most after even"] = answers[2::2].max().item()
    return found


def measure_season(seed, share):
    """Season, for each period and layer, over the ideal's error; how many epochs a constant rate needs."""
    found = {}
    for period in PERIODS:
        data = season(seed, period)
        best = mse(data[2], data[1].tensors[1])
        linear = test_mse(rnn_sine.linear_regression(data[0]), data)
        found["season: test MSE / best possible", f"T = {period}", "linear regression"] = linear / best
        found["season: test MSE / best possible", f"T = {period}", "mean"] = mse(0 * data[2], data[1].tensors[1]) / best
        for kind in ("MLP", "RNN", "GRU", "LSTM"):
            error = test_mse(train_best("season", kind, data, seed, share), data)
            found["season: test MSE / best possible", f"T = {period}", kind] = error / best
        if period < 96:
            for kind in ("RNN", "LSTM"):
                losses = train(kind, data, seed, epochs=60, share=share, max_grad_norm=0.1)[1]
                epochs = [epoch for epoch, loss in enumerate(losses, start=1) if loss < 1.1 * linear]
                found["season: epochs until a tenth above linear regression (100: more than 60)",
                      f"T = {period}", kind] = min(epochs, default=100)
    return found


def measure_training(seed, share):
    """The RNN on the clean sine, trained in several ways, and in several sizes with a good training."""
    found = {}
    runs = dict(TRAININGS)
    good = TRAININGS["one cycle, peak 0.01, clipped at 0.03"]
    runs.update({f"the fourth, {row}": {**good, **size} for row, size in SIZES.items()})
    for row, settings in runs.items():
        data = clean_sine(seed, 40 if "window 40" in row else 20)
        model = train("RNN", data, seed, share=share, **settings)[0]
        windows, targets = data[1].tensors
        ahead = rnn_sine.forecast(model, windows[:1], 200, "cpu")[0]
        errors = abs(ahead - targets[:, 0].numpy())
        found["clean sine: trainings of the RNN", row, "test MSE"] = test_mse(model, data)
        found["clean sine: trainings of the RNN", row, "largest error in 200 steps"] = errors.max()
    return found


def gradients(model, windows):
    """The mean size of d prediction / d x_t over the windows [n, time, 1], an array [time]."""
    windows = windows.clone().requires_grad_()
    return torch.autograd.grad(model(windows).sum(), windows)[0].abs().mean(dim=(0, 2)).numpy()


def measure_vanishing(seed, share):
    """How the gradient fades with the age of an input, in windows of 100; the size of W_h."""
    found = {}
    data = clean_sine(seed, 100)
    for row, factor, epochs in (("untrained", 1, 0), ("W_h times 3", 3, 0), ("5 epochs", 1, 5)):
        torch.manual_seed(seed)
        model = rnn_sine.SimpleRNN(1, 64, 1, 1)
        if epochs:
            model = train("RNN", data, seed, epochs=epochs)[0]
        model.rnn.weight_hh_l0.data *= factor
        sizes = gradients(model, data[1].tensors[0])
        for age in (0, 1, 5, 10, 20, 40, 60, 80, 99):
            found["gradient by age / that of the newest input", row, age] = sizes[99 - age] / sizes[99]
        if row == "untrained":
            w_h = model.rnn.weight_hh_l0.detach()
            found["W_h, untrained", "W_h", "largest singular value"] = torch.linalg.matrix_norm(w_h, 2).item()
            found["W_h, untrained", "W_h", "largest |eigenvalue|"] = torch.linalg.eigvals(w_h).abs().max().item()
    return found


def sunspot_part(end, n_test=43, seq_length=20):
    """The last `n_test` of the first `end` years, to test on, and the years before, to train on."""
    past = SUNSPOTS[: end - n_test]
    n_samples = end - seq_length
    fraction = (n_samples - n_test + 0.5) / n_samples
    return rnn_sine.make_windows((SUNSPOTS[:end] - past.mean()) / past.std(), seq_length, fraction)


def aic_order(windows, targets):
    """The order of the autoregression that Akaike's criterion prefers, of 1 to 20."""
    criteria = []
    for order in range(1, 21):
        model = rnn_sine.linear_regression(TensorDataset(windows[:, -order:], targets))
        error = mse(model(windows[:, -order:]), targets)
        criteria.append(len(targets) * np.log(error) + 2 * (order + 1))
    return 1 + int(np.argmin(criteria))


def best_penalty(windows, targets):
    """The penalty of ridge regression that is best on the last fifth of the training part."""
    n = int(0.8 * len(windows))
    errors = [mse(ridge(windows[:n], targets[:n], penalty)(windows[n:]), targets[n:]) for penalty in PENALTIES]
    return PENALTIES[int(np.argmin(errors))]


@torch.no_grad()
def sunspot_predictions(data, seed, share):
    """What each predictor says of the test part, tensors [43, 1] by name."""
    windows, targets = data[0].tensors
    test_windows = data[1].tensors[0]
    order = aic_order(windows, targets)
    shorter = rnn_sine.linear_regression(TensorDataset(windows[:, -order:], targets))
    predictions = {"persistence": test_windows[:, -1], "AR(20)": rnn_sine.linear_regression(data[0])(test_windows),
                   "AR, order by AIC": shorter(test_windows[:, -order:]),
                   "ridge": ridge(windows, targets, best_penalty(windows, targets))(test_windows)}
    for kind in ("MLP", "RNN"):
        for units in (8, 64):
            for epochs in (100, 300):
                with torch.enable_grad():
                    model = train(kind, data, seed, units, epochs=epochs, share=share)[0]
                predictions[f"{kind}, {units} units, {epochs} epochs"] = model(test_windows)
                if kind == "RNN":
                    longer = rnn_sine.long_windows(data[0], data[1], 200)
                    predictions[f"RNN, {units} units, {epochs} epochs, long window"] = model(longer)
    return predictions


def measure_sunspots(seed, share):
    """Four test parts of 43 years: squared errors over those of AR(20), and standard errors behind AR by AIC."""
    found = {}
    squares = {}
    for end in (180, 223, 266, 309):
        data = sunspot_part(end)
        for name, predictions in sunspot_predictions(data, seed, share).items():
            errors = predictions - data[1].tensors[1]
            squares.setdefault(name, []).append(errors.squeeze(-1).numpy() ** 2 * SUNSPOTS[: end - 43].var())
    reference = np.concatenate(squares["AR, order by AIC"])
    for name, parts in squares.items():
        years = np.concatenate(parts)
        found["sunspots", name, "MSE / AR(20)"] = years.mean() / np.mean(squares["AR(20)"])
        found["sunspots", name, "last part alone"] = parts[3].mean() / squares["AR(20)"][3].mean()
        means = np.array([stretch.mean() for stretch in np.array_split(years - reference, 10)])
        if means.any():
            behind = means.mean() / (means.std(ddof=1) / np.sqrt(10))
            found["sunspots", name, "standard errors behind AR by AIC"] = behind
    return found


@torch.no_grad()
def band_of_paths(model, window, errors, steps):
    """The band of the script's last version: 200 paths, a past error one step ahead added at each step."""
    window = window.repeat(200, 1, 1)
    path = []
    for _ in range(steps):
        value = model(window) - errors[torch.randint(len(errors), (200,))]
        path.append(value)
        window = torch.cat([window[:, 1:], value.unsqueeze(-1)], dim=1)
    return np.quantile(torch.cat(path, dim=1).numpy(), [0.05, 0.95], axis=0)


def next_values_held(series, future, seed, seq_length, epochs):
    """Whether `future` lies in the script's band and in that of paths, and how wide they are: four arrays."""
    with contextlib.redirect_stdout(io.StringIO()):
        train_data, test_data, mean, scale = rnn_sine.scale_series(series, seq_length)
    data = (train_data, test_data)
    predictors = five_predictors(data, *[train(kind, data, seed, epochs=epochs)[0] for kind in ("MLP", "RNN")])
    targets = test_data.tensors[1]
    values, name, _ = rnn_sine.next_values(predictors, targets, len(future), "cpu")
    model, windows = predictors[name]
    errors = torch.tensor(rnn_sine.errors_ahead(model, windows, targets, 1, 2000, "cpu"))
    newest = torch.cat([windows[-1, 1:], targets[-1:]]).unsqueeze(0)
    low, high = band_of_paths(model, newest, errors, len(future))
    future = (future - mean) / scale
    return [(values[:, 1] <= future) & (future <= values[:, 2]), (low <= future) & (future <= high),
            values[:, 2] - values[:, 1], high - low]


def draw_series(name, generator, length):
    """A new noisy sine of period 200, or a new season of period 12, [length]."""
    noise = generator.normal(size=length + 200)
    if name == "noisy sine":
        return np.sin(2 * np.pi * (np.arange(length) / 200 + generator.random())) + 0.1 * noise[:length]
    for t in range(12, len(noise)):
        noise[t] += 0.9 * noise[t - 12]
    return noise[-length:]


def measure_band(seed, share):
    """How often the next values lay in their band: 40 new series of each kind, and three ends of the sunspots."""
    cases = {}
    generator = np.random.default_rng(seed)
    for name, seq_length in (("noisy sine", 20), ("season", 12)):
        for length in (1500, 300):
            for number in range(max(1, int(40 * share))):
                series = draw_series(name, generator, length + 16)
                held = next_values_held(series[:length], series[length:], 100 * seed + number, seq_length, 20)
                cases.setdefault((f"{name}, {length} values", (1, 4, 16)), []).append(held)
    for end in range(182 + seed % 10 * 12, 194 + seed % 10 * 12, 4):
        held = next_values_held(SUNSPOTS[:end], SUNSPOTS[end : end + 11], seed, 20, max(1, int(100 * share)))
        cases.setdefault(("sunspots", (1, 7, 11)), []).append(held)
    found = {}
    for (name, horizons), results in cases.items():
        means = np.mean(np.array(results, dtype=float), axis=0)  # (4, steps)
        for steps in horizons:
            for column, values in zip(("held", "paths held", "width", "width of paths"), means):
                found["band of nine in ten (means)", f"{name}, {steps} ahead", column] = values[steps - 1]
    return found


MEASUREMENTS = [measure_season, measure_band, measure_series, measure_training, measure_pairs, measure_sunspots,
                measure_vanishing]


def run(measurement, seed, share=1.0):
    """The figures of one measurement for one seed, in a process of its own."""
    torch.set_num_threads(1)
    return globals()[measurement](seed, share)


def collect(first_seed, n_seeds):
    """All figures: {table: {row: {column: a list with a number per seed}}}; season takes three seeds at most."""
    jobs = []
    for measurement in MEASUREMENTS:
        n = min(3, n_seeds) if measurement is measure_season else n_seeds
        jobs += [(measurement.__name__, seed) for seed in range(first_seed, first_seed + n)]
    found = {}
    with ProcessPoolExecutor(2) as pool:
        waiting = {pool.submit(run, *job): job for job in jobs}
        for number, done in enumerate(as_completed(waiting), start=1):
            found[waiting[done]] = done.result()
            print(f"{number} of {len(jobs)}: {waiting[done][0]}, seed {waiting[done][1]}", file=sys.stderr, flush=True)
    figures = {}
    for job in jobs:
        for (table, row, column), value in found[job].items():
            figures.setdefault(table, {}).setdefault(row, {}).setdefault(str(column), []).append(float(value))
    return figures


def number(value):
    """A figure: a ratio near 1 in three decimals, others in two or three significant digits."""
    if value == round(value):
        return f"{value:.0f}"
    if 0.1 <= abs(value) < 2:
        return f"{value:.3f}"
    if 2 <= abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:.2g}"


def spread(values):
    """The median of some seeds, and the smallest and the largest."""
    if min(values) == max(values):
        return number(values[0])
    return f"{number(np.median(values))} ({number(min(values))}–{number(max(values))})"


def print_table(title, rows):
    """A table of Markdown: the mean of shares, the median of many columns, else the median and the range."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print(f"\n{title}\n\n| | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for row, cells in rows.items():
        texts = []
        for column in columns:
            values = cells.get(column, [])
            if not values:
                texts.append("")
            elif "means" in title:
                texts.append(f"{np.mean(values):.2f}")
            elif len(columns) > 7:
                texts.append(number(np.median(values)))
            else:
                texts.append(spread(values))
        print(f"| {row} | " + " | ".join(texts) + " |")


def print_tables(figures):
    """Print every figure in tables of Markdown, as the evidence page has them; ratios have a row each."""
    for title, rows in figures.items():
        if "ratio" in title:
            print(f"\n{title}\n\n| | ratio | below 1 |\n|---|---|---|")
            for row, cells in rows.items():
                for column, values in cells.items():
                    below = sum(value < 1 for value in values)
                    print(f"| {row}: {column} | {spread(values)} | {below} of {len(values)} |")
        else:
            print_table(title, rows)


MARKS = {"persistence": ("v", "darkgray"), "linear regression": ("s", "tab:green"), "MLP": ("D", "tab:orange"),
         "RNN": ("o", "black"), "RNN, long window": ("^", "tab:blue"), "GRU": ("P", "tab:purple"),
         "LSTM": ("X", "tab:red")}


def draw_strip(ax, title, columns, unit, limits):
    """One series: a mark at the median of each predictor, a line over its range, the unit as a dotted line."""
    for height, (name, values) in enumerate(columns.items()):
        marker, color = MARKS[name]
        ax.plot([max(min(values), limits[0]), min(max(values), limits[1])], [height, height], color=color, linewidth=3)
        if np.median(values) < limits[1]:
            ax.plot(np.median(values), height, marker=marker, color=color, markersize=9)
        if max(values) > limits[1]:
            words = f"median {np.median(values):.2g}, up to {max(values):.2g} "
            ax.annotate(words, (limits[1], height), ha="right", va="bottom")
    ax.axvline(1, color="black", linestyle=":")
    ax.set(title=title, xlabel=unit, xscale="log", xlim=limits, ylim=(len(columns) - 0.5, -0.5))
    ax.set_yticks(range(len(columns)), list(columns))
    if limits[1] < 20:
        ax.set_xticks([1, 2, 5, 10], [1, 2, 5, 10])
        ax.set_xticks([], minor=True)


def draw_curve(ax, name, x, cells):
    """The medians of lists of values against x, with the mark of a predictor."""
    marker, color = MARKS[name]
    ax.plot(x, [np.median(values) for values in cells], marker=marker, color=color, label=name, markersize=8)


def draw(figures, path):
    """The picture of the evidence page, from the figures of `collect`."""
    with plt.rc_context({"font.size": 13}):
        figure = plt.figure(figsize=(15, 15), layout="constrained")
        grid = figure.add_gridspec(12, 2)
        series = figures["test MSE / unit"]
        ratios = figures["pairs: test MSE / best possible"]
        sunspots = figures["sunspots"]
        rows = ["persistence", "AR(20)", "MLP, 64 units, 100 epochs", "RNN, 64 units, 100 epochs",
                "RNN, 64 units, 100 epochs, long window"]
        five = {name: sunspots[row]["MSE / AR(20)"] for name, row in zip(MARKS, rows)}
        strips = [("Clean sine", series["clean sine"], "test MSE / variance", (1e-16, 30)),
                  ("Logistic map", series["logistic map"], "test MSE / variance", (1e-16, 30)),
                  ("Noisy sine", series["noisy sine"], "test MSE / best possible", (0.65, 15)),
                  ("Pairs, windows of 2, one unit", ratios["window 2, 1 units"], "test MSE / best possible",
                   (0.65, 15)),
                  ("Season of 12", series["season"], "test MSE / best possible", (0.65, 15)),
                  ("Sunspots", five, "MSE / that of linear regression", (0.65, 15))]
        for place, (title, columns, unit, limits) in enumerate(strips):
            columns = {name: columns[name] for name in list(MARKS)[:5]}
            draw_strip(figure.add_subplot(grid[2 * place : 2 * place + 2, 0]), title, columns, unit, limits)
        panels = [figure.add_subplot(grid[3 * place : 3 * place + 3, 1]) for place in range(4)]

        for name in list(MARKS)[1:5]:
            draw_curve(panels[0], name, PAIR_WINDOWS, [ratios[f"window {n}, 1 units"][name] for n in PAIR_WINDOWS])
        bound = [1 + 2 ** (-n / 2) / 3 for n in PAIR_WINDOWS]
        panels[0].plot(PAIR_WINDOWS, bound, color="black", linestyle="--", label="bound for any window")
        panels[0].axhline(1, color="black", linestyle=":", label="best possible")
        panels[0].set(title="Pairs: one unit, windows of several lengths", xlabel="values in the window",
                      ylabel="MSE / best possible", xticks=PAIR_WINDOWS)

        ratios = figures["season: test MSE / best possible"]
        for name in ("linear regression", "MLP", "RNN", "GRU", "LSTM"):
            draw_curve(panels[1], name, PERIODS, [ratios[f"T = {n}"][name] for n in PERIODS])
        panels[1].axhline(1, color="black", linestyle=":")
        panels[1].set(title="Season: what is needed lies a period back", xlabel="period", xscale="log",
                      ylabel="MSE / best possible", yscale="log")
        panels[1].set_xticks(PERIODS, PERIODS)
        panels[1].set_yticks([1, 2, 5], [1, 2, 5])
        panels[1].minorticks_off()

        steps = [1, 2, 3, 4, 6, 8, 12, 16]
        for name in ("MLP", "RNN"):
            errors = figures["typical |error|, steps ahead"][f"logistic map, {name}"]
            draw_curve(panels[2], name, steps, [errors[str(n)] for n in steps])
            start = np.median(errors["1"])
        panels[2].plot(steps[:7], start * 2.0 ** (np.array(steps[:7]) - 1), color="black", linestyle="--",
                       label="doubled at each step")
        panels[2].set(title="Logistic map: nobody sees far", xlabel="steps ahead", ylabel="typical |error|",
                      yscale="log")

        rows = {"untrained": "o", "5 epochs": "^", "W_h times 3": "s"}
        for row, marker in rows.items():
            ages = figures["gradient by age / that of the newest input"][row]
            panels[3].plot([int(age) for age in ages], [np.median(values) for values in ages.values()], marker=marker,
                           label=row, markersize=8)
        panels[3].set(title="How much an input of this age moves the prediction", xlabel="age of the input, time steps",
                      ylabel="gradient / newest", yscale="log")
        for ax in panels:
            ax.legend(fontsize=11)
        figure.savefig(path)
        plt.close(figure)


def search_one(name, kind, units, rate, epochs, seed):
    """The test MSE over the ideal's, for one setting and seed."""
    torch.set_num_threads(1)
    if name == "pairs":
        data = pairs(seed, 20)
    elif name == "season":
        data = season(seed, 24)
    else:
        data = SERIES[name](seed)
    if kind == "ridge":
        error = mse(ridge(*data[0].tensors, rate)(data[1].tensors[0]), data[1].tensors[1])
    else:
        error = test_mse(train(kind, data, seed, units, epochs=epochs, learning_rate=rate, **ONECYCLE)[0], data)
    return error / mse(data[2], data[1].tensors[1])


def search():
    """Print the settings tried, on the seeds 100 to 102, the best first for each network."""
    for name, kind in list(BEST) + [("noisy sine", "ridge")]:
        settings = [(units, rate, 100) for units in (8, 64) for rate in (0.001, 0.003, 0.01)]
        if name == "pairs":
            settings = [(units, rate, 10) for units in (1, 8, 64) for rate in (0.003, 0.01, 0.03, 0.1)]
        if kind == "ridge":
            settings = [(0, penalty, 0) for penalty in PENALTIES]
        jobs = [(name, kind) + setting + (seed,) for setting in settings for seed in (100, 101, 102)]
        with ProcessPoolExecutor(2) as pool:
            errors = np.reshape(list(pool.map(search_one, *zip(*jobs))), (len(settings), 3))
        print(f"\n{name}, {kind}: units, peak rate (or penalty), epochs: median of test MSE / best possible [range]")
        for place in np.argsort(np.median(errors, axis=1)):
            low, middle, high = np.sort(errors[place])
            print(f"  {settings[place]}: {middle:.4g} [{low:.4g} to {high:.4g}]", flush=True)


def make_parser():
    """The flags of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=rnn_sine.whole_number, default=10, help="how many; 10 are the page's")
    parser.add_argument("--first-seed", type=rnn_sine.whole_number, default=200)
    parser.add_argument("--search", action="store_true", help="look for settings instead, on other seeds")
    return parser


def main(argv=None):
    """Do what the flags say; by default all measurements, the page's figures and its picture."""
    args = make_parser().parse_args(argv)
    if args.search:
        search()
        return
    folder = TESTS if (args.first_seed, args.seeds) == (200, 10) else Path.cwd()
    figures = collect(args.first_seed, args.seeds)
    (folder / "experiments.json").write_text(json.dumps(figures, indent=0) + "\n")
    print_tables(figures)
    draw(figures, folder / "experiments.png")


if __name__ == "__main__":
    main()
