"""Teach a recurrent neural network (RNN) to continue a sine, and measure whether it is any good.

An RNN reads a sequence one value at a time. At every step, the same weights combine the new value
with what was kept of the earlier ones, the hidden state. That is the one idea. How good an RNN is,
you see only beside others, so every run compares it with three simpler predictors.

    python rnn_sine.py                 train, compare, draw rnn_sine.png
    python rnn_sine.py --series FILE   the same for your own numbers
    python rnn_sine.py --help          what can be changed

Part 1 is the program of a Chinese blog article on RNNs, 循环神经网络(RNN)模型, and the defaults are
that article's; only optional arguments are ours. Begin there: it has all that an RNN needs.
"""

import argparse
import csv
import math
import os
import re
import statistics
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import font_manager
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

# Part 1: the article's program. These are its steps; most names are explained below.
#
#     train_data, test_data = generate_data()
#     train_loader = DataLoader(train_data, batch_size=32, shuffle=True)
#     model = SimpleRNN(input_size=1, hidden_size=64, num_layers=1, output_size=1)
#     optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
#     train_model(model, train_loader, nn.MSELoss(), optimizer, device="cpu")
#     predictions, actuals = evaluate_model(model, DataLoader(test_data, batch_size=32), "cpu")
#
# A tensor is PyTorch's array, on a device, "cpu" or "cuda" (a graphics card); `.to(device)` copies
# it there. We write its shape behind it: [batch, time, 1] says how many sequences are computed at
# once, how many values each of them has, and how many numbers there are at a time step.


def make_windows(series, seq_length=20, train_fraction=0.8):
    """Samples cut from a series [time]: windows, and the value after each; split in time.

    A predictor sees a window of `seq_length` values and must name the next. With `seq_length=3`:

        series      y0  y1  y2  y3  y4  y5  ...
        sample 0   [y0  y1  y2] y3                    [window] target
        sample 1       [y1  y2  y3] y4
        sample 2           [y2  y3  y4] y5

    Neighbours share all values but one, so a random split would test on what was trained on: the
    first `train_fraction` trains, the rest tests. Returns (train_data, test_data), TensorDatasets
    of windows [n, seq_length, 1] and targets [n, 1]. Raises ValueError if the series is too short.
    """
    values = torch.tensor(np.array(series), dtype=torch.float32)  # [time]
    n_train = int(train_fraction * (len(values) - seq_length))
    if n_train < 1:
        raise ValueError(f"{len(values)} values are too few to train on windows of {seq_length}")
    # unfold gives every stretch of seq_length neighbours; the last value is a target only.
    windows = values[:-1].unfold(0, seq_length, 1).unsqueeze(-1)  # [sample, time, 1]
    targets = values[seq_length:].unsqueeze(-1)  # [sample, 1]
    train_data = TensorDataset(windows[:n_train], targets[:n_train])
    test_data = TensorDataset(windows[n_train:], targets[n_train:])
    return train_data, test_data


def generate_data(n_samples=1000, seq_length=20, noise=0.0):
    """Five periods of a sine, with normal noise of standard deviation `noise`, in samples.

    The test part, about the last period, repeats what was trained on, but for the noise.
    """
    angles = np.linspace(0, 10 * np.pi, n_samples + seq_length)  # [time]
    deviations = np.random.normal(0, noise, len(angles))
    return make_windows(np.sin(angles) + deviations, seq_length)


class SimpleRNN(nn.Module):
    """A recurrent layer that reads the window, and a linear layer for the answer.

        h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h),  h_0 = 0,  for t = 1 ... T = seq_length
        y   = W_y h_T + b_y

    h_t is the hidden state after t steps, `hidden_size` numbers, each kept between -1 and 1 by
    tanh. y is the prediction. W_x [hidden, input], W_h [hidden, hidden] and W_y [output, hidden]
    are matrices, b_x, b_h [hidden] and b_y [output] are added. All these weights begin at random,
    and training changes them. As a loop, where windows in x and states in h are rows, hence .T:

        h = torch.zeros(batch, hidden_size)
        for t in range(seq_length):
            h = torch.tanh(x[:, t] @ W_x.T + b_x + h @ W_h.T + b_h)

    With `num_layers=2`, a second layer like this reads the hidden states of the first.
    """

    # A network is an nn.Module. Its __init__ makes the layers, so that PyTorch finds their weights;
    # its forward says how an answer is computed, and `model(x)` calls it.
    def __init__(self, input_size, hidden_size, num_layers, output_size):
        super().__init__()
        # self.rnn has W_x, W_h, b_x and b_h; self.fc, "fully connected", has W_y and b_y.
        self.rnn = nn.RNN(input_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, output_size)

    def forward(self, x):
        """The next values [batch, output] after the windows x [batch, time, input]."""
        hidden_states, _ = self.rnn(x)  # h_1 ... h_T: [batch, time, hidden]
        last_hidden_state = hidden_states[:, -1]  # [batch, hidden]
        return self.fc(last_hidden_state)  # [batch, output]


def train_model(model, train_loader, criterion, optimizer, device, epochs=100, test_loader=None,
                scheduler=None, max_grad_norm=None):
    """Train `model`; returns a list of its training losses and one of its losses on `test_loader`.

    An epoch is one pass over the batches of `train_loader`. For each batch,
    `criterion(predictions, targets)` is the loss, one number that says how far off the predictions
    are. Then `optimizer` moves the weights a little against the gradient, the slope of the loss
    along each weight. The learning rate, which `scheduler` may change, says how far. Each step back
    in time multiplies a gradient by W_h and a slope of tanh. So it may vanish, and early values
    teach little, or explode, and so `max_grad_norm` limits its length. Ctrl-C ends the training. A
    loss that is not finite raises FloatingPointError.
    """
    losses, test_losses = [], []
    try:
        for epoch in range(1, epochs + 1):
            model.train()  # a mode for layers that act differently in training; ours do not
            batch_losses = []
            for inputs, targets in train_loader:
                inputs, targets = inputs.to(device), targets.to(device)
                predictions = model(inputs)
                loss = criterion(predictions, targets)
                optimizer.zero_grad()  # forget the last batch's gradient
                loss.backward()  # compute this one's, back through all time steps
                if max_grad_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
                optimizer.step()  # move each weight a little
                if scheduler is not None:
                    scheduler.step()
                batch_losses.append(loss.item())
            losses.append(sum(batch_losses) / len(batch_losses))
            line = f"Epoch [{epoch}/{epochs}], Loss: {losses[-1]:.3e}"
            if test_loader is not None:
                predictions, actuals = evaluate_model(model, test_loader, device)
                test_loss = criterion(torch.tensor(predictions), torch.tensor(actuals))
                test_losses.append(test_loss.item())
                line += f", test loss: {test_losses[-1]:.3e}"
            if not np.isfinite(losses[-1:] + test_losses[-1:]).all():
                raise FloatingPointError(f"{line}: not finite, so try a lower learning rate")
            if epoch % 10 == 0 or epoch == epochs:
                print(line)
    except KeyboardInterrupt:
        print(f"Stopped in epoch {epoch} of {epochs}.")
    return losses, test_losses


@torch.no_grad()  # nothing is trained here, so nothing is recorded for backward()
def evaluate_model(model, test_loader, device):
    """The predictions for all windows of a loader, and the true values: two arrays [n, 1]."""
    model.eval()  # the mode for all but training
    predictions, actuals = [], []
    for inputs, targets in test_loader:
        predictions.append(model(inputs.to(device)).cpu())  # [batch, 1]
        actuals.append(targets.cpu())  # [batch, 1]
    return torch.cat(predictions).numpy(), torch.cat(actuals).numpy()


# Part 2: is it any good? Other predictors, each a module from windows [batch, time, 1] to the next
# values [batch, 1], as SimpleRNN is; and measurements that are the same for all of them.


class Persistence(nn.Module):
    """The last value again, the naive forecast. It has no weights."""

    def forward(self, x):
        """The last values [batch, 1] of the windows x [batch, time, 1]."""
        return x[:, -1]


def linear_regression(train_data):
    """A weighted sum of the window plus a constant, fitted by least squares."""
    windows, targets = train_data.tensors
    design = torch.cat([windows.flatten(1), torch.ones_like(targets)], dim=1)  # [sample, time + 1]
    # It is exact on a sine, y[t+1] = 2 cos(d) y[t] - y[t-1] for steps of an angle d. In 64 bits,
    # because nearly equal neighbours magnify each rounding.
    solution = torch.linalg.lstsq(design.double(), targets.double()).solution  # [time + 1, 1]
    layer = nn.Linear(windows.size(1), 1)
    layer.weight = nn.Parameter(solution[:-1].T.float())  # [1, time]
    layer.bias = nn.Parameter(solution[-1].float())  # [1]
    return nn.Sequential(nn.Flatten(), layer)


def mlp(seq_length, hidden_size):
    """A multilayer perceptron: y = W_2 tanh(W_1 x + b_1) + b_2, where x is the whole window."""
    return nn.Sequential(nn.Flatten(),  # [batch, time]
                         nn.Linear(seq_length, hidden_size), nn.Tanh(),  # [batch, hidden]
                         nn.Linear(hidden_size, 1))  # [batch, 1]


def fit(model, train_data, test_data, epochs, batch_size=32, learning_rate=0.001,
        schedule="constant", max_grad_norm=None, device="cpu"):
    """Train by Adam on the mean squared error (MSE); returns and raises as `train_model`.

    With the `schedule` "onecycle" (Smith, 2018), the learning rate rises, then falls to almost 0.
    """
    train_loader = DataLoader(train_data, batch_size, shuffle=True)
    # A pass over a DataLoader draws a random number: from its own generator, or shuffles change.
    test_loader = DataLoader(test_data, 1000, generator=torch.Generator())
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    scheduler = None
    if schedule == "onecycle":
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, learning_rate, epochs * len(train_loader), cycle_momentum=False)
    return train_model(model, train_loader, nn.MSELoss(), optimizer, device, epochs, test_loader,
                       scheduler, max_grad_norm)


@torch.no_grad()
def forecast(model, windows, steps, device):
    """The next `steps` values after each of the windows [n, time, 1], an array [n, steps].

    Each prediction, written with a hat, joins its window as the newest value; the oldest leaves:

        [y0  y1  y2 ]  gives ŷ3
        [y1  y2  ŷ3 ]  gives ŷ4
        [y2  ŷ3  ŷ4 ]  gives ŷ5
    """
    model.eval()
    pieces = []
    for window in windows.split(1000):  # a piece at a time, so that memory stays small
        window = window.to(device)  # [piece, time, 1]
        predictions = []
        for _ in range(steps):
            prediction = model(window)  # [piece, 1]
            predictions.append(prediction)
            window = torch.cat([window[:, 1:], prediction.unsqueeze(-1)], dim=1)
        pieces.append(torch.cat(predictions, dim=1).cpu())  # [piece, steps]
    return torch.cat(pieces).numpy()


def errors_ahead(model, windows, targets, steps, device):
    """Prediction minus truth, 1 ... `steps` steps ahead of each window, an array [n, steps].

    The windows [n, time, 1] and their targets [n, 1] are neighbours in time, so the truth two steps
    ahead of a window is the next window's target. After the last target, the errors are NaN.
    """
    predictions = forecast(model, windows, steps, device)  # [n, steps]
    truth = targets[:, 0].numpy()  # [n]
    errors = np.full(predictions.shape, np.nan)
    for step in range(steps):
        n_known = len(truth) - step
        errors[:n_known, step] = predictions[:n_known, step] - truth[step:]
    return errors


def rmse(errors):
    """The root of the mean squared error along the first axis, without NaN: their typical size."""
    return np.sqrt(np.nanmean(np.square(errors), axis=0))


def tenths_won(errors):
    """Which predictor errs least one step ahead, and how surely: (its name, counts by name).

    `errors` has an array [n, steps] for each predictor. The n test values, at least 10, are cut
    into ten parts in the order of time. A count says in how many parts the best predictor has a
    smaller RMSE than this other one. If the other were as good, each part would be the toss of a
    coin, and ten of ten would come once in 2 ** 10 = 1,024 times. Fewer convince nobody, since the
    best was picked after its errors were seen.
    """
    one_step = {name: array[:, 0] for name, array in errors.items()}
    best = min(one_step, key=lambda name: rmse(one_step[name]))
    best_parts = np.array_split(one_step[best], 10)
    counts = {}
    for name in one_step:
        if name != best:
            parts = np.array_split(one_step[name], 10)
            counts[name] = sum(rmse(a) < rmse(b) for a, b in zip(best_parts, parts))
    return best, counts


def next_values(model, windows, targets, errors, device):
    """The values after the last target, an array [steps, 3]: prediction, low, high.

    `errors` [n, steps] are those of the model on the test part. For each step, sort the sizes of
    the m errors (at least 9) that were made so many steps ahead. The one at place 0.9 (m + 1),
    where the 1 is the error to come, is the distance from the prediction to low and to high. If the
    future is like the test part, the true value lies between them in nine of ten cases, each step
    by itself (Stankeviciute et al., 2021: conformal prediction for RNNs).
    """
    newest = torch.cat([windows[-1, 1:], targets[-1:]])  # [time, 1]
    predictions = forecast(model, newest.unsqueeze(0), errors.shape[1], device)[0]  # [steps]
    rows = []
    for step, prediction in enumerate(predictions):
        m = len(errors) - step
        sizes = np.sort(np.abs(errors[:m, step]))
        place = math.ceil(9 * (m + 1) / 10)
        width = sizes[place - 1]
        rows.append([prediction, prediction - width, prediction + width])
    return np.array(rows)


# Part 3: a file of your own; if you have none, skip all but its end, `scale_series`. What a plain
# rule does not decide is refused with advice, never guessed.


def read_rows(path):
    """The rows of a text file, lists of cells; where each stands in it; the mark between cells.

    The text is UTF-16 if it says so, else UTF-8, else GB18030 (Excel in China). The mark is the
    tab, semicolon or comma that stands in most lines; if none stands in half of them, the blank.
    """
    content = Path(path).read_bytes()
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ValueError("this is a workbook or an archive: save it as CSV, or unpack it")
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = Path(path).read_text("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = Path(path).read_text("gb18030", errors="replace")
    if "\0" in text or not text.strip():
        raise ValueError("this is no text, or empty: write the numbers as text, one a line")
    lines = text.split("\n")
    filled = [line for line in lines if line.strip()]
    counts = {mark: sum(mark in line for line in filled) for mark in "\t;,"}
    mark = max(counts, key=counts.get)  # the first of those that are equal
    if counts[mark] < len(filled) / 2:
        mark = " "
        lines = [" ".join(line.split()) for line in lines]
    reader = csv.reader(lines, delimiter=mark, skipinitialspace=mark != " ", strict=True)
    rows, places = [], []
    try:
        for cells in reader:
            line = lines[reader.line_num - 1]
            if line.strip():
                rows.append([cell.strip() for cell in cells])
                places.append(f"line {reader.line_num}: {line:.80}")
    except csv.Error:
        raise ValueError(f"after row {len(rows)} a quotation mark is missing or too much") from None
    return rows, places, mark


def to_number(cell, mark):
    """The number in a cell, as Python's float reads it; NaN if there is none."""
    if mark == ";":
        cell = cell.replace(",", ".")  # a decimal comma
    elif mark == "," and re.fullmatch(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?", cell):
        cell = cell.replace(",", "")  # thousands
    try:
        return float(cell.replace("_", "?"))  # float alone would take 2019_01
    except ValueError:
        return np.nan


def load_series(path, column=None, drop_missing=False, newest_first=False):
    """One column of a text file, a float64 array [time]; prints what was read.

    A `column` of digits is a place, from 1 on; other text is a heading in the first row of the
    usual length. Without a `column`, the last one is read if no other has numbers in most of these
    rows. Rows above its first number are headings, those below its last one notes. A row between
    without a number, or of another length, is an error, unless `drop_missing` leaves all of them
    out. `newest_first` turns the series around. Raises OSError or ValueError.
    """
    rows, places, mark = read_rows(path)
    width = statistics.mode(len(row) for row in rows)
    usual = [row for row in rows if len(row) == width]
    numbers = np.full((len(rows), width), np.nan)
    for n, row in enumerate(rows):
        if len(row) == width:
            numbers[n] = [to_number(cell, mark) for cell in row]
    known = np.isfinite(numbers)
    # Which column?
    mostly_known = known.sum(axis=0) > len(usual) / 2
    chosen = -1  # none yet
    if column is None and mostly_known.sum() == 1 and mostly_known[-1]:
        chosen = width - 1
    elif column is not None and column.isdecimal():
        chosen = int(column) - 1
    elif usual[0].count(column) == 1:
        chosen = usual[0].index(column)
    if not 0 <= chosen < width or not known[:, chosen].any():
        listing = ""
        for n, (top, end) in enumerate(zip(usual[0], usual[-1]), start=1):
            listing += f"{n} ({top:.20} ... {end:.20}), "
        raise ValueError(f"choose a column of numbers by --column and its place: {listing:.999}"
                         "but if commas cut numbers in two, put semicolons between cells with "
                         "decimal commas, and quotation marks around 1,234.50")
    name = f"column {chosen + 1} of {width}"
    # Which of its rows?
    used = np.flatnonzero(known[:, chosen])
    first, last = used[0], used[-1]
    n_gaps = last + 1 - first - len(used)
    if n_gaps > 0 and not drop_missing:
        gap = first + np.argmin(known[first:, chosen])
        raise ValueError(f"{name} has no number in {places[gap]} (rows like this: {n_gaps}). "
                         "Correct them; or, if no value belongs there, use --drop-missing")
    if newest_first:
        used = used[::-1]
    values = numbers[used, chosen]
    print(f"Series: {name}, {len(values)} values, smallest {min(values):.10g}, "
          f"largest {max(values):.10g}.\nRows without a number: {first} above the first, {n_gaps} "
          f"left out in between, {len(rows) - 1 - last} below the last.\n"
          f"First used: {places[used[0]]}\nLast used: {places[used[-1]]}")
    return values


def scale_series(series, seq_length):
    """A series [time] with mean 0 and standard deviation 1 where it trains: (scaled, mean, scale).

    The test part has no say in them, because that would tell the training its future.
    """
    n_samples = len(series) - seq_length
    n_train = int(0.8 * n_samples)  # as in make_windows
    n_test = n_samples - n_train
    if n_test < 10:
        raise ValueError(f"{len(series)} values are too few: with windows of {seq_length}, a fifth "
                         "of the rest is for the test, and at least 10 are needed")
    past = series[: seq_length + n_train]
    if past.max() - past.min() < 1e-30 or np.abs(series).max() > 1e30:
        raise ValueError("the values that train must differ, and none may be beyond 1e30")
    print(f"{n_train} samples train, {n_test} test.")
    return (series - past.mean()) / past.std(), past.mean(), past.std()


# Part 4: the table and the picture. The results are a dict that `main` makes and describes.


def report(results):
    """The table of `results`, printed, and the next values if they were asked for."""
    horizons = [steps for steps in (1, 4, 16, 64) if steps <= len(results["actuals"]) // 2]
    print("predictor           RMSE 1 step ahead" + "".join(f"{n:10d}" for n in horizons[1:]))
    for name, errors in results["errors"].items():
        sizes = rmse(errors)
        print(f"{name:27s}" + "".join(f"{sizes[n - 1]:10.3g}" for n in horizons))
    best, counts = tenths_won(results["errors"])
    wins = ", ".join(f"{count} than {name}" for name, count in counts.items())
    print(f"Best one step ahead: {best}. Of ten parts of the test it errs less in\n{wins}.")
    if "ahead" in results:
        sizes = ", ".join(f"{name} {size:.3g}" for name, size in results["ahead_rmse"].items())
        print(f"RMSE over all of 1 to {len(results['ahead'])} steps ahead: {sizes}.\n"
              f"So the next values are those of {results['ahead_by']}:\n"
              " step      prediction             low            high")
        # As many decimals as show three digits of the standard deviation.
        decimals = max(0, 2 - math.floor(math.log10(results["scale"])))
        for step, row in enumerate(results["ahead"], start=1):
            print(f"{step:5d}" + "".join(f" {value:15.{decimals}f}" for value in row))


def draw_results(results):
    """A figure of `results` in four panels; a true value plus its error is the prediction."""
    figure, axes = plt.subplots(2, 2, figsize=(13, 6.4), layout="constrained")
    ax_one, ax_many, ax_errors, ax_losses = axes.flat

    # The last 200 test values; the true ones are broad and pale, so that both lines are seen.
    actuals = results["actuals"]
    rnn_errors = results["errors"]["RNN"]
    n, steps = rnn_errors.shape
    begin = max(0, n - max(200, steps))
    samples = np.arange(n) + 1
    for ax in (ax_one, ax_many):
        ax.plot(samples[begin:], actuals[begin:], label="actual", color="skyblue", linewidth=4)
        ax.set_xlabel("test sample")
    ax_one.set_title("RNN, one step ahead from true values")
    ax_one.plot(samples[begin:], (actuals + rnn_errors[:, 0])[begin:], "k", label="predicted")
    if "ahead" in results:
        prediction, low, high = results["ahead"].T
        future = n + 1 + np.arange(len(prediction))
        ax_one.vlines(future, low, high, label="90 % band", color="pink", linewidth=4)
        name = f"next values: {results['ahead_by']}"
        ax_one.plot(future, prediction, label=name, color="crimson", marker=".")
    ax_many.set_title("RNN, many steps ahead, restarted from true values")
    for start in range(begin, n - steps + 1, steps):
        stretch = slice(start, start + steps)
        ax_many.plot(samples[stretch], actuals[stretch] + rnn_errors[start], "k")
    ax_errors.set(title="Error against steps ahead", xlabel="steps ahead", ylabel="RMSE")
    for name, errors in results["errors"].items():
        ax_errors.semilogy(np.arange(steps) + 1, rmse(errors), label=name, marker=".")
    ax_losses.set(title="Losses during training", xlabel="epoch", ylabel="MSE")
    for name, losses in results["losses"].items():
        ax_losses.semilogy(np.arange(len(losses)) + 1, losses, label=name, marker=".")
    for ax in (ax_one, ax_errors, ax_losses):
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4)  # below the data
    return figure


CHINESE_FONTS = ["simhei", "msyh", "pingfang", "hiragino sans gb", "stheiti", "notosanscjk-regular",
                 "notosanscjksc-regular", "notosanscjk-vf", "sourcehansanssc-regular", "wqy-"]
CHINESE_LABELS = {
    "RNN, one step ahead from true values": "RNN模型预测结果（单步预测，以真实值为输入）",
    "RNN, many steps ahead, restarted from true values": "多步预测（每段以真实值开始）",
    "test sample": "样本",
    "actual": "真实值",
    "predicted": "预测值",
    "next values": "未来值",
    "90 % band": "90% 预测区间",
    "Error against steps ahead": "误差随预测步数的变化",
    "steps ahead": "预测步数",
    "RMSE": "均方根误差 (RMSE)",
    "persistence": "朴素预测",
    "linear regression": "线性回归",
    "Losses during training": "训练过程中的损失",
    "epoch": "轮 (epoch)",
    "MSE": "均方误差 (MSE)",
    "training": "训练",
    "test": "测试",
}


def label_in_chinese(figure):
    """The labels of a finished figure, translated if a font is installed that has Chinese."""
    installed = sorted(font_manager.findSystemFonts())
    fonts = [file for name in CHINESE_FONTS for file in installed
             if Path(file).name.lower().startswith(name)]
    if not fonts:
        print("No Chinese font is installed, so the labels of the picture are in English.")
        return
    for text in figure.findobj(plt.Text):
        parts = text.get_text().split(": ")  # a legend may say "next values: MLP"
        label = "：".join(CHINESE_LABELS.get(part, part) for part in parts)
        if label != text.get_text():
            text.set(text=label, font=Path(fonts[0]), size=text.get_size())


# Part 5: the command line, and the whole program.


def make_parser():
    """The command line's flags, an ArgumentParser; the defaults are the article's."""
    parser = argparse.ArgumentParser(prog="rnn_sine.py", description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--epochs", type=int, default=100, help="passes over the training data")
    add("--batch-size", type=int, default=32, help="windows per training step")
    add("--learning-rate", type=float, default=0.001, help="size of a training step")
    add("--schedule", choices=["constant", "onecycle"], default="constant",
        help="onecycle: the learning rate rises to its value, then falls to almost nothing")
    add("--max-grad-norm", type=float, help="shorten longer gradients to this length")
    add("--hidden-size", type=int, default=64, help="numbers in the hidden state")
    add("--num-layers", type=int, default=1, help="recurrent layers, one upon the other")
    add("--seq-length", type=int, default=20, help="time steps in a window")
    add("--noise", type=float, default=0.0, help="standard deviation of noise on the sine")
    add("--series", metavar="FILE", help="text file in place of the sine: a number a line, or CSV")
    add("--column", metavar="NAME", help="place from 1 on, or heading, of the file's column")
    add("--newest-first", action="store_true", help="the file begins with its newest row")
    add("--drop-missing", action="store_true", help="leave out the rows that have no number")
    add("--ahead", type=int, metavar="N", default=0, help="predict the next N values, with bands")
    add("--seed", type=int, default=42, help="another one draws other weights, batches and noise")
    add("--device", default="auto", help="cpu, cuda, ...; auto takes cuda if there is one")
    add("--output", default="rnn_sine.png", help="file for the picture: .png, .pdf, .svg or .jpg")
    add("--lang", choices=["en", "zh"], default="en", help="the picture's language")
    add("--no-show", action="store_true", help="save the picture, but open no window")
    return parser


def check_flags(args):
    """The torch.device to compute on; raises ValueError for flags that cannot be obeyed."""
    for name in ("epochs", "batch_size", "learning_rate", "max_grad_norm", "hidden_size",
                 "num_layers", "seq_length"):
        value = getattr(args, name)
        if value is not None and not 0 < value < np.inf:
            raise ValueError(f"--{name.replace('_', '-')} must be above 0, not {value}")
    if args.ahead < 0 or not 0 <= args.noise < np.inf:
        raise ValueError("--ahead and --noise must be at least 0")
    if args.series is None and (args.column or args.newest_first or args.drop_missing):
        raise ValueError("--column, --newest-first and --drop-missing need --series FILE")
    if args.series is not None and args.noise > 0:
        raise ValueError("--noise belongs to the sine, not to --series FILE")
    output = Path(args.output)
    folder_or_file = output if output.exists() else output.parent
    if output.is_dir() or not os.access(folder_or_file, os.W_OK):
        raise ValueError(f"--output {args.output!r} cannot be written")
    if output.suffix.lower() not in (".png", ".pdf", ".svg", ".jpg"):
        raise ValueError("--output must end in .png, .pdf, .svg or .jpg")
    name = args.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.ones(1, device=name).add(1).item()
    except (RuntimeError, AssertionError, ImportError):  # no such device
        raise ValueError(f"nothing can be computed on --device {name} here; try cpu") from None
    return torch.device(name)


def main(argv=None):
    """The results of a whole run; `argv` is a list of flags, by default the command line's.

    PyTorch is set to one thread; more are slower here. Values and errors are in the series' unit.

        "model"           the trained SimpleRNN, which reads and predicts (value - mean) / scale
        "mean", "scale"   floats, 0 and 1 for the sine
        "actuals"         the true values of the test part, an array [n]
        "errors"          arrays [n, steps] by predictor, as in `errors_ahead`
        "ahead"           with --ahead N: an array [N, 3] as in `next_values`
        "ahead_rmse"      the RMSE over 1 ... N steps ahead, floats by predictor
        "ahead_by"        the predictor with the least of these, which gave `ahead`
        "losses"          by "RNN: training", "RNN: test", "MLP: training" and "MLP: test", lists
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        device = check_flags(args)
        np.random.seed(args.seed)
        torch.manual_seed(args.seed)
        if args.series is not None:
            series = load_series(args.series, args.column, args.drop_missing, args.newest_first)
            series, mean, scale = scale_series(series, args.seq_length)
    except (OSError, ValueError) as error:
        parser.error(str(error))

    # The samples, cut outside of `try`, so that a mistake in edited code shows its traceback.
    if args.series is not None:
        train_data, test_data = make_windows(series, args.seq_length)
    else:
        train_data, test_data = generate_data(seq_length=args.seq_length, noise=args.noise)
        mean, scale = 0.0, 1.0
    windows, targets = test_data.tensors
    if args.ahead > len(targets) - 8:  # or next_values would have fewer than 9 errors
        parser.error(f"--ahead can be {len(targets) - 8} at most with {len(targets)} test values")

    # The RNN comes first, so that it meets the same random numbers as in the article.
    print(f"Device: {device}\nTraining the RNN...")
    settings = {"epochs": args.epochs, "batch_size": args.batch_size, "device": device,
                "learning_rate": args.learning_rate, "schedule": args.schedule,
                "max_grad_norm": args.max_grad_norm}
    try:
        model = SimpleRNN(1, args.hidden_size, args.num_layers, 1).to(device)
        losses, test_losses = fit(model, train_data, test_data, **settings)
        print("Training the MLP...")
        network = mlp(args.seq_length, args.hidden_size).to(device)
        mlp_losses, mlp_test_losses = fit(network, train_data, test_data, **settings)
    except FloatingPointError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")

    # All predictors meet the same test windows.
    predictors = {"persistence": Persistence(), "linear regression": linear_regression(train_data),
                  "MLP": network, "RNN": model}
    steps = max(min(64, len(targets) // 2), args.ahead)
    errors = {}
    for name, module in predictors.items():
        errors[name] = scale * errors_ahead(module.to(device), windows, targets, steps, device)
    results = {"model": model, "mean": mean, "scale": scale, "errors": errors,
               "actuals": mean + scale * targets[:, 0].numpy(),
               "losses": {"RNN: training": losses, "RNN: test": test_losses,
                          "MLP: training": mlp_losses, "MLP: test": mlp_test_losses}}
    if args.ahead > 0:
        sizes = {name: rmse(errors[name][:, : args.ahead].flatten()) for name in errors}
        best = min(sizes, key=sizes.get)
        past_errors = errors[best][:, : args.ahead] / scale  # back in the model's unit
        values = next_values(predictors[best], windows, targets, past_errors, device)
        results.update(ahead=mean + scale * values, ahead_rmse=sizes, ahead_by=best)
    report(results)

    # The picture is saved before it is shown, since its window stays until somebody closes it.
    figure = draw_results(results)
    if args.lang == "zh":
        label_in_chinese(figure)
    figure.savefig(args.output)
    print(f"Picture: {args.output}")
    if not args.no_show and plt.get_backend().lower() not in ("agg", "pdf", "svg", "ps"):
        plt.show()
    plt.close(figure)
    return results


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):  # a character that a console lacks is shown as its code
        sys.stdout.reconfigure(errors="backslashreplace")
    main()
