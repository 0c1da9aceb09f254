"""Measure what the evidence page, tests/README.md, says, and draw the picture of both pages.

    python tests/experiments.py              all tables, on ten seeds from 200 on, in 40 minutes on two cores
    python tests/experiments.py --seeds 2    a quick look, which writes into the current folder
    python tests/experiments.py --draw       the picture alone, from experiments.json
    python tests/experiments.py --search     the settings beside a third and three times theirs, seeds 100 to 102

A seed decides the first weights, the batches, and the series where it is random. A figure is the median over the seeds
(the smallest to the largest), or the mean where it says so.
"""

import argparse
import contextlib
import io
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

os.environ["MPLBACKEND"] = "Agg"  # pyplot reads it when it is imported
TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS.parent))

import matplotlib.pyplot as plt
import numpy as np
import torch
from numpy.random import default_rng
from torch.utils.data import TensorDataset

import rnn_sine

SUNSPOTS = np.loadtxt(TESTS / "sunspots.csv", delimiter=",", skiprows=1, usecols=1)  # from 1700 on
DRAWS = 200  # of each kind of errors, for the script's rule; a fifth as many series for its band

# The series, of mean 0 and, but for the sines, variance 1. Each gives its values [time]; the ideal, what pencil and
# paper predict of them, or else the mean, so that errors are in units of the variance; and how many values test.
def clean_sine(generator, window):
    """The article's sine."""
    return np.sin(np.linspace(0, 10 * np.pi, 1000 + window)), 0, 200


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


def season(generator, period, length=2400):
    """x_t = 0.9 x_{t-T} + e_t, with e of variance 0.19; the ideal is 0.9 x_{t-T}."""
    e = generator.normal(0, np.sqrt(0.19), 10 * period + length)
    x = e.copy()
    for t in range(period, len(x)):
        x[t] += 0.9 * x[t - period]
    return x[-length:], (x - e)[-length:], 480  # by then the beginning is forgotten


def samples(series, ideal, n_test, seq_length):
    """`train` and `test` as of `make_windows`, but the last `n_test` values of the series [time] are the targets of the
    test, [n_test, 1], after its `windows` [n_test, time, 1]; and the `unit`, the MSE of the ideal on them."""
    n_samples = len(series) - seq_length
    fraction = (n_samples - n_test + 0.5) / n_samples
    train, test = rnn_sine.make_windows(series, seq_length, fraction)
    windows, targets = test.tensors
    unit = np.square(series - ideal)[-n_test:].mean()
    return SimpleNamespace(train=train, test=test, windows=windows, targets=targets, unit=unit)


def make_samples(make, window, seed):
    """The samples of one of the series above."""
    series, ideal, n_test = make(default_rng(seed), window)
    return samples(series, ideal, n_test, window)


# The predictors, functions from windows [n, time, 1] to the next values [n, 1].
def regression(train, features):
    """Linear regression on features [n, k, 1] of the windows."""
    windows, targets = train.tensors
    model = rnn_sine.linear_regression(TensorDataset(features(windows), targets))
    return lambda windows: model(features(windows))


def autoregression(train, order):
    """Linear regression on the newest `order` values of a window."""
    return regression(train, lambda windows: windows[:, -order:])


def ridge(train, penalty):
    """Linear regression whose weights a penalty draws towards zero."""
    windows, targets = train.tensors
    inputs = windows.flatten(1)
    matrix = inputs.T @ inputs + penalty * torch.eye(inputs.size(1))
    weights = torch.linalg.solve(matrix, inputs.T @ targets)
    return lambda windows: windows.flatten(1) @ weights


def table_of_counts(train):
    """The mean of the values that came in the training part of pairs after as many ones since the last 0."""

    def count(windows):
        ones = (windows.flatten(1) > 0).long()
        return ones.flip(1).cumprod(1).sum(1)

    windows, targets = train.tensors
    table = torch.zeros(100, 1)  # the mean, for a count that never came
    for number in count(windows).unique():
        table[number] = targets[count(windows) == number].mean()
    return lambda windows: table[count(windows)]


def network(kind, data, seed, units=64, rate=0.001, epochs=100, layers=1, **settings):
    """A trained MLP or SimpleRNN; the defaults are the article's."""
    torch.manual_seed(seed)
    model = rnn_sine.SimpleRNN(1, units, layers, 1)
    if kind.startswith("MLP"):
        model = rnn_sine.mlp(data.windows.size(1), units)
    rnn_sine.fit(model, data.train, data.test, epochs, learning_rate=rate, **settings)
    return model


def cycle(units, rate, epochs=100, clip=0.1):
    """Settings of a network with one cycle of the learning rate up to `rate`."""
    return {"units": units, "rate": rate, "epochs": epochs, "schedule": "onecycle", "max_grad_norm": clip}


RULES = {  # fitted without a gradient
    "mean": lambda train: lambda windows: 0 * windows[:, 0],
    "persistence": lambda train: rnn_sine.Persistence(),
    "last period": lambda train: lambda windows: windows[:, 0],
    "linear regression": rnn_sine.linear_regression,
    "linear regression, two values": partial(autoregression, order=2),
    "linear regression with squares": lambda train: regression(train, lambda x: torch.cat([x, x**2], dim=1)),
    "table of counts": table_of_counts,
    "ridge": ridge,
}
SEASON = {"mean": {}, "last period": {}, "linear regression": {}}
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
            "RNN, one cycle": {"schedule": "onecycle"},
            "RNN, one cycle, peak 0.01": {"schedule": "onecycle", "rate": 0.01},
            "RNN, the same, clipped at 0.03": cycle(64, 0.01, clip=0.03),
            "RNN, clipped, 128 units": cycle(128, 0.01, clip=0.03),
            "RNN, clipped, 2 layers": {**cycle(64, 0.01, clip=0.03), "layers": 2},
        },
        40: {"RNN, the same, clipped at 0.03": cycle(64, 0.01, clip=0.03)},
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
            "MLP": cycle(64, 0.1),
            "RNN": cycle(8, 0.03),
        }
    },
    pairs: {2: PAIRS, 20: PAIRS},
}


@torch.no_grad()
def mse(predictor, dataset):
    """The mean squared error of a predictor on a TensorDataset, a float."""
    windows, targets = dataset.tensors
    return (predictor(windows) - targets).square().mean().item()


# The measurements. Each gives the figures of one seed, {table: {row: {column: figure}}}.
def measure_setting(make, window, kind, setting, seed):
    """The MSE of one predictor on the test part, in units of that of pencil and paper."""
    data = make_samples(make, window, seed)
    if kind in RULES:
        predictor = RULES[kind](data.train, **setting)
    else:
        predictor = network(kind, data, seed, **setting)
    return mse(predictor, data.test) / data.unit


def measure_series(make, seed):
    """All predictors of a series in SETTINGS."""
    rows = {}
    for window, predictors in SETTINGS[make].items():
        for kind, setting in predictors.items():
            ratio = measure_setting(make, window, kind, setting, seed)
            rows.setdefault(kind, {})[f"window {window}"] = ratio
    if make is pairs:
        one, other = rows["RNN, 1 unit"], rows["MLP, 1 unit"]
        rows["RNN / MLP, 1 unit"] = {column: one[column] / other[column] for column in one}
    return {f"{make.__name__}: MSE / unit": rows}


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
    return {f"{make.__name__}: MSE / unit": rows}


def measure_hidden_state(seed):
    """What one unit that was trained on windows of 2 keeps of pairs, and what longer windows give it."""
    model = network("RNN", make_samples(pairs, 2, seed), seed, **PAIRS["RNN, 1 unit"])
    longer = make_samples(pairs, 20, seed)
    ratio = mse(model, longer.test) / longer.unit  # model(windows): an RNN reads windows of any length
    low, high = longer.targets.min(), longer.targets.max()
    values = torch.cat([longer.targets[-100:], low.view(1, 1), high.expand(2000, 1)])  # then a 0, then 2,000 ones
    states = model.rnn(values)[0][:, 0].detach().numpy()
    states *= np.sign(states[102])  # positive after an even number of ones
    even, odd = states[102::2], states[101::2]
    return {
        "pairs: MSE / unit, one unit trained on windows of 2": {"RNN, 1 unit": {"window 20": ratio}},
        "pairs: hidden state of one unit over 2,000 ones": {
            "after even numbers": {"mean": even, "farthest off": min(even)},
            "after odd numbers": {"mean": odd, "farthest off": max(odd)},
        },
        "picture": {
            "hidden state": dict(enumerate(states[75:100])),
            "value": dict(enumerate(values[75:100, 0].tolist())),
        },
    }


def aic_order(train):
    """The order of autoregression, 1 to 20, that Akaike's criterion prefers on the training part."""
    criteria = {}
    for order in range(1, 21):
        criteria[order] = len(train) * np.log(mse(autoregression(train, order), train)) + 2 * order
    return min(criteria, key=criteria.get)


def parts_lost(errors):
    """Of ten parts, how many each of the errors [k, n] loses to the best by `tenths_won`, a dict by place."""
    return rnn_sine.tenths_won({place: array[:, np.newaxis] for place, array in enumerate(errors)})[1]


def measure_sunspots(seed):
    """Four test parts of 43 years, each predicted from the years before it, as they are or by their square roots."""
    errors = {}
    for end in (180, 223, 266, 309):
        years = SUNSPOTS[:end]
        for suffix, values in (("", years), (", square roots", np.sqrt(years + 1))):
            past = values[:-43]
            mean, scale = past.mean(), past.std()
            data = samples((values - mean) / scale, 0, 43, 20)
            predictors = {
                "persistence": rnn_sine.Persistence(),
                "AR(20)": autoregression(data.train, 20),
                "AR, order by AIC": autoregression(data.train, aic_order(data.train)),
                "AR(9)": autoregression(data.train, 9),
                "MLP": network("MLP", data, seed),
                "RNN": network("RNN", data, seed),
            }
            for name, predictor in predictors.items():
                predictions = scale * predictor(data.windows)[:, 0].detach().numpy() + mean
                if suffix:
                    predictions = predictions**2 - 1
                errors.setdefault(name + suffix, []).extend(predictions - years[-43:])
    unit = np.square(errors["AR(20)"]).mean()
    rows = {name: {"172 years": np.square(errors[name]) / unit} for name in errors}
    wins = {}
    for name, other in (
        ("RNN", "AR(20)"),
        ("RNN", "AR, order by AIC, square roots"),
        ("AR, order by AIC, square roots", "AR(20)"),
    ):
        lost = parts_lost(np.array([errors[name], errors[other]]))
        wins[f"{name} less than {other}"] = {"parts": lost.get(1, 10 - lost.get(0, 0))}
    return {"sunspots: MSE / that of AR(20)": rows, "sunspots: in so many of ten parts it errs less": wins}


def measure_rule(seed):
    """How often `tenths_won` finds a loser among five equal predictors, and one of twice the others' MSE."""
    generator = default_rng(seed)
    columns = ("one loses ten", "one loses nine", "one of twice the MSE loses ten")
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
    sizes = np.square(errors).mean(axis=1)
    lost = max(parts_lost(errors).values())
    return {
        "the rule: of five equal predictors, in 100 test parts (mean)": rows,
        "the rule: MLPs that differ in their seed": {
            "four MLPs, clean sine": {"parts lost": lost, "largest / smallest MSE": max(sizes) / min(sizes)}
        },
    }


def measure_band(seed):
    """How often the script's band held, and its width: at three ends of the sunspots, and on new series."""
    generator = default_rng(seed)
    cases = [("sunspots", SUNSPOTS[:end], 20) for end in range(190 + 4 * (seed % 10), 310, 40)]
    for _ in range(DRAWS // 5):
        for make, window in ((noisy_sine, 20), (season, 12)):
            for length in (1500, 300):
                series = make(generator, window, length + 16)[0]
                cases.append((f"{make.__name__}, {length} values", series, window))
    rows = {}
    for number, (name, series, window) in enumerate(cases):
        past, mean, scale = rnn_sine.scale_series(series[:-16], window)
        future = (series[-16:] - mean) / scale
        data = samples(past, 0, len(past) // 5, window)
        models = {"linear regression": rnn_sine.linear_regression(data.train)}
        if number < 43:  # three of the sunspots, ten of each other row
            models["RNN"] = network("RNN", data, seed, **cycle(64, 0.003, 12000 // len(past)))
        for kind, model in models.items():
            errors = rnn_sine.errors_ahead(model, data.windows, data.targets, 16, "cpu")
            values, low, high = rnn_sine.next_values(model, data.windows, data.targets, errors, "cpu").T
            held = (low <= future) & (future <= high)
            for step in (0, 3, 15):
                row = rows.setdefault(f"{name}, {step + 1} ahead: {kind}", {"held, of 100": [], "width": []})
                row["held, of 100"].append(100 * held[step])
                row["width"].append(high[step] - low[step])
    return {"the band (mean)": rows}


MEASUREMENTS = [partial(measure_series, make) for make in SETTINGS]
MEASUREMENTS += [measure_sunspots, measure_band, measure_rule, measure_hidden_state]


def run(function, seed):
    """What a measurement finds for one seed, quietly, in a process of its own."""
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):
        return function(seed)


def merge(parts):
    """One dict of lists from equal dicts of figures, or of dicts of them; a list stands for its mean."""
    if isinstance(parts[0], dict):
        return {key: merge([part[key] for part in parts]) for key in parts[0]}
    return [float(f"{np.mean(part):.4g}") for part in parts]


def collect(measurements, seeds):
    """The figures of some measurements, {table: {row: {column: a list of one number per seed}}}."""
    figures = {}
    with ProcessPoolExecutor(2) as pool:
        for function in measurements:
            figures.update(merge(list(pool.map(partial(run, function), seeds))))
    return figures


def cell(values, title):
    """The text of some seeds' figures: the median, the smallest and the largest; or the mean, if the title says so."""
    if "(mean)" in title:
        return f"{np.mean(values):.3g}"
    low, middle, high = [f"{value:.{4 if 0.9 < value < 2 else 3}g}" for value in np.quantile(values, [0, 0.5, 1])]
    return middle if low == high else f"{middle} ({low}–{high})"


def print_tables(figures):
    """Print all figures in tables of Markdown, as the evidence page has them."""
    for title, rows in figures.items():
        columns = list(max(rows.values(), key=len))
        if title != "picture":
            print(f"\n{title}\n\n| | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
            for row, cells in rows.items():
                texts = [cell(cells[column], title) if column in cells else "" for column in columns]
                print(f"| {row.replace('_', ' ')} | {' | '.join(texts)} |")


CHINESE = {
    "logistic map": "逻辑斯谛映射",
    "pairs": "成对序列",
    "sunspots": "太阳黑子数",
    "linear regression with squares": "带平方项的线性回归",
    "AR(20)": "自回归 AR(20)",
    "AR, order by AIC, square roots": "平方根自回归，AIC 定阶",
}


def draw_marks(ax, table, names, **settings):
    """Of some predictors of a table a mark at the median, and a line over the range."""
    for height, name in enumerate(names):
        values = np.quantile(list(table[name].values()), [0, 0.5, 1]) ** 0.5
        ax.plot(values, 3 * [height], "o-", color="crimson", markevery=[1])
        ax.annotate(name, (0.02, height + 0.2), xycoords=("axes fraction", "data"))
    ax.set(ylim=(-0.5, len(names)), yticks=[], **settings)


def draw(figures, path, lang="en"):
    """The picture of both pages, from the figures of `collect`; in Chinese only where a font has it."""
    logistic_map = figures["logistic_map: MSE / unit"]
    sunspots = figures["sunspots: MSE / that of AR(20)"]
    names = ["persistence", "AR(20)", "AR, order by AIC, square roots", "MLP", "RNN"]
    states = figures["picture"]["hidden state"].values()
    values = figures["picture"]["value"].values()
    with plt.rc_context({"font.size": 14}):
        figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
        draw_marks(axes[0], logistic_map, list(logistic_map), title="logistic map", xscale="log")
        draw_marks(axes[2], sunspots, names, title="sunspots")
        axes[1].set(title="pairs", xticks=[], yticks=[-1, 0, 1], ylim=(-1.7, 1.2))
        axes[1].plot([seeds[0] for seeds in states], "o-", color="crimson")
        for step, seeds in enumerate(values):
            axes[1].text(step, -1.5, f"{seeds[0] > 0:d}", ha="center")
        if lang == "zh":
            rnn_sine.CHINESE_LABELS.update(CHINESE)
            rnn_sine.label_in_chinese(figure)
        if lang == "zh" and axes[1].get_title() == "pairs":
            print(f"So {path} is not drawn.")
        else:
            figure.savefig(path)
        plt.close(figure)


def make_parser():
    """The flags of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="how many; 10 are the page's")
    parser.add_argument("--first-seed", type=int, default=200)
    parser.add_argument("--search", action="store_true", help="look for settings instead, on other seeds")
    parser.add_argument("--draw", action="store_true", help="only draw the picture again")
    return parser


def main(argv=None):
    """Do what the flags say; by default all measurements, the page's figures and its picture."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.seeds < 1:
        parser.error("--seeds must be at least 1")
    if args.search:
        searches = [partial(search_series, make) for make in (noisy_sine, logistic_map, pairs, season)]
        print_tables(collect(searches, (100, 101, 102)))
        return
    folder = TESTS if (args.first_seed, args.seeds) == (200, 10) else Path()
    file = folder / "experiments.json"
    if not args.draw:
        figures = collect(MEASUREMENTS, range(args.first_seed, args.first_seed + args.seeds))
        file.write_text(json.dumps(figures, separators=(",", ":")))
        print_tables(figures)
    figures = json.loads(file.read_text())
    draw(figures, folder / "comparison.png")
    draw(figures, folder / "comparison_zh.png", "zh")


if __name__ == "__main__":
    main()
