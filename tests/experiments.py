"""Measure what the evidence page, tests/README.md, says, and draw the pictures of the first page.

    python tests/experiments.py               all tables, on ten seeds from 200 on
    python tests/experiments.py --seeds 2     a quick look, which writes into the current folder
    python tests/experiments.py --only laser  this measurement alone; the others stay as they are in experiments.json
    python tests/experiments.py --draw        the pictures alone, from experiments.json
    python tests/experiments.py --search      the settings beside others, on the seeds 100 to 102

A seed decides the first weights, the batches, and the series where it is random. A figure is the median over the seeds
(the smallest to the largest), or the mean where it says so. Errors are RMSEs, roots of the mean squared error; each
table says what 1 means.
"""

import argparse
import contextlib
import functools
import io
import itertools
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

os.environ["MPLBACKEND"] = "Agg"  # pyplot reads it when it is imported
TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS.parent))

import numpy as np
import torch
from numpy.random import default_rng
from pictures import draw_all
from torch import nn
from torch.utils.data import TensorDataset

import rnn_sine

SUNSPOTS = np.loadtxt(TESTS / "sunspots.csv", delimiter=",", skiprows=1, usecols=1)  # from 1700 on
LASER = np.loadtxt(TESTS / "laser.txt")
LASER_REST = np.loadtxt(TESTS / "laser_rest.txt")  # the values after them
STEPS = (1, 4, 16)  # ahead
DRAWS = 200  # of each kind of errors, for the script's rule; a fifth as many series for its band

# The series, of mean 0 and, but for the sines, variance 1. Each gives its values [time]; the ideal, what pencil and
# paper predict of them, or the mean where errors are in standard deviations, or None; and how many values test.
def clean_sine(generator, window):
    """The article's sine."""
    return np.sin(np.linspace(0, 10 * np.pi, 1000 + window)), None, 200


def noisy_sine(generator, window, length=1020):
    """The article's sine from a random start, with noise of standard deviation 0.1, and without it."""
    angles = 10 * np.pi / 1019 * np.arange(length)
    sine = np.sin(angles + generator.uniform(0, 2 * np.pi))
    return sine + generator.normal(0, 0.1, length), sine, 200


def logistic_map(generator, window):
    """x -> 4x(1 - x), as y = sqrt(8) (x - 1/2); no weighted sum is better than the mean."""
    y = generator.uniform(-1, 1, 1002)
    for t in range(1, len(y)):
        y[t] = np.sqrt(2) * (1 - y[t - 1] ** 2)
    return y, 0, 200


def pairs(generator, window, length=5020):
    """Heads writes 1 twice, tails 0 once, scaled; the ideal is 1/2 for a toss, and 1 for the second half of a pair."""
    coin = generator.integers(0, 2, length)
    ideal = np.concatenate([[0.5, 1.0][: 1 + side] for side in coin])
    values = np.array([np.repeat(coin, 1 + coin), ideal])[:, :length]
    series, ideal = (values - 2 / 3) / np.sqrt(2 / 9)
    return series, ideal, 1000


def season(generator, period, length=2400, factor=0.9):
    """x_t = 0.9 x_{t-T} + e_t, with e of variance 0.19; the ideal is 0.9 x_{t-T}; or another factor in place of 0.9."""
    e = generator.normal(0, np.sqrt(1 - factor**2), 10 * period + length)
    x = e.copy()
    for t in range(period, len(x)):
        x[t] += factor * x[t - period]
    return x[-length:], (x - e)[-length:], 480  # by then the beginning is forgotten


def samples(series, ideal, n_test, seq_length):
    """`train` and `test` as of `make_windows`, but the last `n_test` values of the series [time] are the targets of the
    test, [n_test, 1], after its `windows` [n_test, time, 1]; and the `unit`, the RMSE of the ideal on them, or 1."""
    n_samples = len(series) - seq_length
    fraction = (n_samples - n_test + 0.5) / n_samples
    train, test = rnn_sine.make_windows(series, seq_length, fraction)
    windows, targets = test.tensors
    unit = 1.0
    if ideal is not None:
        unit = rnn_sine.rmse((series - ideal)[-n_test:])
    return SimpleNamespace(train=train, test=test, windows=windows, targets=targets, unit=unit)


def make_samples(make, window, seed):
    """The samples of one of the series above."""
    series, ideal, n_test = make(default_rng(seed), window)
    return samples(series, ideal, n_test, window)


# The predictors, modules from windows [n, time, 1] to the next values [n, 1].
class Rule(nn.Module):
    """A predictor that is a function of the windows, without weights of its own."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, windows):
        return self.function(windows)


def regression(train, features):
    """Linear regression on features [n, k, 1] of the windows."""
    windows, targets = train.tensors
    model = rnn_sine.fit_linear_regression(TensorDataset(features(windows), targets))
    return Rule(lambda windows: model(features(windows)))


def autoregression(train, order):
    """Linear regression on the newest `order` values of a window."""
    return regression(train, lambda windows: windows[:, -order:])


def ridge(train, penalty, features=lambda windows: windows.flatten(1)):
    """Linear regression on features [n, k] of the windows; a penalty draws the weights towards zero."""
    windows, targets = train.tensors
    inputs = features(windows).double()
    matrix = inputs.T @ inputs + penalty * torch.eye(inputs.size(1))
    weights = torch.linalg.solve(matrix, inputs.T @ targets.double())
    return Rule(lambda windows: (features(windows).double() @ weights).float())


def products(windows):
    """The number 1, the values of each window [time, 1], and all products of two of them: [n, k]."""
    values = windows.flatten(1)
    one, other = torch.triu_indices(values.size(1), values.size(1))
    return torch.cat([torch.ones_like(values[:, :1]), values, values[:, one] * values[:, other]], dim=1)


def find_nearest(train, order, number):
    """A function from windows [n, time, 1] to the places [n, number] of the training windows that are nearest to each.

    The distance is that of the newest `order` values.
    """
    known = train.tensors[0][:, -order:, 0].double()

    def find(windows):
        distances = torch.cdist(windows[:, -order:, 0].double(), known)
        return distances.topk(number, largest=False).indices

    return find


def nearest_neighbours(train, order, number):
    """The mean of what came after the nearest training windows."""
    find = find_nearest(train, order, number)
    targets = train.tensors[1]
    return Rule(lambda windows: targets[find(windows)].mean(dim=1))


def locally_linear(train, order, number, penalty=0.001):
    """For each window a linear regression of its own, on the training windows that are nearest to it."""
    find = find_nearest(train, order, number)
    known, targets = [tensor.double() for tensor in train.tensors]
    penalties = penalty * torch.eye(order + 1, dtype=torch.float64)
    penalties[0, 0] = 0  # none for the constant

    def predict(windows):
        places = find(windows)
        differences = known[places, -order:, 0] - windows[:, None, -order:, 0]  # [n, number, order]
        design = torch.cat([torch.ones_like(differences[:, :, :1]), differences], dim=2)
        matrix = design.mT @ design + penalties
        weights = torch.linalg.solve(matrix, design.mT @ targets[places])  # [n, order + 1, 1]
        return weights[:, 0].float()  # where all differences are 0, the constant is left

    return Rule(predict)


SHAPES = {  # of a kernel, functions of the distance over the width
    "Gaussian": lambda r: torch.exp(-0.5 * r**2),
    "Matern 3/2": lambda r: (1 + 3**0.5 * r) * torch.exp(-(3**0.5) * r),
    "Matern 5/2": lambda r: (1 + 5**0.5 * r + 5 / 3 * r**2) * torch.exp(-(5**0.5) * r),
}


def kernel_ridge(train, width, penalty, fading=1.0, shape="Gaussian"):
    """Kernel ridge regression; each value of a window counts `fading` times as much as the next one."""
    factors = fading ** torch.arange(train.tensors[0].size(1) - 1, -1, -1)

    def kernel(windows, others):
        distances = torch.cdist((windows[:, :, 0] * factors).double(), (others[:, :, 0] * factors).double())
        return SHAPES[shape](distances / width)

    known, targets = train.tensors
    matrix = kernel(known, known) + penalty * torch.eye(len(known))
    coefficients = torch.linalg.solve(matrix, targets.double())
    return Rule(lambda windows: (kernel(windows, known) @ coefficients).float())


def bounded(fit, train, **setting):
    """The predictor that `fit` makes, kept within the range of the training targets, so that it can't run away."""
    model = fit(train, **setting)
    low, high = train.tensors[1].min(), train.tensors[1].max()
    return Rule(lambda windows: model(windows).clamp(low, high))


def table_of_counts(train):
    """The mean of the values that came in the training part of pairs after as many ones since the last 0."""

    def count(windows):
        ones = (windows.flatten(1) > 0).long()
        return ones.flip(1).cumprod(1).sum(1)

    windows, targets = train.tensors
    table = torch.zeros(100, 1)  # the mean, for a count that never came
    for number in count(windows).unique():
        table[number] = targets[count(windows) == number].mean()
    return Rule(lambda windows: table[count(windows)])


def joined_points(train):
    """A function of the last value alone: the training samples as points, joined by lines."""
    windows, targets = train.tensors
    last_values, order = windows[:, -1, 0].double().sort()
    next_values = targets[order, 0].double()

    def predict(windows):
        return torch.from_numpy(np.interp(windows[:, -1], last_values, next_values)).float()

    return Rule(predict)


def fitted_sine(series, n_test):
    """A sine of any frequency, size and start, fitted to all values [time] but the last ones: what it says of these."""
    times = np.arange(len(series))

    def fit(frequency):
        """The sum of squared errors, and what the sine says."""
        waves = np.stack([np.sin(frequency * times), np.cos(frequency * times)], axis=1)
        sizes, squares, _, _ = np.linalg.lstsq(waves[:-n_test], series[:-n_test], rcond=None)
        return squares[0], waves[-n_test:] @ sizes

    frequencies = np.linspace(0.001, 0.2, 400)
    for _ in range(2):  # then finer, around the best one
        best = min(frequencies, key=lambda frequency: fit(frequency)[0])
        frequencies = best + np.linspace(-0.0005, 0.0005, 401)
    best = min(frequencies, key=lambda frequency: fit(frequency)[0])
    return fit(best)[1]


def network(kind, data, seed, units=64, rate=0.001, epochs=100, layers=1, **settings):
    """A trained network, by the first word of its `kind`: MLP, RNN, GRU or LSTM; the defaults are the article's."""
    word = kind.replace(",", "").split()[0]
    torch.manual_seed(seed)
    if word == "MLP":
        model = rnn_sine.make_mlp(data.windows.size(1), units)
    else:
        model = rnn_sine.SimpleRNN(1, units, layers, 1)
    if word in ("GRU", "LSTM"):
        model.rnn = getattr(nn, word)(1, units, layers, batch_first=True)
    rnn_sine.train_with_adam(model, data.train, data.test, epochs, learning_rate=rate, **settings)
    return model


def cycle(units, rate, epochs=100, clip=0.1):
    """Settings of a network with one cycle of the learning rate up to `rate`."""
    return {"units": units, "rate": rate, "epochs": epochs, "one_cycle": True, "max_grad_norm": clip}


RULES = {  # fitted without a gradient
    "mean": lambda train: Rule(lambda windows: 0 * windows[:, 0]),
    "persistence": lambda train: rnn_sine.Persistence(),
    "last period": lambda train: Rule(lambda windows: windows[:, 0]),
    "last period, one fitted factor": partial(ridge, penalty=0, features=lambda windows: windows[:, 0]),
    "linear regression": rnn_sine.fit_linear_regression,
    "linear regression, two values": partial(autoregression, order=2),
    "linear regression with squares": lambda train: regression(train, lambda x: torch.cat([x, x**2], dim=1)),
    "points joined by lines": joined_points,
    "table of counts": table_of_counts,
    "ridge": ridge,
}
SEASON = {"mean": {}, "last period": {}, "last period, one fitted factor": {}, "linear regression": {}}
NOISY = {"persistence": {}, "linear regression": {}}
PAIRS = {
    "linear regression": {},
    "table of counts": {},
    "MLP, 1 unit": cycle(1, 0.3, 10),
    "MLP, 8 units": cycle(8, 0.3, 10),
    "RNN, 1 unit": cycle(1, 0.1, 10),
    "RNN, 8 units": cycle(8, 0.03, 10),
}
SETTINGS = {  # series: window: predictor: its settings
    season: {
        24: {**SEASON, "MLP": cycle(64, 0.0003, 30), "RNN": cycle(64, 0.001)},
        96: {**SEASON, "MLP": cycle(64, 0.0001), "RNN": cycle(64, 0.001)},
    },
    clean_sine: {
        20: {
            **NOISY,
            "linear regression, two values": {},
            "MLP": {},
            "RNN": {},
            "RNN, better trained, 128 units": cycle(128, 0.01, clip=0.03),
            "RNN, better trained, 2 layers": {**cycle(64, 0.01, clip=0.03), "layers": 2},
        }
    },
    noisy_sine: {
        20: {**NOISY, "ridge": {"penalty": 10}, "MLP": cycle(64, 0.01), "RNN": cycle(8, 0.01)},
        60: {**NOISY, "ridge": {"penalty": 30}, "MLP": cycle(64, 0.0001), "RNN": cycle(8, 0.01)},
        120: {**NOISY, "ridge": {"penalty": 300}},
    },
    logistic_map: {
        2: {
            "linear regression": {},
            "linear regression with squares": {},
            "points joined by lines": {},
            "MLP": cycle(64, 0.1),
            "RNN": cycle(8, 0.03),
        }
    },
    pairs: {2: PAIRS, 20: PAIRS},
}


TITLES = {
    season: "season: RMSE (1 is the best possible)",
    clean_sine: "clean sine: RMSE (1 is the sine's height)",
    noisy_sine: "noisy sine: RMSE (1 is the best possible)",
    logistic_map: "logistic map: RMSE (1 is what the mean errs)",
    pairs: "pairs: RMSE (1 is the best possible)",
}


@torch.no_grad()
def rmse(predictor, dataset):
    """The RMSE of a predictor on a TensorDataset, a float."""
    windows, targets = dataset.tensors
    return float(rnn_sine.rmse((predictor(windows) - targets).numpy())[0])


# The measurements. Each gives the figures of one seed, {table: {row: {column: figure}}}.
def measure_setting(make, window, kind, setting, seed):
    """The RMSE of one predictor on the test part, in units of that of pencil and paper."""
    data = make_samples(make, window, seed)
    if kind in RULES:
        predictor = RULES[kind](data.train, **setting)
    else:
        predictor = network(kind, data, seed, **setting)
    return rmse(predictor, data.test) / data.unit


def measure_series(make, seed):
    """All predictors of a series in SETTINGS."""
    rows = {}
    for window, predictors in SETTINGS[make].items():
        for kind, setting in predictors.items():
            ratio = measure_setting(make, window, kind, setting, seed)
            rows.setdefault(kind, {})[f"window {window}"] = ratio
    if make is noisy_sine:
        series, ideal, n_test = make(default_rng(seed), 20)
        error = rnn_sine.rmse(fitted_sine(series, n_test) - series[-n_test:])
        rows["fitted sine"] = {"no window": error / rnn_sine.rmse((series - ideal)[-n_test:])}
    if make is pairs:
        one, other = rows["RNN, 1 unit"], rows["MLP, 1 unit"]
        rows["RNN / MLP, 1 unit"] = {column: one[column] / other[column] for column in one}
    return {TITLES[make]: rows}


def search_series(make, seed):
    """How each setting of a series does, and the same with a third and three times its rate or penalty."""
    rows = {}
    for window, predictors in SETTINGS[make].items():
        for kind, chosen in predictors.items():
            for name in {"rate", "penalty"} & set(chosen):
                cells = {}
                for factor in (1 / 3, 1, 3):
                    setting = {**chosen, name: factor * chosen[name]}
                    cells[f"times {factor:.2g}"] = measure_setting(make, window, kind, setting, seed)
                rows[f"window {window}, {kind}, {name} {chosen[name]}"] = cells
    return {TITLES[make]: rows}


# One unit that reads pairs: h <- tanh(a + w h), with one a after a 0 and another after a 1.
def first_page_pairs(window):
    """The samples of the first page's listing: a coin of seed 0, tossed 2,000 times."""
    coin = default_rng(0).integers(0, 2, 2000)
    ideal = np.concatenate([[0.5, 1.0][: 1 + side] for side in coin])
    scaled, mean, scale = rnn_sine.scale_series(np.repeat(coin, 1 + coin), 2)
    return samples(scaled, (ideal - mean) / scale, 609, window)


def is_odd(ones):
    """Whether the ones since the last 0 are odd in number, after each value; `ones` [time] is True for a 1."""
    odd = [False]
    for one in ones:
        odd.append(bool(one) and not odd[-1])
    return np.array(odd[1:])


def maps_of_unit(model, low, high):
    """Of a trained unit: a after a 0, a after a 1, and w; `low` and `high` are the scaled 0 and 1.

    If state and weights change their signs, the predictions stay. Here a high prediction has a negative state.
    """
    W_x, W_h, b_x, b_h = [weight.item() for weight in model.rnn.parameters()]
    sign = -np.sign(model.fc.weight.item())
    return sign * (W_x * low + b_x + b_h), sign * (W_x * high + b_x + b_h), W_h


def fixed_point(a, w):
    """An h with h = tanh(a + w h), by halving an interval; for numbers or for arrays."""
    low, high = -np.ones_like(a), np.ones_like(a)
    for _ in range(60):
        middle = (low + high) / 2
        rises = np.tanh(a + w * middle) > middle
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    return low


def slope(w, new_state):
    """The slope of h <- tanh(a + w h) where it leads to `new_state`, which is the gradient of one state by the last."""
    return w * (1 - new_state**2)


def read_ones(a, w, state, number=2000):
    """The states [number + 1] of a unit that begins with `state` and reads so many ones."""
    states = [state]
    for _ in range(number):
        states.append(np.tanh(a + w * states[-1]))
    return np.array(states)


def ones_remembered(states, middle):
    """After how many ones at most the states still lie on the right side of the fixed point, by 0.01 or more."""
    signs = (-1) ** np.arange(len(states))  # above it after an even number
    lost = np.flatnonzero(signs * (states - middle) < 0.01)
    return max(0, lost[0] - 1) if len(lost) > 0 else len(states) - 1


@torch.no_grad()
def describe_unit(model, short, long):
    """Of a unit, from samples of one series in windows of 2 and of 20, three dicts: maps and memory; gradient; errors.

    The errors are those of the unit that reads 2 values, 20, or the whole series.
    """
    windows, targets = short.train.tensors
    values = torch.cat([windows[0, :, 0], targets[:, 0], short.targets[:, 0]])  # the whole series
    ones = (values > 0).numpy()
    a_0, a_1, w = maps_of_unit(model, values.min().item(), values.max().item())
    middle = fixed_point(a_1, w)
    hidden_states = model.rnn(values.unsqueeze(1))[0]  # [time, 1]
    states = hidden_states[:, 0].numpy() * -np.sign(model.fc.weight.item())
    odd = is_odd(ones)
    lowest = states[~ones][1:].min()  # after a 0, but for the first one
    ones_read = read_ones(a_1, w, lowest)
    maps = {"a after 0": a_0, "a after 1": a_1, "w": w, "fixed point": middle, "slope there": slope(w, middle)}
    maps["odd told from even, of 100"] = 100 * np.mean((states < middle) == odd)
    maps["ones remembered"] = ones_remembered(ones_read, middle)

    low, high = ones_read[-2:].min(), ones_read[-2:].max()
    pair = slope(w, low) * slope(w, high)
    gradient = {"at the odd state": slope(w, low), "at the even state": slope(w, high)}
    gradient.update({"of a pair": pair, "of ten pairs": pair**10})

    read = model.fc(hidden_states)[-len(short.targets) - 1 : -1]  # on and on, to the value before each target
    errors = {"window 2": rmse(model, short.test) / short.unit, "window 20": rmse(model, long.test) / long.unit}
    errors["whole series"] = rnn_sine.rmse((read - short.targets).numpy())[0] / short.unit
    return maps, gradient, errors


def measure_unit(seed):
    """One unit, trained on windows of 2 as on the evidence page, and as on the first page with seeds 0 to 9."""
    maps, gradients, errors = {}, {}, {}
    for name, number, short, long, settings in (
        ("evidence", seed, make_samples(pairs, 2, seed), make_samples(pairs, 20, seed), PAIRS["RNN, 1 unit"]),
        ("first page", seed % 10, first_page_pairs(2), first_page_pairs(20), cycle(1, 0.03, 10)),
    ):
        model = network("RNN", short, number, **settings)
        unit_maps, gradients[name], errors[name] = describe_unit(model, short, long)
        maps[name] = {"seed": number, **unit_maps}
    last = short.targets[-22:-6]  # these the first page's listing reads, from the state 0 on
    states = model.rnn(last)[0][:, 0].detach().numpy() * -np.sign(model.fc.weight.item())
    shown = {column: maps["first page"][column] for column in ("a after 0", "a after 1", "w", "fixed point")}
    picture = {"value": dict(enumerate(last[:, 0].tolist())), "state": dict(enumerate(states)), "maps": shown}
    return {
        "pairs: the maps of one unit, h <- tanh(a + w h) (each seed)": maps,
        "pairs: the gradient of a state by the one before, after 2,000 ones": gradients,
        "pairs: one unit trained on windows of 2, which reads more: RMSE (1 is the best possible)": errors,
        "picture: pairs": picture,
    }


ANSWERS = np.array([[1 / 2], [1 / 2], [1], [2 / 3]])  # the best ones after 0 0, 1 0, 0 1 and 1 1, conditional means
SHARES = np.array([[1], [1], [1], [3]]) / 6  # so often these windows come


def states_after_two(a_0, a_1, w, tanh=np.tanh):
    """The states of a unit after 0 0, 1 0, 0 1 and 1 1, from the state 0 on, a list."""
    after_0, after_1 = tanh(a_0), tanh(a_1)
    return [tanh(a + w * state) for a in (a_0, a_1) for state in (after_0, after_1)]


def least_rmse(wanted_slope):
    """The least RMSE in windows of 2 of all units whose second map has this slope; 1 is the best possible.

    The unit is sought on a grid of fixed points and of a after a 0; what then remains is a regression on its state.
    """
    middle, a_0 = np.meshgrid(np.linspace(-0.99, 0.99, 199), np.linspace(-6, 6, 241))
    middle, a_0 = middle.flatten(), a_0.flatten()
    w = wanted_slope / (1 - middle**2)
    states = np.array(states_after_two(a_0, np.arctanh(middle) - w * middle, w))  # [4, grid]
    states -= np.sum(SHARES * states, axis=0)
    answers = ANSWERS - np.sum(SHARES * ANSWERS)
    spread = np.sum(SHARES * states**2, axis=0) + 1e-12  # 0 where the unit always has the same state
    explained = np.sum(SHARES * states * answers, axis=0) ** 2 / spread
    missed = np.sum(SHARES * answers**2) - explained.max()
    return np.sqrt((7 / 36 + missed) * 6)  # 7/36 is the MSE of the four answers, 1/6 the best possible


def fit_answers(seed, starts=200, steps=3000):
    """Units fitted to the four answers from random starts: a_0, a_1, w and the largest miss, arrays [starts]."""
    torch.manual_seed(seed)
    weights = torch.empty(5, starts).uniform_(-3, 3).requires_grad_()
    optimizer = torch.optim.Adam([weights])
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, steps, cycle_momentum=False)
    for _ in range(steps):
        a_0, a_1, w, factor, constant = weights
        predictions = factor * torch.stack(states_after_two(a_0, a_1, w, torch.tanh)) + constant  # [4, starts]
        misses = predictions - torch.tensor(ANSWERS)
        optimizer.zero_grad()
        torch.sum(torch.tensor(SHARES) * misses**2).backward()
        optimizer.step()
        scheduler.step()
    a_0, a_1, w = weights[:3].detach().double().numpy()
    return a_0, a_1, w, misses.abs().amax(dim=0).detach().numpy()


def measure_answers(seed):
    """What the units have in common that come close to the four answers, and what a unit of a given slope can reach."""
    a_0, a_1, w, misses = fit_answers(seed)
    good = misses <= max(0.01, misses.min())
    middle = fixed_point(a_1, w)
    slopes = slope(w, middle)[good]
    sets = (np.tanh(a_0 + w) > middle) == (np.tanh(a_0 - w) > middle)
    cells = {"such, of 100": 100 * np.mean(good), "of them w < 0, of 100": 100 * np.mean(w[good] < 0)}
    cells.update({"slope < -1, of 100": 100 * np.mean(slopes < -1), "median slope": np.median(slopes)})
    cells.update({"flattest": slopes.max(), "steepest": slopes.min()})
    cells["a 0 sets the state, of 100"] = 100 * np.mean(sets[good])
    rows = {f"slope {number}": {"least RMSE": least_rmse(number)} for number in (0.5, -0.25, -0.5, -1, -1.5, -2, -3)}
    return {
        "pairs: units fitted to the four answers that miss none by more than 0.01": {"random starts": cells},
        "pairs: what a unit can reach in windows of 2: RMSE (1 is the best possible)": rows,
    }


# The clean sine: what makes its errors grow, and what makes the training better.
def smallest_sum(number):
    """A weighted sum of the newest `number` values that continues the article's sine, with the smallest weights."""
    angles = 10 * np.pi / 1019 * np.arange(number + 1)
    waves = np.array([np.sin(angles), np.cos(angles)])  # every sine of this frequency is a sum of these two
    weights = torch.tensor(np.linalg.pinv(waves[:, :number]) @ waves[:, number]).float()
    return Rule(lambda windows: windows[:, -number:, 0] @ weights.unsqueeze(1))


def noise_ahead(model, windows, steps, seed):
    """How far noise in the windows moves the forecasts 1 ... `steps` steps ahead, [steps]; 1 is the noise's size."""
    torch.manual_seed(seed)
    noise = 0.001 * torch.randn_like(windows)
    clean = rnn_sine.forecast(model, windows, steps, "cpu")
    noisy = rnn_sine.forecast(model, windows + noise, steps, "cpu")
    return rnn_sine.rmse(noisy - clean) / rnn_sine.rmse(noise.flatten().numpy())


@torch.no_grad()
def crossed_rmse(source, loop, data, steps):
    """The RMSE `steps` steps ahead, if the errors of `source` go through the loop of `loop`.

    An error is made by `source` at a window of true values; `loop` says how the errors in a window move its prediction.
    """
    n = len(data.windows) - steps + 1
    made = source(data.windows) - data.targets  # [n + steps - 1, 1]
    wrong = torch.zeros_like(data.windows[:n])
    for step in range(steps):
        truth = data.windows[step : step + n]
        moved = loop(truth + wrong) - loop(truth)
        wrong = rnn_sine.slide(wrong, moved + made[step : step + n])
    return float(rnn_sine.rmse(wrong[:, -1].numpy())[0])


def newest_share(model, windows, number=5):
    """The share of the newest values in the mean sizes of the gradient of the prediction by the values of a window."""
    windows = windows.clone().requires_grad_()
    model(windows).sum().backward()
    sizes = windows.grad.abs().mean(dim=(0, 2))
    return (sizes[-number:].sum() / sizes.sum()).item()


def train_in_eight_ways(kind, data, seed):
    """An RNN or MLP of 64 units, trained with two rates, constant or in a cycle, clipped or not: networks, rows."""
    models, rows = {}, {}
    for rate, one_cycle, clip in itertools.product((0.001, 0.01), (False, True), (None, 0.03)):
        name = f"{kind}, {'one cycle' if one_cycle else 'constant'}, {rate}, {'clipped' if clip else 'not clipped'}"
        torch.manual_seed(seed)
        models[name] = rnn_sine.make_mlp(20, 64) if kind == "MLP" else rnn_sine.SimpleRNN(1, 64, 1, 1)
        settings = {"learning_rate": rate, "one_cycle": one_cycle, "max_grad_norm": clip}
        _, losses = rnn_sine.train_with_adam(models[name], data.train, data.test, **settings)
        sizes = np.sqrt(losses)
        rows[name] = {f"epoch {epoch}": sizes[:epoch][-1] for epoch in (30, 70, 100)}
        rows[name]["largest / smallest of the last ten"] = sizes[-10:].max() / sizes[-10:].min()
    return models, rows


def measure_sine(seed):
    """The RNN and the MLP on the clean sine in eight trainings each; and how errors grow in the loop of a forecast."""
    data = make_samples(clean_sine, 20, seed)
    models, trainings = train_in_eight_ways("RNN", data, seed)
    others, other_trainings = train_in_eight_ways("MLP", data, seed)
    torch.manual_seed(seed)
    five = nn.Sequential(Rule(lambda windows: windows[:, -5:]), rnn_sine.make_mlp(5, 64))
    rnn_sine.train_with_adam(five, data.train, data.test)
    predictors = {
        "RNN": models["RNN, constant, 0.001, not clipped"],
        "RNN, better trained": models["RNN, one cycle, 0.01, clipped"],
        "MLP": others["MLP, constant, 0.001, not clipped"],
        "MLP, trained like this RNN": others["MLP, one cycle, 0.01, clipped"],
        "MLP on 5 values": five,
        "linear regression": rnn_sine.fit_linear_regression(data.train),
    }
    for number in (2, 5, 20):
        predictors[f"smallest exact sum of {number} values"] = smallest_sum(number)
    growth, sizes, cross = {}, {}, {}
    for name, predictor in predictors.items():
        moved = noise_ahead(predictor, data.windows, 64, seed)
        errors = rnn_sine.rmse(rnn_sine.errors_ahead(predictor, data.windows, data.targets, 64, "cpu"))
        growth[name] = {f"{step} ahead": moved[step - 1] for step in (1, 16, 64)}
        growth[name]["newest five, of 100"] = 100 * newest_share(predictor, data.windows)
        sizes[name] = {f"{step} ahead": errors[step - 1] for step in (1, 16, 64)}
    names = ["RNN", "RNN, better trained", "MLP", "smallest exact sum of 20 values"]
    for source in names[:3]:
        columns = {f"loop of {loop}": crossed_rmse(predictors[source], predictors[loop], data, 64) for loop in names}
        cross[f"errors of {source}"] = columns
    return {
        "clean sine: trainings, RMSE on the test part (1 is the sine's height)": {**trainings, **other_trainings},
        "clean sine: small noise in the window, how far it moves a forecast (1 is the noise)": growth,
        "clean sine: errors many steps ahead, RMSE (1 is the sine's height)": sizes,
        "clean sine: one's errors through another's loop, RMSE 64 ahead (1 is the sine's height)": cross,
    }


def measure_curve(seed):
    """For the picture of the logistic map: 100 test values, from 0 to 1, and what is predicted to come after them."""
    data = make_samples(logistic_map, 2, seed)
    windows = data.windows[:100]
    line = autoregression(data.train, 1)
    model = network("RNN", data, seed, **SETTINGS[logistic_map][2]["RNN"])
    scaled = {"last value": windows[:, -1], "linear regression on the last value": line(windows), "RNN": model(windows)}
    picture = {}
    for name, values in scaled.items():
        picture[name] = dict(enumerate((values[:, 0] / np.sqrt(8) + 1 / 2).tolist()))
    return {"picture: curve": picture}


# The laser, in windows of 20. A rival has a grid of settings; the networks' settings come from the search.
FADING = {"penalty": [1e-6, 1e-5, 1e-4, 1e-3, 1e-2], "fading": [0.75, 0.8, 0.85, 0.9, 0.95]}
LASER_RIVALS = {
    "ridge on products of two values": (partial(ridge, features=products), {"penalty": [0.01, 0.1, 1, 10, 100, 1000]}),
    "nearest neighbours": (nearest_neighbours, {"order": [2, 3, 4, 6, 8, 12, 20], "number": [1, 2, 3, 4, 8]}),
    "locally linear": (locally_linear, {"order": [2, 3, 4, 6, 8, 12], "number": [10, 20, 40, 80, 160]}),
    "kernel ridge": (kernel_ridge, {"width": [1, 2, 3, 4, 6, 8], "penalty": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]}),
    "kernel ridge, fading": (kernel_ridge, {"width": [1, 1.5, 2, 3, 4], **FADING}),
    "kernel ridge, fading, Matern 3/2": (partial(kernel_ridge, shape="Matern 3/2"), {"width": [4, 8, 16, 32], **FADING}),
    "kernel ridge, fading, Matern 5/2": (partial(kernel_ridge, shape="Matern 5/2"), {"width": [2, 4, 8, 16], **FADING}),
}
LASER_NETWORKS = {
    "MLP": {},
    "RNN": {},
    "MLP, tuned for 1 step": cycle(64, 0.01),
    "MLP, tuned for 16 steps": cycle(64, 0.003),
    "MLP, as the RNN for 16 steps": cycle(64, 0.001),
    "MLP of 198 units, tuned for 1 step": cycle(198, 0.003),
    "MLP of 198 units, tuned for 16 steps": cycle(198, 0.001),
    "RNN, tuned for 1 step": cycle(64, 0.01),
    "RNN, tuned for 16 steps": cycle(64, 0.001),
    "GRU, as the RNN for 1 step": cycle(64, 0.01),
    "GRU, as the RNN for 16 steps": cycle(64, 0.001),
    "LSTM, as the RNN for 1 step": cycle(64, 0.01),
    "LSTM, as the RNN for 16 steps": cycle(64, 0.001),
}
LASER_KERNELS = [f"{name}, tuned for 1 step" for name in LASER_RIVALS if name.startswith("kernel")]
LASER_PAIRS = {  # steps ahead: who is compared: with whom
    1: {
        "MLP, tuned for 1 step": ["linear regression"],
        "RNN, tuned for 1 step": ["linear regression", "MLP, tuned for 1 step"] + LASER_KERNELS,
        "LSTM, as the RNN for 1 step": ["RNN, tuned for 1 step", "MLP, tuned for 1 step"] + LASER_KERNELS,
    },
    16: {
        "kernel ridge, tuned for 16 steps": [
            "MLP, tuned for 16 steps", "RNN, tuned for 16 steps", "LSTM, as the RNN for 16 steps"],
    },
}
LASER_TITLE = "laser: RMSE (1 is the laser's unit; its values are 0 to 255)"


def laser_samples(n_values):
    """The samples of the first `n_values` laser values, scaled and split as the program does it."""
    scaled, mean, scale = rnn_sine.scale_series(LASER[:n_values], 20)
    train, test = rnn_sine.make_windows(scaled, 20)
    windows, targets = test.tensors
    return SimpleNamespace(train=train, test=test, windows=windows, targets=targets, mean=mean, scale=scale)


def last_fifth(data):
    """Samples whose test part is the last fifth of the training part of others."""
    windows, targets = data.train.tensors
    cut = int(0.8 * len(windows))
    train = TensorDataset(windows[:cut], targets[:cut])
    windows, targets = windows[cut:], targets[cut:]
    test = TensorDataset(windows, targets)
    return SimpleNamespace(train=train, test=test, windows=windows, targets=targets, scale=data.scale)


def laser_errors(predictor, data):
    """The errors [n, 16] of a predictor on a test part of the laser, 1 to 16 steps ahead, in the laser's unit."""
    return data.scale * rnn_sine.errors_ahead(predictor, data.windows, data.targets, 16, "cpu")


def laser_cells(errors, prefix=""):
    """The RMSEs of such errors, 1, 4 and 16 steps ahead, by column."""
    sizes = rnn_sine.rmse(errors)
    return {f"{prefix}{step} ahead": sizes[step - 1] for step in STEPS}


@functools.cache  # the same for all seeds of a process
def tune(name, n_values):
    """The settings of a rival that err least 1 and 16 steps ahead on the last fifth of the training part, two dicts."""
    fit, grid = LASER_RIVALS[name]
    data = last_fifth(laser_samples(n_values))
    found = []
    for values in itertools.product(*grid.values()):
        setting = dict(zip(grid, values))
        sizes = rnn_sine.rmse(laser_errors(bounded(fit, data.train, **setting), data))
        found.append((sizes, setting))
    best_now = min(found, key=lambda pair: pair[0][0])
    best_later = min(found, key=lambda pair: pair[0][15])
    return best_now[1], best_later[1]


def laser_rivals(n_values):
    """The predictors of the laser without a network, by name, fitted to the whole training part."""
    train = laser_samples(n_values).train
    predictors = {"persistence": rnn_sine.Persistence(), "linear regression": rnn_sine.fit_linear_regression(train)}
    for name, (fit, grid) in LASER_RIVALS.items():
        for steps, setting in zip(("1 step", "16 steps"), tune(name, n_values)):
            predictors[f"{name}, tuned for {steps}"] = bounded(fit, train, **setting)
    return predictors


def laser_rest():
    """The 8,093 values after the others, as samples that are all for testing."""
    data = laser_samples(len(LASER))
    scaled = (np.concatenate([LASER, LASER_REST]) - data.mean) / data.scale
    rest = samples(scaled, None, len(LASER_REST), 20)
    rest.scale = data.scale
    return rest


@functools.cache
def errors_of_laser_rivals():
    """Two dicts, from their names to their errors on the test part and on the rest."""
    data, rest = laser_samples(len(LASER)), laser_rest()
    predictors = laser_rivals(len(LASER))
    test_errors = {name: laser_errors(predictor, data) for name, predictor in predictors.items()}
    rest_errors = {name: laser_errors(predictor, rest) for name, predictor in predictors.items()}
    return test_errors, rest_errors


def measure_laser(seed):
    """All predictors on the test part of the laser and on the 8,093 values after it, which nothing was fitted to."""
    data, rest = laser_samples(len(LASER)), laser_rest()
    test_errors, rest_errors = [errors.copy() for errors in errors_of_laser_rivals()]
    networks = {name: network(name, data, seed, **setting) for name, setting in LASER_NETWORKS.items()}
    for name, predictor in networks.items():
        test_errors[name] = laser_errors(predictor, data)
        rest_errors[name] = laser_errors(predictor, rest)
    rows = {}
    for name in test_errors:
        rows[name] = {**laser_cells(test_errors[name]), **laser_cells(rest_errors[name], "rest, ")}
    wins = {}
    for steps, compared in LASER_PAIRS.items():
        for one, others in compared.items():
            for other in others:
                wins[f"{steps} ahead: {one} less than {other}"] = {
                    "parts of the test": parts_won(test_errors[one], test_errors[other], steps),
                    "parts of the rest": parts_won(rest_errors[one], rest_errors[other], steps),
                }

    scaled = (LASER - data.mean) / data.scale
    longer_rows = {}
    for name in ("RNN, tuned for 1 step", "LSTM, as the RNN for 1 step"):
        longer_rows[name] = {}
        for length in (20, 40, 80, 160):
            longer = samples(scaled, None, len(data.test), length)
            longer_rows[name][f"reads {length}"] = data.scale * rmse(networks[name], longer.test)

    truth = LASER[-110:]
    picture = {"true value": dict(enumerate(truth))}
    for name in ("linear regression", "RNN, tuned for 1 step", "LSTM, as the RNN for 1 step"):
        picture[name] = dict(enumerate(truth + test_errors[name][-110:, 0]))
    return {
        LASER_TITLE: rows,
        "laser: in so many of ten parts it errs less": wins,
        f"{LASER_TITLE}, trained on windows of 20, one step ahead": longer_rows,
        "picture: laser": picture,
    }


def measure_short_laser(seed):
    """The first 1,000 values of the laser alone, in whose test part no pulse collapses."""
    data = laser_samples(1000)
    predictors = laser_rivals(1000)
    for name in ("MLP, tuned for 1 step", "RNN, tuned for 1 step", "LSTM, as the RNN for 1 step"):
        predictors[name] = network(name, data, seed, **LASER_NETWORKS[name])
    rows = {name: laser_cells(laser_errors(predictor, data)) for name, predictor in predictors.items()}
    return {f"first 1,000 values of the {LASER_TITLE}": rows}


def search_laser(seed):
    """How the networks err on the last fifth of the laser's training part, with different peaks."""
    data = last_fifth(laser_samples(len(LASER)))
    rows = {}
    for kind, units in (("MLP", 64), ("MLP", 198), ("RNN", 64)):
        for peak in (0.0003, 0.001, 0.003, 0.01, 0.03):
            model = network(kind, data, seed, **cycle(units, peak))
            rows[f"{kind} of {units} units, peak {peak}"] = laser_cells(laser_errors(model, data))
    return {f"last fifth of the training part of the {LASER_TITLE}": rows}


def parts_won(errors, others, steps=1):
    """In how many of ten parts the errors [n, k] are smaller than the others, so many steps ahead."""
    best, counts = rnn_sine.count_wins({"one": errors[:, steps - 1 :], "other": others[:, steps - 1 :]})
    return counts["other"] if best == "one" else 10 - counts["one"]


def parts_lost(errors):
    """How many of ten parts each of the errors [k, n] but the best one loses to the best one, a dict by place."""
    named = {place: array[:, np.newaxis] for place, array in enumerate(errors)}
    return rnn_sine.count_wins(named)[1]


# The sunspots. The last 172 years are four test parts, each predicted from the years before it.
SUNSPOT_ENDS = (180, 223, 266, 309)
YEARS_EACH = 43


def best_order(train, corrected=True):
    """The order of autoregression, 1 to 20, with the least Akaike criterion; and this criterion, AIC or AICc.

    AICc corrects AIC for few samples. The columns of `q` are the constant and the values, newest first, made orthogonal
    one after the other; so each order leaves what its columns do not explain.
    """
    windows, targets = [tensor.double() for tensor in train.tensors]
    design = torch.cat([torch.ones_like(targets), windows.flatten(1).flip(1)], dim=1)
    q, _ = torch.linalg.qr(design)
    explained = (q.T @ targets)[:, 0].square().cumsum(0).numpy()  # [1 + orders], the constant alone first
    n = len(targets)
    orders = np.arange(1, min(len(explained), n - 3))
    n_parameters = orders + 2  # with the constant and the variance of the errors
    criteria = n * np.log((targets.square().sum().item() - explained[orders]) / n) + 2 * n_parameters
    if corrected:
        criteria += 2 * n_parameters * (n_parameters + 1) / (n - n_parameters - 1)
    return int(orders[criteria.argmin()]), criteria.min()


def best_autoregression(train, corrected=True):
    """The autoregression whose order the criterion prefers."""
    return autoregression(train, best_order(train, corrected)[0])


def threshold_autoregression(train):
    """Two autoregressions: which of them predicts is decided by one value of the window, above a threshold or not.

    AICc chooses how long ago this value is, 1 to 12 steps, the threshold, and both orders (Tong, 1990).
    """
    windows, targets = train.tensors
    best_sides, least = None, np.inf
    for delay in range(1, 13):
        for threshold in np.quantile(windows[:, -delay], np.linspace(0.2, 0.8, 13)):
            above = windows[:, -delay, 0] > threshold
            sides = [TensorDataset(windows[side], targets[side]) for side in (~above, above)]
            value = sum(best_order(side)[1] for side in sides)
            if value < least:
                best_sides, least = (delay, threshold, sides), value
    delay, threshold, sides = best_sides
    low, high = [best_autoregression(side) for side in sides]
    return Rule(lambda windows: torch.where(windows[:, -delay] > threshold, high(windows), low(windows)))


SUNSPOT_RIVALS = {
    "persistence": lambda train: rnn_sine.Persistence(),
    "linear regression, 20 years": partial(autoregression, order=20),
    "linear regression, years by AIC": partial(best_autoregression, corrected=False),
    "linear regression, years by AICc": best_autoregression,
    "threshold autoregression by AICc": threshold_autoregression,
}


def sunspot_samples(end, scale_name):
    """The samples of the first `end` years, scaled; of their square roots, if the scale's name says so."""
    values = SUNSPOTS[:end]
    if scale_name == "square roots":
        values = np.sqrt(values + 1)
    past = values[:-YEARS_EACH]
    data = samples((values - past.mean()) / past.std(), None, YEARS_EACH, 20)
    data.mean, data.scale, data.scale_name = past.mean(), past.std(), scale_name
    return data


@torch.no_grad()
def said(predictor, data, dataset):
    """What a predictor says after the windows of a dataset, and what came, in sunspots: two arrays [n]."""
    windows, targets = dataset.tensors
    arrays = []
    for scaled in (predictor(windows), targets):
        values = data.mean + data.scale * scaled[:, 0].double().numpy()
        if data.scale_name == "square roots":
            values = values**2 - 1
        arrays.append(values)
    return arrays


@functools.cache
def sunspot_rivals(end, scale_name):
    """The predictors without a network, by name."""
    train = sunspot_samples(end, scale_name).train
    return {name: fit(train) for name, fit in SUNSPOT_RIVALS.items()}


def sunspot_predictions(scale_name, seed):
    """Two dicts, from a predictor's name to what it said and what came: in the test years, and in those that train."""
    tested, trained = {}, {}
    for end in SUNSPOT_ENDS:
        data = sunspot_samples(end, scale_name)
        predictors = sunspot_rivals(end, scale_name).copy()
        predictors["MLP"] = network("MLP", data, seed)
        predictors["RNN"] = network("RNN", data, seed)
        for name, predictor in predictors.items():
            tested.setdefault(name, []).append(said(predictor, data, data.test))
            trained.setdefault(name, []).append(said(predictor, data, data.train))
    tested = {name: np.concatenate(parts, axis=1) for name, parts in tested.items()}  # [2, 172]
    trained = {name: np.concatenate(parts, axis=1) for name, parts in trained.items()}
    return tested, trained


SUNSPOTS_TITLE = "sunspots, 172 years: RMSE (1 is linear regression on 20 years)"
SUNSPOT_PAIRS = [  # (predictor, raw or square roots), twice
    (("RNN", "raw"), ("linear regression, 20 years", "raw")),
    (("RNN", "raw"), ("linear regression, years by AIC", "square roots")),
    (("RNN", "raw"), ("linear regression, years by AICc", "square roots")),
    (("RNN", "raw"), ("threshold autoregression by AICc", "square roots")),
    (("threshold autoregression by AICc", "square roots"), ("linear regression, 20 years", "raw")),
    (("threshold autoregression by AICc", "square roots"), ("MLP", "raw")),
    (("linear regression, years by AIC", "square roots"), ("linear regression, 20 years", "raw")),
]


def measure_sunspots(seed):
    """The sunspots, as they are (raw) and by their square roots, one year ahead."""
    rows, saying, sizes, errors = {}, {}, {}, {}
    years = np.arange(2009 - len(SUNSPOT_ENDS) * YEARS_EACH, 2009)
    pictures = {}
    for scale_name in ("raw", "square roots"):
        tested, trained = sunspot_predictions(scale_name, seed)
        for name, (values, came) in tested.items():
            errors[name, scale_name] = values - came
            saying.setdefault(name, {})[scale_name] = values[years == 1958]
            if scale_name == "raw":
                sizes[name] = {"training years": rnn_sine.rmse(np.subtract(*trained[name]))}
                sizes[name]["test years"] = rnn_sine.rmse(values - came)
            pictures[f"{name}, {scale_name}"] = dict(zip(years.tolist(), values))
    units = errors["linear regression, 20 years", "raw"]
    for (name, scale_name), array in errors.items():
        row = rows.setdefault(name, {})
        row[scale_name] = rnn_sine.rmse(array) / rnn_sine.rmse(units)
    for (name, scale_name), array in errors.items():
        usual = years != 1958
        rows[name][f"{scale_name}, without 1958"] = rnn_sine.rmse(array[usual]) / rnn_sine.rmse(units[usual])
    wins = {}
    for one, other in SUNSPOT_PAIRS:
        parts = parts_won(errors[one][:, np.newaxis], errors[other][:, np.newaxis])
        wins[f"{', '.join(one)} less than {', '.join(other)}"] = {"parts": parts}
    kept = ("RNN, raw", "RNN, square roots", "linear regression, 20 years, raw",
            "linear regression, years by AIC, square roots")
    return {
        SUNSPOTS_TITLE: rows,
        "sunspots: in so many of ten parts of the 172 years it errs less": wins,
        f"sunspots: said for 1958 ({SUNSPOTS[257]:.1f} in 1957, {SUNSPOTS[258]:.1f} came)": saying,
        "sunspots, raw: RMSE (1 is one sunspot)": sizes,
        "picture: sunspots": {name: pictures[name] for name in kept},
    }


def add_mean_of_networks(figures):
    """Add the row of the mean of what the RNNs of all seeds said, which is known only when all have spoken."""
    pictures = figures["picture: sunspots"]
    years = [int(year) for year in pictures["RNN, raw"]]
    came = SUNSPOTS[-len(years) :]
    usual = np.array(years) != 1958
    row = {}
    for suffix, chosen in (("", usual | True), (", without 1958", usual)):
        units = np.ravel(list(pictures["linear regression, 20 years, raw"].values())) - came
        for scale_name in ("raw", "square roots"):
            means = np.mean(list(pictures[f"RNN, {scale_name}"].values()), axis=1)
            ratio = rnn_sine.rmse((means - came)[chosen]) / rnn_sine.rmse(units[chosen])
            row[scale_name + suffix] = [float(f"{ratio:.4g}")]
    figures[SUNSPOTS_TITLE]["mean of the RNNs of all seeds"] = row


@functools.cache
def forecast_from_1997(seed):
    """What the program's main returns for the years until 1997, asked for eleven more."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--series", str(TESTS / "sunspots_until_1997.csv"), "--ahead", "11", "--seed", str(seed)]
        return rnn_sine.main(flags + ["--device", "cpu", "--no-show", "--output", folder + "/forecast.png"])


def measure_forecast(seed):
    """Who answers when the program is asked in 1997; the forecast of the first page has seed 42."""
    results = forecast_from_1997(seed)
    rows = {}
    for name, size in results["ahead_rmse"].items():
        rows[name] = {"RMSE": size, "gives the answer, in so many of ten seeds": 10 * (name == results["ahead_by"])}
    values, low, high = results["ahead"].T
    came = SUNSPOTS[-len(values) :]
    held = (low <= came) & (came <= high)
    answer = {"RMSE": rnn_sine.rmse(values - came), "of eleven years its band held": held.sum()}
    page = forecast_from_1997(42)
    picture = dict(zip((page["ahead_by"], "low", "high"), page["ahead"].T))
    return {
        "sunspots until 1997: RMSE 1 to 11 years ahead in the test part (1 is one sunspot; mean)": rows,
        "sunspots, 1998 to 2008: RMSE (1 is one sunspot)": {"the answer": answer},
        "picture: forecast": {name: dict(enumerate(values, start=1998)) for name, values in picture.items()},
    }


def measure_rule(seed):
    """How often `count_wins` finds a loser among five equal predictors, and one of 1.41 times the others' RMSE."""
    generator = default_rng(seed)
    columns = ("one loses all ten", "the most is nine", "one of 1.41 times the RMSE loses all ten")
    rows = {}
    for correlation in (0, 0.9):
        for n in (200, 60, 20):
            found = []
            for _ in range(DRAWS):
                errors = generator.normal(size=(n + 50, 5))
                for t in range(1, n + 50):
                    errors[t] += correlation * errors[t - 1]
                errors = errors[50:].T  # by then the beginning is forgotten
                most = max(parts_lost(errors).values())
                errors[0] *= np.sqrt(2)
                found.append([most == 10, most == 9, parts_lost(errors).get(0) == 10])
            rows[f"correlation {correlation}, {n} values"] = dict(zip(columns, 100 * np.transpose(found)))
    data = make_samples(clean_sine, 20, seed)
    models = [network("MLP", data, 4 * seed + number) for number in range(4)]
    errors = [(model(data.windows) - data.targets)[:, 0].detach().numpy() for model in models]
    sizes = rnn_sine.rmse(np.transpose(errors))
    lost = max(parts_lost(errors).values())
    return {
        "the rule: of five equal predictors, in 100 test parts (mean)": rows,
        "the rule: MLPs that differ in their seed": {
            "four MLPs, clean sine": {"parts lost": lost, "largest / smallest RMSE": max(sizes) / min(sizes)}
        },
    }


def measure_band(seed):
    """How often the program's band held, and its width: on new series, and at three ends of the sunspots."""
    generator = default_rng(seed)
    cases = [("sunspots", SUNSPOTS[:end]) for end in range(190 + 4 * (seed % 10), 310, 40)]
    for _ in range(DRAWS // 5):
        for length in (1500, 300):
            cases.append((f"autoregression of 0.8, {length} values", season(generator, 1, length + 16, 0.8)[0]))
            cases.append((f"noisy sine, {length} values", noisy_sine(generator, 20, length + 16)[0]))
    rows = {}
    for name, series in cases:
        scaled, mean, scale = rnn_sine.scale_series(series[:-16], 20)
        train, test = rnn_sine.make_windows(scaled, 20)
        windows, targets = test.tensors
        models = {"persistence": rnn_sine.Persistence(), "linear regression": rnn_sine.fit_linear_regression(train)}
        if name == "sunspots":
            models["RNN"] = network("RNN", SimpleNamespace(train=train, test=test), seed)
        for kind, model in models.items():
            errors = scale * rnn_sine.errors_ahead(model, windows, targets, 16, "cpu")
            ahead = rnn_sine.next_values(model, windows, targets, errors, mean, scale, "cpu")
            values, low, high = ahead.T
            held = (low <= series[-16:]) & (series[-16:] <= high)
            row = rows.setdefault(f"{name}: {kind}", {})
            for step in STEPS:
                row.setdefault(f"{step} ahead, held", []).append(100 * held[step - 1])
                row.setdefault(f"{step} ahead, width", []).append((high - low)[step - 1] / scale)
    return {"the band: held in so many of 100; width in standard deviations (mean)": rows}


MEASUREMENTS = {  # by the name that --only takes
    "season": partial(measure_series, season),
    "clean_sine": partial(measure_series, clean_sine),
    "noisy_sine": partial(measure_series, noisy_sine),
    "logistic_map": partial(measure_series, logistic_map),
    "pairs": partial(measure_series, pairs),
    "curve": measure_curve,
    "unit": measure_unit,
    "answers": measure_answers,
    "sine": measure_sine,
    "laser": measure_laser,
    "short_laser": measure_short_laser,
    "sunspots": measure_sunspots,
    "forecast": measure_forecast,
    "band": measure_band,
    "rule": measure_rule,
}


def run(function, seed):
    """What a measurement finds for one seed, quietly, in a process of its own."""
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):
        return function(seed)


def merge(parts):
    """One dict of lists from equal dicts of figures, or of dicts of them; a list stands for its mean.

    A figure that is the same for all seeds is a list of one number.
    """
    if isinstance(parts[0], dict):
        return {key: merge([part[key] for part in parts]) for key in parts[0]}
    numbers = [float(f"{np.mean(part):.4g}") for part in parts]
    if len(set(numbers)) == 1:
        return numbers[:1]
    return numbers


def collect(measurements, seeds):
    """The figures of some measurements, {table: {row: {column: a list of one number per seed}}}.

    Of a picture, only the first seed is kept. The time that each of them took goes to the standard error.
    """
    figures = {}
    with ProcessPoolExecutor(2) as pool:
        for name, function in measurements.items():
            begin = time.time()
            found = merge(list(pool.map(partial(run, function), seeds)))
            if function is measure_sunspots:
                add_mean_of_networks(found)
            for title in found:
                if title.startswith("picture"):
                    for cells in found[title].values():
                        cells.update({column: numbers[:1] for column, numbers in cells.items()})
            figures.update(found)
            print(f"{name}: {time.time() - begin:.0f} seconds", file=sys.stderr)
    return figures


def cell(values, title):
    """The text of some seeds' figures: the median, the smallest and the largest; or the mean, if the title says so."""
    if "mean)" in title:
        return f"{np.mean(values):.3g}"
    low, middle, high = [f"{value:.{4 if 0.9 < value < 2 else 3}g}" for value in np.quantile(values, [0, 0.5, 1])]
    return middle if low == high else f"{middle} ({low}–{high})"


def row_texts(cells, columns, title):
    """The texts of a row of a table, in a list; of one row for each seed, in so many lists, if the title says so."""
    if "(each seed)" in title:
        n_seeds = max(len(values) for values in cells.values())
        return [[f"{cells[column][place % len(cells[column])]:.4g}" for column in columns] for place in range(n_seeds)]
    return [[cell(cells[column], title) if column in cells else "" for column in columns]]


def print_tables(figures):
    """Print all figures in tables of Markdown, as the evidence page has them."""
    for title, rows in figures.items():
        if not title.startswith("picture"):
            columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))
            print(f"\n{title}\n\n| | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
            for row, cells in rows.items():
                for texts in row_texts(cells, columns, title):
                    print(f"| {row} | {' | '.join(texts)} |")


def make_parser():
    """The flags of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="how many; 10 are the page's")
    parser.add_argument("--first-seed", type=int, default=200)
    parser.add_argument("--only", nargs="+", choices=list(MEASUREMENTS), help="measure these, keep the other figures")
    parser.add_argument("--search", action="store_true", help="look for settings instead, on other seeds")
    parser.add_argument("--draw", action="store_true", help="only draw the pictures again")
    return parser


def main(argv=None):
    """Do what the flags say; by default all measurements, the page's figures and the pictures."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.seeds < 1:
        parser.error("--seeds must be at least 1")
    if args.search:
        searches = {make.__name__: partial(search_series, make) for make in (noisy_sine, logistic_map, pairs, season)}
        searches["laser"] = search_laser
        print_tables(collect(searches, (100, 101, 102)))
        return
    folder = TESTS if (args.first_seed, args.seeds) == (200, 10) else Path()
    file = folder / "experiments.json"
    if not args.draw:
        figures = {}
        if args.only is not None and file.exists():
            figures = json.loads(file.read_text())
        chosen = {name: MEASUREMENTS[name] for name in args.only or MEASUREMENTS}
        found = collect(chosen, range(args.first_seed, args.first_seed + args.seeds))
        figures.update(found)
        file.write_text(json.dumps(figures, separators=(",", ":")))
        print_tables(found)
    if args.only is None:
        draw_all(json.loads(file.read_text()), folder)


if __name__ == "__main__":
    main()
