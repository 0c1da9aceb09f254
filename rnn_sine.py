"""Teach a recurrent neural network (RNN) to continue a sine, and measure whether it is any good.

An RNN reads a sequence one value at a time. At every step the same numbers, its weights, combine
the new value with what the network keeps of all earlier values, its hidden state. That is the one
idea. Every run compares the RNN with other predictors of the same values, and says how sure the
result is.

    python rnn_sine.py                 train, compare, draw rnn_sine.png
    python rnn_sine.py --series FILE   the same for your own numbers
    python rnn_sine.py --help          what can be changed; the defaults are the article's

The article is a Chinese blog's on RNNs, 循环神经网络(RNN)模型. Begin with part 1: it has all that an
RNN program needs, and nothing after it changes what it does.

    Part 1   the article's program: windows, the network, its training, its predictions
    Part 2   is it any good? other predictors, many steps ahead, how sure the difference is
    Part 3   a file of your own
    Part 4   the table and the picture
    Part 5   the command line, and `main`, the whole program as a recipe
"""

import argparse
import codecs
import csv
import io
import os
import re
import statistics
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import font_manager
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

# Part 1: the article's program. These are its steps; each name is explained below.
#
#     train_data, test_data = generate_data()
#     train_loader = DataLoader(train_data, batch_size=32, shuffle=True)
#     model = SimpleRNN(input_size=1, hidden_size=64, num_layers=1, output_size=1)
#     optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
#     train_model(model, train_loader, nn.MSELoss(), optimizer, device="cpu")
#     predictions, actuals = evaluate_model(model, DataLoader(test_data, batch_size=32), "cpu")
#
# A tensor is PyTorch's array. We write its shape behind it, in a comment as (batch, time, 1), in a
# docstring as [batch, time, 1]: a batch is how many windows are computed at once, time how many
# values a window has, and 1 how many numbers there are at each time step. The device, "cpu" or
# "cuda" (a graphics card), is where a tensor is; `.to(device)` and `.cpu()` copy it.


def make_windows(series, seq_length=20, train_fraction=0.8):
    """Samples cut from a series [time]: windows, and the value after each; split in time.

    A predictor sees a window of `seq_length` values and must name the next. With `seq_length=3`:

        series      y0  y1  y2  y3  y4  y5  ...
        sample 0   [y0  y1  y2] y3                    [window] target
        sample 1       [y1  y2  y3] y4
        sample 2           [y2  y3  y4] y5

    Neighbours share all values but one, so a random split would test on what was trained on: the
    first `train_fraction` trains, the rest tests. Returns (train_data, test_data), TensorDatasets,
    which hold windows [n, seq_length, 1] and targets [n, 1] of 32-bit numbers. Raises ValueError
    for a bad argument.
    """
    series = np.asarray(series, dtype=np.float64)
    if series.ndim != 1:
        raise ValueError(f"a series has one dimension, not {series.ndim}")
    if seq_length < 1:
        raise ValueError(f"seq_length must be at least 1, not {seq_length}")
    if not 0 < train_fraction < 1:
        raise ValueError(f"train_fraction must lie between 0 and 1, not be {train_fraction}")
    values = torch.tensor(series.copy(), dtype=torch.float32)  # (time,)
    bad = torch.nonzero(~values.isfinite())  # 1e39 is among them: it is infinite in 32 bits
    if len(bad) > 0:
        place = bad[0].item()
        raise ValueError(f"value {place + 1} is {series[place]}, which is no finite 32-bit number")
    n_train = count_training_samples(len(series), seq_length, train_fraction)
    # unfold gives every stretch of seq_length neighbours; the last value is a target only.
    windows = values[:-1].unfold(0, seq_length, 1).unsqueeze(-1)  # (sample, time, 1)
    targets = values[seq_length:].unsqueeze(-1)  # (sample, 1)
    train_data = TensorDataset(windows[:n_train], targets[:n_train])
    test_data = TensorDataset(windows[n_train:], targets[n_train:])
    return train_data, test_data


def count_training_samples(n_values, seq_length, train_fraction=0.8):
    """How many of the n_values - seq_length samples are for training; raises ValueError if none."""
    n_train = int(train_fraction * (n_values - seq_length))
    if n_train < 1:
        raise ValueError(f"{n_values} values are too few to train on windows of {seq_length}")
    return n_train


def generate_data(n_samples=1000, seq_length=20, noise=0.0):
    """Five periods of a sine, cut into `n_samples` samples; returns and raises as `make_windows`.

    More samples make the sine finer, not longer. The test part, about the last period, repeats what
    was trained on. With `noise`, a normal random number of this standard deviation is added to
    every value.
    """
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise must be a finite standard deviation of at least 0, not {noise}")
    angles = np.linspace(0, 10 * np.pi, n_samples + seq_length)  # (time,)
    errors = np.random.normal(0, noise, len(angles))
    return make_windows(np.sin(angles) + errors, seq_length)


class SimpleRNN(nn.Module):
    """A recurrent layer that reads the window, and a linear layer for the answer (Elman, 1990).

        h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h),  h_0 = 0,  for t = 1 ... T = seq_length
        y   = W_y h_T + b_y

    h_t is the hidden state after t steps, `hidden_size` numbers, and tanh is taken of each. y is
    the prediction. W_x [hidden, input], W_h [hidden, hidden] and W_y [output, hidden] are matrices,
    b_x, b_h [hidden] and b_y [output] are added. All these weights begin at random, and training
    changes them. With `num_layers=2`, a second recurrent layer reads the first one's hidden states.
    """

    # A network is an nn.Module. Its __init__ makes the layers, so that PyTorch finds their weights;
    # its forward says how an answer is computed, and `model(x)` calls it.
    def __init__(self, input_size, hidden_size, num_layers, output_size):
        super().__init__()
        # batch_first: windows are (batch, time, input), not (time, batch, input).
        # It has the weights W_x, W_h, b_x and b_h; fc, "fully connected", has W_y and b_y.
        self.rnn = nn.RNN(input_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, output_size)

    def forward(self, x):
        """The next values [batch, output] after the windows x [batch, time, input]."""
        hidden_states, _ = self.rnn(x)  # (batch, time, hidden), from h_0 = 0 on
        last_hidden_state = hidden_states[:, -1]  # (batch, hidden)
        return self.fc(last_hidden_state)  # (batch, output)


def train_model(model, train_loader, criterion, optimizer, device, epochs=100, scheduler=None,
                max_grad_norm=None, after_epoch=None):
    """The loss of every finished epoch, a list of floats; on the way, `model` is trained.

    `criterion(predictions, targets)` is the loss, one number that says how far off the predictions
    are. `train_loader` hands out batches of windows and targets; an epoch is one pass over all of
    them, and its loss is the mean of theirs. After every batch, `optimizer` moves the weights so
    that the loss falls, and `scheduler` sets the size of its moves, the learning rate. The gradient
    is the slope of the loss along each weight; one longer than `max_grad_norm` is shortened to it
    (Pascanu et al., 2013). `after_epoch()` is called after every epoch. Ctrl-C ends the training
    and keeps what is learnt. Raises FloatingPointError when the loss is no longer finite.
    """
    epoch_losses = []
    last_print = time.monotonic()  # seconds
    try:
        for epoch in range(1, epochs + 1):
            model.train()  # a mode for layers that act differently in training; ours do not
            batch_losses = []
            for inputs, targets in train_loader:
                predictions = model(inputs.to(device))
                loss = criterion(predictions, targets.to(device))
                optimizer.zero_grad()  # forget the last batch's gradient
                loss.backward()  # compute this one's, back through all time steps
                if max_grad_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
                optimizer.step()  # move each weight a little
                if scheduler is not None:
                    scheduler.step()
                batch_losses.append(loss.item())
            epoch_loss = sum(batch_losses) / len(batch_losses)
            if not np.isfinite(epoch_loss):
                raise FloatingPointError(f"the loss is {epoch_loss} in epoch {epoch}: "
                                         "try a lower learning rate")
            if after_epoch is not None:
                after_epoch()
            epoch_losses.append(epoch_loss)
            due = epoch % max(1, epochs // 10) == 0 or time.monotonic() - last_print >= 10
            if due or epoch == epochs:
                print(f"Epoch [{epoch}/{epochs}], Loss: {epoch_loss:.3e}")
                last_print = time.monotonic()
    except KeyboardInterrupt:
        print(f"Stopped in epoch {len(epoch_losses) + 1} of {epochs}.")
    return epoch_losses


@torch.no_grad()  # nothing is trained here, so nothing is recorded for backward()
def evaluate_model(model, test_loader, device):
    """The predictions for all windows of a loader, and the true values: two arrays [n, 1]."""
    model.eval()  # the other mode
    predictions, actuals = [], []
    for inputs, targets in test_loader:
        predictions.append(model(inputs.to(device)).cpu())  # (batch, 1)
        actuals.append(targets.cpu())  # (batch, 1)
    return torch.cat(predictions).numpy(), torch.cat(actuals).numpy()


# Part 2: is it any good? Other predictors, each a module from windows [batch, time, 1] to the next
# values [batch, 1], as SimpleRNN is; and measurements that are the same for all of them.


def fit(model, train_data, test_data, epochs, batch_size=32, learning_rate=0.001,
        schedule="constant", max_grad_norm=None, device="cpu", planned_epochs=None):
    """The losses of a network trained as in the article: (training losses, test losses).

    Two lists, a number per finished epoch each: the mean loss of the batches during the epoch, and
    the mean squared error on `test_data` after it. `schedule` is "constant", or "onecycle" (Smith,
    2018): the learning rate rises to `learning_rate`, then falls to almost nothing. The cycle takes
    `epochs`, unless it was planned for more, `planned_epochs`. Raises as `train_model`.
    """
    train_loader = DataLoader(train_data, batch_size=batch_size, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)  # a kind of gradient descent
    scheduler = None
    if schedule == "onecycle":
        total_steps = (planned_epochs or epochs) * len(train_loader)
        scheduler = OneCycleLR(optimizer, max_lr=learning_rate, total_steps=total_steps,
                               cycle_momentum=False)
    windows, targets = test_data.tensors
    test_losses = []

    def measure_test_loss():
        # In pieces of 1,000, but not through a DataLoader, because each pass through one draws a
        # random number, and then the next epochs would shuffle differently.
        pieces = zip(windows.split(1000), targets.split(1000))
        predictions, actuals = evaluate_model(model, pieces, device)
        test_losses.append(float(mean_squared(predictions - actuals)))

    losses = train_model(model, train_loader, nn.MSELoss(), optimizer, device, epochs, scheduler,
                         max_grad_norm, measure_test_loss)
    return losses, test_losses[: len(losses)]


def mean_squared(errors, axis=None):
    """The mean of the squares of an array of errors, all of them or along an axis, in float64."""
    return np.mean(np.square(errors, dtype=np.float64), axis=axis)


class Persistence(nn.Module):
    """The last value again, the naive forecast (of a random walk). It has no weights."""

    def forward(self, x):
        """The last values [batch, 1] of the windows x [batch, time, 1]."""
        return x[:, -1]


def linear_regression(train_data):
    """A weighted sum of the window plus a constant, fitted by least squares.

    Statistics calls it an autoregression of order seq_length, AR(20). It is solved exactly.
    """
    windows, targets = train_data.tensors
    design = torch.cat([windows.flatten(1), torch.ones_like(targets)], dim=1)  # (sample, time + 1)
    # In 64 bits, because neighbouring values are nearly equal; by the method "gelsd", because two
    # neighbouring values of a sine determine all others, so that many weights are equally good.
    solution = torch.linalg.lstsq(design.double(), targets.double(), driver="gelsd").solution
    layer = nn.Linear(windows.size(1), 1)
    layer.weight = nn.Parameter(solution[:-1].T.float())  # (1, time)
    layer.bias = nn.Parameter(solution[-1].float())  # (1,)
    return nn.Sequential(nn.Flatten(), layer)


def mlp(seq_length, hidden_size):
    """A multilayer perceptron: y = W_2 tanh(W_1 x + b_1) + b_2, x being the whole window.

    Each time step has weights of its own in W_1, where the RNN shares W_x among all steps.
    """
    return nn.Sequential(nn.Flatten(),  # (batch, time)
                         nn.Linear(seq_length, hidden_size), nn.Tanh(),  # (batch, hidden)
                         nn.Linear(hidden_size, 1))  # (batch, 1)


def long_windows(train_data, test_data, seq_length):
    """The `seq_length` values before every target of the test part, a tensor [n, time, 1].

    The windows are shorter if the first target has fewer values before it. An RNN reads windows of
    any length. Reading a long one is the same as reading several short ones that lie end to end,
    with the hidden state carried over from each to the next in place of a new start at h_0 = 0.
    """
    first_window = train_data.tensors[0][0]  # (time, 1)
    series = torch.cat([first_window, train_data.tensors[1], test_data.tensors[1]])  # (all, 1)
    n_test = len(test_data)
    length = min(seq_length, len(series) - n_test)
    windows = series[:-1].unfold(0, length, 1)  # (all, 1, time)
    return windows[-n_test:].transpose(1, 2)  # (n, time, 1)


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
    for window in windows.split(200):  # a piece at a time, so that memory stays small
        window = window.to(device)  # (piece, time, 1)
        predictions = []
        for _ in range(steps):
            prediction = model(window)  # (piece, 1)
            predictions.append(prediction)
            window = torch.cat([window[:, 1:], prediction.unsqueeze(-1)], dim=1)
        pieces.append(torch.cat(predictions, dim=1).cpu())  # (piece, steps)
    return torch.cat(pieces).numpy()


def errors_ahead(model, windows, targets, steps, n_windows, device):
    """The errors of forecasts in the test part, prediction minus truth, an array [m, steps].

    `windows` [n, time, 1] and their `targets` [n, 1] follow each other in time. m of the windows,
    at most `n_windows`, begin a forecast. They are spread evenly over those with `steps` targets.
    """
    n_possible = len(targets) - steps + 1
    starts = np.linspace(0, n_possible - 1, min(n_windows, n_possible), dtype=int)
    truth = targets[:, 0].unfold(0, steps, 1)[starts].numpy()
    return forecast(model, windows[starts], steps, device) - truth


def compare(predictors, targets, steps, batch_size, device):
    """How well `predictors` do on the n targets [n, 1] of the test part, a dict of results.

    `predictors` are pairs (module, windows [n, time, 1]) by name. Values are in the unit of the
    training, in which a series of your own has mean 0 and standard deviation 1; in its own unit
    they are mean + scale * value.

        "actuals"     the true values, an array [n, 1]
        "one_step"    the predictions of all targets, arrays [n, 1] by name
        "test_mse"    the means of (one_step - actuals)^2, floats by name
        "errors"      prediction minus truth 1 ... `steps` steps ahead, arrays [m, steps] by name;
                      the m forecasts, at most 200, begin at the same places for all

    `main` returns these, and:

        "model"       the trained SimpleRNN
        "mean", "scale"   floats, see above; 0 and 1 for the sine
        "window"      the first test window, an array [seq_length, 1]
        "many_steps"  the RNN's forecast from that window, an array [min(200, n)]
        "losses"      lists with a number per epoch: "RNN, training", "RNN, test", "MLP, training"
                      and "MLP, test", the last two only if the MLP is among the predictors
        "ahead"       with --ahead: the next values and their bands, an array [steps, 3] as in
                      `next_values`, but in the series' own unit
        "ahead_by", "ahead_share"   the predictor's name, and the share of the band
    """
    results = {"actuals": targets.numpy(), "one_step": {}, "test_mse": {}, "errors": {}}
    for name, (module, windows) in predictors.items():
        module.to(device)
        test_loader = DataLoader(TensorDataset(windows, targets), batch_size)
        predictions, actuals = evaluate_model(module, test_loader, device)
        results["one_step"][name] = predictions
        results["test_mse"][name] = float(mean_squared(predictions - actuals))
        results["errors"][name] = errors_ahead(module, windows, targets, steps, 200, device)
    return results


def standard_errors_behind(results):
    """By how many standard errors each predictor is behind the best one step ahead, floats by name.

    1. At each test value, take the difference of the squared errors of the two predictors.
    2. Average the differences over ten consecutive stretches of the test part. Neighbouring
       differences resemble each other, but the ten means hardly do.
    3. Divide the mean of the ten by its standard error, their standard deviation / sqrt(10).

    Diebold and Mariano (1995) compare forecasts in this way. The best predictor has 0. All have NaN
    if there are fewer than 20 test values.
    """
    actuals = results["actuals"]
    if len(actuals) < 20:
        return dict.fromkeys(results["one_step"], np.nan)
    best = min(results["test_mse"], key=results["test_mse"].get)
    best_squares = np.square(results["one_step"][best] - actuals, dtype=np.float64)  # (n, 1)
    behind = {}
    for name, predictions in results["one_step"].items():
        squares = np.square(predictions - actuals, dtype=np.float64)  # (n, 1)
        stretches = np.array_split(squares - best_squares, 10)
        means = np.array([stretch.mean() for stretch in stretches])
        standard_error = means.std(ddof=1) / np.sqrt(10)
        if standard_error > 0:
            behind[name] = means.mean() / standard_error
        else:  # the same difference in all ten stretches: none at all, or beyond doubt
            behind[name] = np.inf if means.any() else 0.0
    return behind


def next_values(predictors, targets, steps, device):
    """The next `steps` values after the last target: (values [steps, 3], name, share).

    The predictor of this name had the least squared errors 1 ... `steps` steps ahead on the test
    part. A row of the values has its prediction, and the two ends of a band that is meant to hold
    the true value in this share of cases: 0.9 or a little more. The band consists of the errors
    that the predictor made so many steps ahead on the test part. With 199 errors in order of size,
    it reaches from prediction - 10th largest to prediction - 10th smallest; with m of them, it is
    not the 10th but the one at (m + 1) / 20, rounded down, at least the first (split conformal
    prediction). With fewer than 19 errors the share is below 0.9; with fewer than 9 there is no
    band, but NaN.
    """
    errors = {}
    for name, (module, windows) in predictors.items():
        errors[name] = errors_ahead(module, windows, targets, steps, 2000, device)
    best = min(errors, key=lambda name: mean_squared(errors[name]))
    module, windows = predictors[best]
    newest = torch.cat([windows[-1, 1:], targets[-1:]])  # (time, 1)
    newest = newest.unsqueeze(0)  # (1, time, 1)
    prediction = forecast(module, newest, steps, device)[0]  # (steps,)
    ordered = np.sort(errors[best], axis=0)  # (m, steps)
    m = len(ordered)
    rank = max(1, (m + 1) // 20)
    share = (m + 1 - 2 * rank) / (m + 1)
    low = prediction - ordered[-rank]  # an error is prediction - truth: the largest gives the low
    high = prediction - ordered[rank - 1]
    if m < 9:
        low = high = np.full(steps, np.nan)
    return np.column_stack([prediction, low, high]), best, share


# Part 3: a file of your own. A row of the file is a time step, one of its columns the series.

MISSING = ["", ".", "..", "-", "NA", "N/A", "#N/A", "NaN", "null", "?"]  # marks of a gap


def read_rows(path):
    """The rows of a text file, lists of cells, and the character between cells: (rows, separator).

    The encoding is UTF-16 if the file begins with that mark, else UTF-8, or else GB18030, which
    Excel writes in China. The separator is a tab or else a semicolon, if it stands outside quotes
    in nearly every row that has a separator, and else a comma. Raises ValueError.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    if content.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        raise ValueError("this is a workbook and no text: save it as CSV in your spreadsheet")
    try:
        utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("gb18030", errors="replace")
    lines = re.sub('"[^"]*"', "", text).splitlines()
    lines = [line for line in lines if re.search("[\t;,]", line)]
    separator = ","
    for mark in (";", "\t"):
        if sum(mark in line for line in lines) > 0.75 * len(lines):
            separator = mark
    rows = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator,
                              skipinitialspace=True, strict=True):
            rows.append([cell.strip() for cell in row])
    except csv.Error:
        raise ValueError(f"row {len(rows) + 1} cannot be read: close its quotation marks") from None
    return rows, separator


def to_number(cell, separator):
    """The number in a cell, a float; None if there is something else.

    In a file with commas as separators, "1,234.5" is a number, and "1.234,5" is none. In others,
    1.234,5 and 1234.5 are numbers.
    """
    if separator != "," and "," in cell:
        cell = cell.translate(str.maketrans(",.", ".,"))
    if re.fullmatch(r"[-+]?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]*)?", cell):
        cell = cell.replace(",", "")
    if not re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", cell):
        return None
    return float(cell)


def find_column(rows, column):
    """Which column is meant: (place in a row, first row below the heading, number of columns).

    `column` is a heading, or a number from 1 on, or None for the last one. Raises ValueError.
    """
    filled = [row for row in rows if any(row)]
    if not filled:
        raise ValueError("the file is empty")
    width = statistics.mode(len(row) for row in filled)
    if column is None:
        return width - 1, 0, width
    # Where a heading is a number, words stand beside it in the first row: other rows are data.
    words = [cell for cell in filled[0] if cell and not re.search("[0-9]", cell)]
    above = filled[:20]
    if column.isdecimal():
        above = filled[:1] if words else []
    for row in above:
        if row.count(column) == 1:
            return row.index(column), rows.index(row) + 1, width
    if column.isdecimal() and 1 <= int(column) <= width:
        return int(column) - 1, 0, width
    headings = next(row for row in rows if len(row) == width)
    raise ValueError(f"there is no column {column!r}, or more than one; the first whole row is: "
                     + ", ".join(headings))


def load_series(path, column=None, drop_missing=False, newest_first=False):
    """One column of a text file, a float64 array [time]; prints what was read.

    `column` is as in `find_column`. Rows above the first number, at most ten, are headings, and
    rows below the last are notes. A row without a number in between is an error, unless its cell
    is one of MISSING and `drop_missing` leaves the row out. `newest_first` turns the file around.
    Raises ValueError.
    """
    rows, separator = read_rows(path)
    place, start, width = find_column(rows, column)
    cells = [row[place] if place < len(row) else "" for row in rows]
    numbers = [to_number(cell, separator) for cell in cells]
    found = [n for n in range(start, len(rows)) if numbers[n] is not None]
    first = found[0] if found else len(rows)
    last = found[-1] if found else len(rows)

    name = f"column {place + 1} of {width}"
    whole = [row for row in rows[max(0, start - 1) : first] if len(row) == width]
    headings = [row[place] for row in whole if row[place]]
    if headings:
        name = f"{name} {headings[0]!r:.42}"
    above = [row for row in rows[start:first] if any(row)]
    above = [row for row in above if not row[0].startswith("#")]
    if not found or len(above) > 10:
        n = min(max(start, 1), len(rows) - 1)
        raise ValueError(f"{name}: row {n + 1} has {cells[n]!r:.42}, which is no number. Name "
                         "another column by --column, or delete what stands above the numbers")

    gaps = [n for n in range(first, last) if numbers[n] is None]
    errors = [n for n in gaps if cells[n] not in MISSING]
    if errors or (gaps and not drop_missing):
        n = min(errors or gaps)
        advice = "correct it" if errors else "fill them in, or leave them out by --drop-missing"
        raise ValueError(f"{name}: row {n + 1} has {cells[n]!r:.42}, which is no number; such rows "
                         f"between numbers: {len(gaps)}; {advice}")

    marked = [cells[n] for n in found if re.search("[.,]", cells[n])]
    thousands = [cell for cell in marked if re.fullmatch("[-+]?[0-9]{1,3}[.,][0-9]{3}", cell)]
    if separator != "," and 0 < len(marked) < len(found) and marked == thousands:
        raise ValueError(f"{name}: {marked[0]!r:.42} may have thousands or decimals, since other "
                         "rows have neither; write all numbers alike, such as 1234 or 1,2340")

    if newest_first:
        found.reverse()
    values = np.array([numbers[n] for n in found])
    ends = []
    for n in (found[0], found[-1]):
        ends.append(f"{cells[n]} (row {n + 1}, {rows[n][0]!r:.42})")
    smallest = cells[found[values.argmin()]]
    largest = cells[found[values.argmax()]]
    print_safely(f"Series: {name}, {len(found)} values, from {ends[0]} to {ends[1]}, "
                 f"smallest {smallest}, largest {largest}.")
    if gaps:
        print(f"Rows left out between numbers, as if no time passed there: {len(gaps)}.")
    notes = [row for row in rows[last + 1 :] if any(row)]
    if notes:
        print(f"Rows left out below the last number, as notes: {len(notes)}.")
    return values


def may_have_decimal_commas(path):
    """Whether the rows of a file are like 503,11, which may be one number or two columns."""
    rows, separator = read_rows(path)
    long_rows = [row for row in rows if len(row) > 1]
    alike = [row for row in long_rows if re.fullmatch("[-+]?[0-9]+,[0-9]+", separator.join(row))]
    return len(alike) > 0 and len(alike) == len(long_rows)


def scale_series(series, seq_length):
    """Samples of a scaled series [time]: (train_data, test_data, mean, scale); prints how many.

    (series - mean) / scale has mean 0 and standard deviation 1 over the values that train. The test
    part has no say in it, because that would tell the training about its future. Raises ValueError.
    """
    n_train = count_training_samples(len(series), seq_length)
    past, future = np.split(series, [seq_length + n_train])
    print(f"{n_train} samples train, {len(future)} test.")
    if not 1e-100 < past.max() - past.min() < 1e100:
        raise ValueError(f"the first {len(past)} values, which train, reach from {past.min()} to "
                         f"{past.max()}, so they have no scale")
    outside = (future < past.min()) | (future > past.max())
    if outside.mean() > 1 / 3:
        print("More than a third of the test values lie outside the range of those that train. A "
              "network can\nhardly follow there; it can predict the changes from value to value.")
    mean, scale = past.mean(), past.std()
    train_data, test_data = make_windows((series - mean) / scale, seq_length)
    return train_data, test_data, mean, scale


def print_safely(text):
    """`text`, printed, with a code for each character that this console does not have."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, errors="backslashreplace").decode(encoding))


# Part 4: the table and the picture, from the results that `compare` describes.


def report(results, noise=0):
    """The table of `results`, printed; `noise` is the standard deviation of the sine's noise."""
    test_mse = results["test_mse"]
    best = min(test_mse, key=test_mse.get)
    behind = standard_errors_behind(results)
    n_test = len(results["actuals"])
    n_windows, n_steps = results["errors"][best].shape
    horizons = [steps for steps in (1, 4, 16, 64) if steps <= n_steps]

    columns = "".join(f"{steps:10d}" for steps in horizons)
    print(f"{'':17s}         MSE   typical error (RMSE), steps ahead")
    print(f"{'predictor':17s}    one step{columns}   behind the best")
    for name, mse in test_mse.items():
        rmse = results["scale"] * np.sqrt(mean_squared(results["errors"][name], axis=0))
        columns = "".join(f"{rmse[steps - 1]:10.3g}" for steps in horizons)
        verdict = f"{behind[name]:.1f}"
        if name == best:
            verdict = "best"
        elif n_test < 20:
            verdict = "-"
        print(f"{name:17s}{mse:12.3e}{columns}{verdict:>18s}")
    if noise > 0:
        print(f"{'noise variance':17s}{noise**2:12.3e}   no predictor is below it on average")
    print(f"MSE: the mean over all {n_test} test values, in the unit of the training. RMSE: over "
          f"{n_windows} windows,\nin the series' own unit. Behind the best: in standard errors.")

    close = [name for name in test_mse if name != best and behind[name] < 3]
    if n_test < 20:
        print(f"Best one step ahead: {best}. But {n_test} test values are too few to tell.")
    elif close:
        print(f"Best one step ahead: {best}. Less than 3 standard errors behind, so not told apart "
              f"from it\non this test part: {'; '.join(close)}.")
    else:
        print(f"Best one step ahead: {best}. All others are at least 3 standard errors behind.")


def report_ahead(results):
    """The next values of `results` and their bands, printed in the series' own unit."""
    ahead = results["ahead"]
    columns = ["prediction", "low", "high"]
    print(f"Next values: {len(ahead)}, by the predictor with the least error over so many steps on "
          f"the test part: {results['ahead_by']}.")
    if np.isnan(ahead).any():
        columns = columns[:1]
        print("The test part is too short for a band.")
    else:
        print(f"A band is meant to hold the true value in {results['ahead_share']:.0%} of cases.")
        if len(results["actuals"]) < 20 * len(ahead):
            print("For the last steps it is likely too narrow, because errors so many steps ahead "
                  "overlap.")
    # So many decimals that the standard deviation would be written with four digits.
    digits = 1 + int(np.floor(np.log10(results["scale"])))
    decimals = max(0, 4 - digits)
    print(" step" + "".join(f"{name:>16s}" for name in columns))
    for step, row in enumerate(ahead[:, : len(columns)], start=1):
        print(f"{step:5d}" + "".join(f"{value:16.{decimals}f}" for value in row))


def draw_results(results):
    """A figure of `results`, which `compare` describes, in four panels.

    The losses are in the unit of the training, all else is in the series' own unit.
    """
    mean, scale = results["mean"], results["scale"]
    actuals = mean + scale * results["actuals"][:, 0]  # (n,)
    one_step = mean + scale * results["one_step"]["RNN"][:, 0]  # (n,)
    window = mean + scale * results["window"][:, 0]  # (seq_length,)
    many_steps = mean + scale * results["many_steps"]  # (at most 200,)
    figure, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    ax_one, ax_many, ax_errors, ax_losses = axes.flat

    # Where lines lie upon each other, the lower one is broad and pale, so that both are seen.
    actual_style = {"label": "actual", "color": "skyblue", "linewidth": 4, "marker": "."}
    window_style = {"label": "first test window", "color": "peru", "linewidth": 4, "marker": "."}
    predicted_style = {"label": "predicted", "color": "black", "marker": ".", "markersize": 3,
                       "linewidth": 1}

    ax_one.set_title("RNN, one step ahead from true values")
    ax_one.set(xlabel="test sample", ylabel="value")
    samples = np.arange(1, len(actuals) + 1)
    ax_one.plot(samples[-200:], actuals[-200:], **actual_style)
    ax_one.plot(samples[-200:], one_step[-200:], **predicted_style)
    if "ahead" in results:
        prediction, low, high = results["ahead"].T
        steps = len(actuals) + np.arange(1, len(prediction) + 1)
        if not np.isnan(low).any():
            band = "90 % band" if results["ahead_share"] >= 0.9 else "band"
            ax_one.vlines(steps, low, high, label=band, color="pink", linewidth=4)
        ax_one.plot(steps, prediction, label="next values", color="crimson", marker=".")

    # The future begins with the window's last value, at time step 0, so that no gap is seen.
    ax_many.set_title("RNN, many steps ahead, predictions fed back")
    ax_many.set(xlabel="time step", ylabel="value")
    past = np.arange(1 - len(window), 1)
    future = np.arange(len(many_steps) + 1)
    truth = np.append(window[-1], actuals[: len(many_steps)])
    prediction = np.append(window[-1], many_steps)
    ax_many.plot(future, truth, **actual_style)
    ax_many.plot(past, window, **window_style)
    ax_many.plot(future, prediction, **predicted_style)

    ax_errors.set_title("Error against steps ahead")
    ax_errors.set(xlabel="steps ahead", ylabel="RMSE", yscale="log")
    ax_errors.set_xscale("log", base=4)  # with a tick at 1, 4, 16 and 64, as in the table
    ax_errors.xaxis.set_major_formatter("{x:.0f}")
    line_style = {"linewidth": 2, "marker": "o", "markersize": 4, "markevery": [0, -1]}
    ax_errors.set_prop_cycle(
        color=["darkgray", "tab:green", "tab:orange", "black", "tab:blue", "tab:purple"],
        linestyle=["-", ":", "--", "-", "-.", (0, (1, 3))])
    for name, errors in results["errors"].items():
        rmse = scale * np.sqrt(mean_squared(errors, axis=0))
        steps = np.arange(1, len(rmse) + 1)
        ax_errors.plot(steps, rmse, label=name, **line_style)

    ax_losses.set_title("Losses during training")
    ax_losses.set(xlabel="epoch", ylabel="MSE", yscale="log")
    ax_losses.set_prop_cycle(color=["black", "black", "tab:orange", "tab:orange"],
                             linestyle=["-", ":", "-", ":"], fillstyle=["full", "none"] * 2)
    for name, losses in results["losses"].items():
        epochs = np.arange(1, len(losses) + 1)
        ax_losses.plot(epochs, losses, label=name, **line_style)

    for ax in axes.flat:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)  # below the data
        if ax is not ax_errors:
            ax.locator_params(axis="x", integer=True, min_n_ticks=1)
    return figure


CHINESE_FONTS = ["simhei", "msyh", "pingfang", "hiragino sans gb", "stheiti",
                 "notosanscjk-regular", "notosanscjk-vf", "sourcehansanssc-regular", "wqy-zenhei",
                 "wqy-microhei"]  # beginnings of file names, the first installed one is used
CHINESE_LABELS = {
    "RNN, one step ahead from true values": "RNN模型预测结果：单步预测，以真实值为输入",
    "test sample": "样本",
    "value": "值",
    "actual": "实际值",
    "predicted": "预测值",
    "RNN, many steps ahead, predictions fed back": "多步预测：以自身的预测值为输入",
    "first test window": "第一个测试窗口",
    "time step": "时间步",
    "Error against steps ahead": "误差随预测步数的变化",
    "steps ahead": "预测步数",
    "RMSE": "均方根误差 (RMSE)",
    "persistence": "朴素预测：沿用上一个值",
    "linear regression": "线性回归",
    "MLP": "多层感知机 (MLP)",
    "RNN, long window": "RNN，更长的窗口",
    "Losses during training": "训练过程中的损失",
    "epoch": "轮 (epoch)",
    "MSE": "均方误差 (MSE)",
    "RNN, training": "RNN 训练损失",
    "RNN, test": "RNN 测试损失",
    "MLP, training": "MLP 训练损失",
    "MLP, test": "MLP 测试损失",
    "next values": "未来值",
    "90 % band": "90% 预测区间",
    "band": "预测区间",
}


def label_in_chinese(figure):
    """The labels of a finished figure, translated if a Chinese font is installed."""
    installed = sorted(font_manager.findSystemFonts())
    fonts = [file for name in CHINESE_FONTS for file in installed
             if Path(file).name.lower().startswith(name)]
    if not fonts:
        print("No Chinese font is installed, so the labels of the picture are in English.")
        return
    for text in figure.findobj(plt.Text):
        if text.get_text() in CHINESE_LABELS:
            label = CHINESE_LABELS[text.get_text()]
            text.set(text=label, font=Path(fonts[0]), size=text.get_size())


# Part 5: the command line. A converter turns the text of a flag into its value; when it raises
# ArgumentTypeError, argparse ends the program with that sentence, before anything is trained.


def whole_number(text):
    """The whole number above 0 that `text` is; raises ArgumentTypeError."""
    if not re.fullmatch("0*[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def positive_number(text):
    """The finite number above 0 that `text` is; raises ArgumentTypeError."""
    number = to_number(text, separator=",")
    if number is None or not 0 < number < np.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return number


def working_device(text):
    """The torch.device of this name; "auto" is CUDA where it works. Raises ArgumentTypeError."""
    name = text
    if text == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.ones(1, device=name).add(1).item()
    except (RuntimeError, AssertionError, ImportError):  # as torch says that there is none
        sentence = f"nothing can be computed on {name!r} here"
        if text != "auto":
            raise argparse.ArgumentTypeError(sentence) from None
        print(f"auto: {sentence}, so the CPU is used")
        name = "cpu"
    return torch.device(name)


def picture_file(text):
    """The path of a picture that can be written; raises ArgumentTypeError."""
    path = Path(text)
    endings = sorted(plt.Figure().canvas.get_supported_filetypes())
    endings.remove("pgf")  # needs LaTeX
    if path.suffix[1:].lower() not in endings:
        raise argparse.ArgumentTypeError(f"{text!r} has none of the endings {', '.join(endings)}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    target = path if path.exists() else path.parent
    if path.is_dir() or not os.access(target, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written")
    return path


def make_parser():
    """The command line's flags, an ArgumentParser; the defaults are the article's."""
    parser = argparse.ArgumentParser(prog="rnn_sine.py", description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--epochs", type=whole_number, default=100, help="passes over the training data")
    add("--batch-size", type=whole_number, default=32, help="windows per training step")
    add("--learning-rate", type=positive_number, default=0.001, help="size of a training step")
    add("--schedule", choices=["constant", "onecycle"], default="constant",
        help="onecycle: the learning rate rises to its value, then falls to almost nothing")
    add("--max-grad-norm", type=positive_number, help="shorten longer gradients to this length")
    add("--hidden-size", type=whole_number, default=64, help="numbers in the hidden state")
    add("--num-layers", type=whole_number, default=1, help="recurrent layers, one upon the other")
    add("--seq-length", type=whole_number, default=20, help="time steps in a window")
    add("--n-samples", type=whole_number, help="samples of the sine (default: 1000)")
    add("--noise", type=float, help="standard deviation of noise on the sine (default: 0)")
    add("--series", metavar="FILE", help="file in place of the sine: a number per line, or CSV")
    add("--column", metavar="NAME", help="heading or number of the file's column (default: last)")
    add("--newest-first", action="store_true", help="the file begins with its newest row")
    add("--drop-missing", action="store_true",
        help="leave out rows without a value, as if no time passed there: right for days without "
             "trade, wrong for a gap in a season")
    add("--ahead", type=whole_number, metavar="N", help="predict the next N values, with a band")
    add("--seed", type=int, default=42, help="another one draws other weights, batches and noise")
    add("--device", type=working_device, default="auto", help="cpu, cuda, ...; auto prefers cuda")
    add("--output", type=picture_file, default="rnn_sine.png", help="file for the picture")
    add("--lang", choices=["en", "zh"], default="en", help="the picture's language")
    add("--no-show", action="store_true", help="save the picture, but open no window")
    return parser


def load_data(args):
    """The data that the flags ask for: (train_data, test_data, mean, scale) as in `scale_series`.

    They are the sine, or else the reader's own series. Raises ValueError if flags do not fit.
    """
    if args.series is None:
        if args.column is not None or args.drop_missing or args.newest_first:
            raise ValueError("--column, --drop-missing and --newest-first need --series FILE")
        train_data, test_data = generate_data(args.n_samples or 1000, args.seq_length,
                                              args.noise or 0.0)
        mean, scale = 0.0, 1.0
    else:
        if args.n_samples is not None or args.noise is not None:
            raise ValueError("--n-samples and --noise belong to the sine, not to --series FILE")
        series = load_series(args.series, args.column, args.drop_missing, args.newest_first)
        if args.column is None and may_have_decimal_commas(args.series):
            raise ValueError("the rows are like 503,11: if that is one number, write 503.11; if "
                             "these are two columns, choose one by --column")
        train_data, test_data, mean, scale = scale_series(series, args.seq_length)
    if args.ahead is not None and args.ahead > len(test_data):
        raise ValueError(f"--ahead {args.ahead} is more than the {len(test_data)} test values")
    return train_data, test_data, mean, scale


def main(argv=None):
    """The results of a whole run, a dict that `compare` describes.

    `argv` is a list of flags, by default those of the command line.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    try:
        np.random.seed(args.seed)
        torch.manual_seed(args.seed)
        train_data, test_data, mean, scale = load_data(args)
    except ValueError as error:
        parser.error(str(error))

    # The RNN comes first, so that it meets the same random numbers as in the article.
    settings = {"batch_size": args.batch_size, "learning_rate": args.learning_rate,
                "schedule": args.schedule, "max_grad_norm": args.max_grad_norm,
                "device": args.device, "planned_epochs": args.epochs}
    print(f"Device: {args.device}\nTraining the RNN...")
    model = SimpleRNN(1, args.hidden_size, args.num_layers, 1).to(args.device)
    try:
        losses, test_losses = fit(model, train_data, test_data, args.epochs, **settings)
    except FloatingPointError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    if not losses:
        parser.exit(1, f"{parser.prog}: the RNN has not finished one epoch; nothing to show\n")
    all_losses = {"RNN, training": losses, "RNN, test": test_losses}

    # The MLP is trained in the same way, for as many epochs.
    print("Training the MLP...")
    network = mlp(args.seq_length, args.hidden_size).to(args.device)
    try:
        mlp_losses, mlp_test_losses = fit(network, train_data, test_data, len(losses), **settings)
    except FloatingPointError as error:
        mlp_losses, mlp_test_losses = [], []
        print(f"MLP: {error}.")

    # All predictors meet the same targets, each with the windows that it reads.
    windows, targets = test_data.tensors
    predictors = {"persistence": (Persistence(), windows),
                  "linear regression": (linear_regression(train_data), windows),
                  "MLP": (network, windows),
                  "RNN": (model, windows),
                  "RNN, long window": (model, long_windows(train_data, test_data,
                                                           10 * args.seq_length))}
    if mlp_losses:
        all_losses.update({"MLP, training": mlp_losses, "MLP, test": mlp_test_losses})
    else:
        print("The MLP is left out, because its training did not succeed.")
        del predictors["MLP"]
    steps = max(1, min(64, len(targets) // 2))
    results = compare(predictors, targets, steps, args.batch_size, args.device)
    many_steps = forecast(model, windows[:1], min(200, len(targets)), args.device)[0]
    results.update(model=model, mean=mean, scale=scale, window=windows[0].numpy(),
                   many_steps=many_steps, losses=all_losses)
    report(results, args.noise or 0.0)
    if 0 < len(mlp_losses) < len(losses):
        print(f"The MLP was stopped after {len(mlp_losses)} of {len(losses)} epochs.")

    # The next values, if they are asked for.
    if args.ahead is not None:
        values, name, share = next_values(predictors, targets, args.ahead, args.device)
        results.update(ahead=mean + scale * values, ahead_by=name, ahead_share=share)
        report_ahead(results)

    # The picture is saved before it is shown, since its window stays until somebody closes it.
    figure = draw_results(results)
    if args.lang == "zh":
        label_in_chinese(figure)
    figure.savefig(args.output)
    print_safely(f"Picture: {args.output}")
    if not args.no_show:
        plt.show()
    plt.close(figure)
    return results


if __name__ == "__main__":
    torch.set_num_threads(1)  # at the default sizes, one thread is faster than two
    main()
