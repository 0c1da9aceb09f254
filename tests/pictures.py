"""Draw the pictures of the first page, in English and in Chinese: python tests/experiments.py --draw

Each is drawn at the size at which the page shows it. A predictor has the colour that it has in the script's picture.
The LSTM and the linear regression on square roots, which the script does not have, have one each.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import rnn_sine

SUNSPOTS = np.loadtxt(Path(__file__).with_name("sunspots.csv"), delimiter=",", skiprows=1, usecols=1)  # from 1700 on
COLORS = {
    "persistence": "C0", "linear regression": "C1", "MLP": "C2", "RNN": "C3", "LSTM": "C4",
    "linear regression on square roots": "C5",
}
CHINESE = {
    "last value": "前一个值", "next value": "下一个值", "the rule": "真实规律",
    "linear regression on the last value": "线性回归（只用前一个值）",
    "time": "时间", "intensity": "光强", "error": "误差",
    "value read": "读入的值", "hidden state": "隐藏状态", "a toss, so 1/2": "抛硬币：1/2", "surely 1": "一定是 1",
    "hidden state before": "读入之前的隐藏状态", "hidden state after": "读入之后的隐藏状态",
    "reading a 0": "读到 0", "reading a 1": "读到 1", "unchanged": "不变", "ones, one after the other": "连续读到 1",
    "year": "年份", "sunspot number": "太阳黑子数", "the four test parts": "四段测试集",
    "linear regression on square roots": "先取平方根的线性回归",
    "known when predicting": "预测时已知", "what came": "后来的真实值", "prediction": "预测值",
}


def new_figure(width, height, *shape, **settings):
    """A figure of so many pixels, and its axes."""
    inches = (width / 100, height / 100)
    return plt.subplots(*shape, figsize=inches, layout="constrained", **settings)


def finish(ax, columns, **labels):
    """Label the axes, set their legend below all panels, and return the figure."""
    ax.set(**labels)
    handles, names = ax.get_legend_handles_labels()
    ax.figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
    return ax.figure


def draw_curve(picture):
    """The logistic map: the next value against the last one, as it is and as predicted."""
    _, ax = new_figure(680, 400)
    x = np.linspace(0, 1, 200)
    ax.plot(x, 4 * x * (1 - x), color="lightgrey", linewidth=7, label="the rule")
    last = picture["last value"]
    order = last.argsort()
    line = "linear regression on the last value"
    ax.plot(last[order], picture[line][order], color=COLORS["linear regression"], label=line)
    ax.plot(last, picture["RNN"], ".", color=COLORS["RNN"], label="RNN")
    return finish(ax, 3, xlabel="last value", ylabel="next value")


def draw_laser(picture):
    """The last laser values, one step ahead, and the errors below them."""
    _, (upper, lower) = new_figure(830, 520, 2, 1, sharex=True, height_ratios=[2, 1])
    truth = picture.pop("true value")
    places = np.arange(len(truth)) + 1
    upper.plot(places, truth, color="lightgrey", linewidth=6, label="actual")
    for name, predictions in picture.items():
        short = name.split(",")[0]  # "RNN, tuned for 1 step" is drawn as the RNN
        width = 2.2 if short == "RNN" else 1.2  # so that the RNN is seen behind the LSTM
        style = {"color": COLORS[short], "linewidth": width}
        upper.plot(places, predictions, label=short, **style)
        lower.plot(places, predictions - truth, **style)
    lower.axhline(0, color="lightgrey", linewidth=6, zorder=0)
    lower.set(xlabel="time", ylabel="error")
    return finish(upper, 4, ylabel="intensity")


def draw_pairs(picture):
    """The hidden state of one unit over the values that the first page prints; beside it the unit's two maps.

    Above the fixed point of the map of a 1, the unit says that the next value is a toss.
    """
    _, (left, right) = new_figure(830, 400, 1, 2, width_ratios=[1.4, 1])
    a_0, a_1, w, middle = picture["maps"]
    n = len(picture["state"])
    left.axhspan(middle, 1.6, color="C0", alpha=0.12, linewidth=0)
    left.axhspan(-1.6, middle, color="C1", alpha=0.15, linewidth=0)
    left.text(n - 0.7, 1.3, "a toss, so 1/2", ha="right", va="center")
    left.text(n - 0.7, -1.35, "surely 1", ha="right", va="center")
    left.plot(picture["state"], "o-", color=COLORS["RNN"])
    left.set_xticks(range(n), [f"{value > 0:d}" for value in picture["value"]])
    left.set(xlabel="value read", ylabel="hidden state")
    left.set(xlim=(-0.7, n - 0.3), ylim=(-1.6, 1.6), yticks=[-1, 0, 1])

    h = np.linspace(-1, 1, 200)
    right.plot(h, h, color="lightgrey", label="unchanged")
    right.plot(h, np.tanh(a_0 + w * h), color="C7", linestyle="--", label="reading a 0")
    right.plot(h, np.tanh(a_1 + w * h), color="black", label="reading a 1")
    path = [middle + 0.06]
    for _ in range(20):
        path.append(np.tanh(a_1 + w * path[-1]))
    corners = np.repeat(path, 2)  # from the diagonal up or down to the map, then across to the diagonal
    right.plot(corners[:-2], corners[1:-1], color=COLORS["RNN"], linewidth=1.2, label="ones, one after the other")
    right.plot(middle, middle, "o", color="black")
    right.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    return finish(right, 4, xlabel="hidden state before", ylabel="hidden state after")


def draw_sunspots():
    """The sunspot numbers, with the parts that tested."""
    _, ax = new_figure(830, 290)
    for begin in (1837, 1880, 1923, 1966):
        label = "the four test parts" if begin == 1837 else None  # one entry in the legend is enough
        ax.axvspan(begin, begin + 42, color="C0", alpha=0.2, linewidth=0, label=label)
    years = 1700 + np.arange(len(SUNSPOTS))
    ax.plot(years, SUNSPOTS, color="dimgrey", linewidth=1.2, label="actual")
    return finish(ax, 2, xlabel="year", ylabel="sunspot number", xlim=(1697, 2011), ylim=0)


def draw_1958(picture):
    """The years around 1958, each predicted from the years before it."""
    _, ax = new_figure(830, 360)
    years = np.arange(1945, 1971)
    ax.axvline(1958, color="black", linewidth=1, linestyle=":")
    ax.plot(years, SUNSPOTS[years - 1700], color="lightgrey", linewidth=6, label="actual")
    shown = {
        "RNN": picture["RNN, raw"],
        "linear regression on square roots": picture["linear regression, years by AIC, square roots"],
    }
    for label, predictions in shown.items():
        ax.plot(years, predictions[years - 1837], ".-", color=COLORS[label], label=label)
    ticks = [1945, 1950, 1955, 1958, 1965, 1970]
    return finish(ax, 3, xlabel="year", ylabel="sunspot number", xticks=ticks, ylim=0)


def draw_forecast(picture):
    """The forecast that the first page prints, after the years that it knew, with its band and what came."""
    _, ax = new_figure(830, 390)
    known = np.arange(1938, 1998)
    came = np.arange(1997, 2009)
    future = came[1:]
    ax.plot(known, SUNSPOTS[known - 1700], color="dimgrey", linewidth=1.2, label="known when predicting")
    name = next(iter(picture))
    values, low, high = picture.values()
    ax.fill_between(future, low, high, color=COLORS[name], alpha=0.2, linewidth=0, label="90 % band")
    ax.plot(came, SUNSPOTS[came - 1700], color="lightgrey", linewidth=6, label="what came")
    ax.plot(future, values, ".-", color=COLORS[name], label=f"prediction: {name}")
    return finish(ax, 2, xlabel="year", ylabel="sunspot number")


def draw_all(figures, folder):
    """Draw all pictures into a folder, from the figures of the measurements; Chinese labels need a Chinese font."""

    def picture(name):
        """The figures of the first seed, {row: an array}."""
        rows = figures[f"picture: {name}"]
        return {row: np.array([numbers[0] for numbers in cells.values()]) for row, cells in rows.items()}

    rnn_sine.CHINESE_LABELS.update(CHINESE)
    with plt.rc_context({"font.size": 12}):
        drawn = {
            "curve": draw_curve(picture("curve")),
            "laser": draw_laser(picture("laser")),
            "pairs": draw_pairs(picture("pairs")),
            "sunspots": draw_sunspots(),
            "sunspots_1958": draw_1958(picture("sunspots")),
            "forecast": draw_forecast(picture("forecast")),
        }
        for name, figure in drawn.items():
            figure.savefig(folder / f"{name}.png")
        for name, figure in drawn.items():
            rnn_sine.label_in_chinese(figure)
            if figure.axes[-1].get_xlabel().isascii():
                raise SystemExit("The Chinese pictures need a Chinese font: install one, for example Noto Sans CJK.")
            figure.savefig(folder / f"{name}_zh.png")
