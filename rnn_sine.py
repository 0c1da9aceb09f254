"""Train a recurrent neural network (RNN) to continue a sine, then ask whether it is any good.

An RNN reads a sequence one value at a time and keeps a summary of what it has read, the hidden
state. At every step, the same weights turn the new value and the old hidden state into the next
hidden state. That is the whole idea.

    python rnn_sine.py                 train, compare, draw rnn_sine.png: about ten seconds
    python rnn_sine.py --series FILE   the same with your own numbers
    python rnn_sine.py --help          what you can change

The first of these commands prints a table of errors, 1, 4, 16 and 64 steps ahead. The smaller an
error, the better:

    predictor           RMSE 1 step ahead         4        16        64
    persistence                    0.0216    0.0856     0.328      1.05
    linear regression            4.27e-08  5.88e-08  1.91e-07  1.19e-06
    MLP                           0.00168   0.00278   0.00887    0.0134
    RNN                           0.00193   0.00409    0.0289     0.289

RMSE is the root of the mean squared error, so it is the typical size of an error. The sine's height
is 1. Persistence says the last value again. Linear regression says a weighted sum of the last 20
values. The MLP (multilayer perceptron) is a neural network that sees the 20 values all at once.

One step ahead, you would not see the RNN's error in a plot. Yet the error of linear regression is
tens of thousands of times smaller, and nothing but rounding. The reason is that a sine obeys a rule
that is a weighted sum: y[t+1] = 2 cos(d) y[t] - y[t-1], where d is how much the sine's angle grows
from one value to the next. Many steps ahead, each prediction enters the window as if it were true,
so errors feed on each other. Fed back like this, an error grows in this RNN and shrinks in this
MLP. (Those of linear regression are too small to matter.) README.md shows what this may depend on,
and on which series a recurrent network is worth it.

Part 1 is the program of a Chinese blog article, 循环神经网络(RNN)模型, with the article's settings.
Part 2 is what the RNN is compared with. Part 3, `main`, puts both together, and ends the lesson.
Parts 4 to 6 are tools: the table and the picture, files of numbers, flags.
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

TRAIN_FRACTION = 0.8  # of the samples, the first ones in time; the rest is for testing

# Part 1: the article's program.
#
# A tensor is PyTorch's array. It lives on a device, "cpu" or "cuda" (a graphics card), and
# `.to(device)` copies it there. We write shapes in brackets. For example, [batch, time, 1] may be
# [32, 20, 1]: 32 windows that are computed side by side, of 20 values each, where a value is 1
# number. [n, time, 1] are all windows, not just one batch.


def make_windows(series, seq_length=20, train_fraction=TRAIN_FRACTION):
    """Samples cut from a series [time]: windows, each with the value that comes after it.

    A predictor sees a window of `seq_length` values and must predict the next value, its target.
    A window and its target are a sample. With `seq_length=3`:

        series      y0  y1  y2  y3  y4  y5  ...
        sample 0   [y0  y1  y2] y3                    [window] target
        sample 1       [y1  y2  y3] y4
        sample 2           [y2  y3  y4] y5

    The first `train_fraction` of the samples is for training, the rest for testing. We split in
    time, because neighbouring windows share all values but one: after a random split, we would test
    on values that were trained on.

    Returns (train_data, test_data), TensorDatasets of windows [n, seq_length, 1] and targets
    [n, 1]. Raises ValueError if the series is too short for a training sample.
    """
    values = torch.tensor(np.array(series), dtype=torch.float32)  # [time]
    n_samples = len(values) - seq_length
    n_train = int(train_fraction * n_samples)
    if n_train < 1:
        raise ValueError(f"{len(values)} values are too few to train on windows of {seq_length}")
    # unfold gives every stretch of seq_length neighbours. The last value is only a target.
    windows = values[:-1].unfold(dimension=0, size=seq_length, step=1)  # [n, seq_length]
    windows = windows.unsqueeze(-1)  # [n, seq_length, 1]
    targets = values[seq_length:].unsqueeze(-1)  # [n, 1]
    train_data = TensorDataset(windows[:n_train], targets[:n_train])
    test_data = TensorDataset(windows[n_train:], targets[n_train:])
    return train_data, test_data


def generate_data(n_samples=1000, seq_length=20, noise=0.0):
    """Samples of a sine: five periods of height 1, plus normal noise of deviation `noise`.

    The test samples cover roughly the last period. Without noise, they repeat what was trained on,
    so this test is an easy one. Returns what `make_windows` returns.
    """
    angles = np.linspace(0, 10 * np.pi, n_samples + seq_length)  # [time]
    deviations = np.random.normal(0, noise, len(angles))  # [time]
    return make_windows(np.sin(angles) + deviations, seq_length)


class SimpleRNN(nn.Module):
    """A recurrent layer that reads a window, and a linear layer that makes the prediction.

        h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h)    for t = 1 ... T, from h_0 = 0
        y   = W_y h_T + b_y

    x_t is value t of the window, T is the length of the window, and y is the prediction. The hidden
    state h_t is a vector of `hidden_size` numbers, and tanh keeps each of them between -1 and 1.
    The matrices W_x [hidden, input], W_h [hidden, hidden] and W_y [output, hidden] and the vectors
    b_x, b_h [hidden] and b_y [output] are the weights. They begin at random; training changes them.

    The weights are shared: every step uses the same ones. So their number does not depend on the
    length of the window. With 64 hidden numbers, W_x, W_h, b_x, b_h, W_y and b_y have together
    64 + 64 * 64 + 64 + 64 + 64 + 1 = 4,353. (One of b_x and b_h would do; PyTorch keeps both.)
    """

    # A network is an nn.Module. Its __init__ makes the layers, so that PyTorch finds their weights.
    # Its forward says how a prediction is computed; `model(x)` calls it.
    def __init__(self, input_size, hidden_size, num_layers, output_size):
        super().__init__()
        # self.rnn has W_x, W_h, b_x and b_h and computes the h_t; predict_by_hand shows how.
        # self.fc ("fully connected") has W_y and b_y and computes y. With num_layers=2, a second
        # layer would read the h_t of the first.
        # batch_first says that windows come as [batch, time, input], not [time, batch, input].
        self.rnn = nn.RNN(input_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, output_size)

    def forward(self, x):
        """The predictions [batch, output] for the windows x [batch, time, input]."""
        # self.rnn returns all hidden states, and then the last one again, which we do not need.
        hidden_states, _ = self.rnn(x)  # h_1 ... h_T: [batch, time, hidden]
        last_hidden_state = hidden_states[:, -1]  # h_T: [batch, hidden]
        return self.fc(last_hidden_state)  # [batch, output]


def predict_by_hand(model, x):
    """The predictions [batch, output] of a `SimpleRNN` of one layer, by a loop over time.

    This is what nn.RNN does, written out. The windows x are [batch, time, input]. Row i of x[:, t]
    is value t of window i, and row i of h is the hidden state of window i. For rows, the product
    W x of the equation is x @ W.T, [batch, input] @ [input, hidden].
    """
    W_x, W_h, b_x, b_h = model.rnn.parameters()  # in the order in which nn.RNN keeps them
    h = torch.zeros(x.size(0), W_h.size(0), device=x.device)  # h_0: [batch, hidden]
    for t in range(x.size(1)):
        h = torch.tanh(x[:, t] @ W_x.T + b_x + h @ W_h.T + b_h)  # [batch, hidden]
    return model.fc(h)  # [batch, output]


def train_epoch(model, train_loader, criterion, optimizer, device, scheduler=None,
                max_grad_norm=None):
    """Train the model once on each batch of `train_loader`, and return the mean of the losses.

    The loss, `criterion(predictions, targets)`, is one number that says how wrong the predictions
    are. The gradient says, for each weight, how fast the loss rises when this weight rises. The
    `optimizer` changes each weight a little in the direction in which the loss falls. How much is
    set by the learning rate, which a `scheduler` may change after each batch.

    An early value acts on the loss through all later hidden states. By the chain rule, the gradient
    has one factor for each step from h_{t-1} to h_t: W_h times a slope of tanh. If their product
    shrinks with every step, the gradient vanishes, and early values teach the network little. If
    the product grows, the gradient explodes, and one change of the weights may ruin them. Against
    exploding we can clip: if the gradient (of all weights, as one vector) is longer than
    `max_grad_norm`, it is shortened to this length.
    """
    model.train()  # a mode for layers that behave differently in training; ours do not
    batch_losses = []
    for inputs, targets in train_loader:
        inputs, targets = inputs.to(device), targets.to(device)  # [batch, time, 1], [batch, 1]
        predictions = model(inputs)  # [batch, 1]
        loss = criterion(predictions, targets)
        optimizer.zero_grad()  # forget the gradient of the last batch
        loss.backward()  # compute the gradient of this batch, back through all time steps
        if max_grad_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
        optimizer.step()  # change each weight a little
        if scheduler is not None:
            scheduler.step()
        batch_losses.append(loss.item())
    return sum(batch_losses) / len(batch_losses)


def train_model(model, train_loader, criterion, optimizer, device, epochs=100, *,
                test_loader=None, scheduler=None, max_grad_norm=None):
    """Train `model` for some epochs, which are passes over the training samples.

    Returns two lists: the training losses, one for each epoch, and the test losses; without a
    `test_loader`, the second list stays empty. A training loss is a mean over an epoch in which the
    weights still change. A test loss is computed after the epoch, so it may well be smaller.

    Ctrl-C ends the training early and keeps what was learnt. A loss that is infinite or not a
    number raises FloatingPointError.
    """
    losses, test_losses = [], []
    try:
        for epoch in range(1, epochs + 1):
            loss = train_epoch(model, train_loader, criterion, optimizer, device, scheduler,
                               max_grad_norm)
            line = f"Epoch [{epoch}/{epochs}], Loss: {loss:.3e}"
            losses.append(loss)
            test_loss = 0.0  # stays so without a test_loader
            if test_loader is not None:
                predictions, actuals = evaluate_model(model, test_loader, device)
                test_loss = criterion(torch.tensor(predictions), torch.tensor(actuals)).item()
                test_losses.append(test_loss)
                line += f", test loss: {test_loss:.3e}"
            if not math.isfinite(loss + test_loss):  # if one of them is not
                raise FloatingPointError(f"{line}: not finite, so try a lower learning rate")
            if epoch % 10 == 0 or epoch == epochs:
                print(line)
    except KeyboardInterrupt:
        print(f"Stopped in epoch {epoch} of {epochs}.")
    return losses, test_losses


@torch.no_grad()  # nothing is trained here, so PyTorch need not prepare for backward()
def evaluate_model(model, test_loader, device):
    """The predictions for all windows of `test_loader`, and the true values: two arrays [n, 1]."""
    model.eval()  # the mode for everything but training
    predictions, actuals = [], []
    for inputs, targets in test_loader:
        predictions.append(model(inputs.to(device)).cpu())  # [batch, 1]
        actuals.append(targets.cpu())  # [batch, 1]
    return torch.cat(predictions).numpy(), torch.cat(actuals).numpy()


# All of it in eight lines. Adam is the optimizer, and nn.MSELoss is the mean squared error:
#
# from rnn_sine import DataLoader, SimpleRNN, evaluate_model, generate_data, nn, torch, train_model
# torch.manual_seed(42)
# train_data, test_data = generate_data()
# train_loader = DataLoader(train_data, batch_size=32, shuffle=True)
# model = SimpleRNN(input_size=1, hidden_size=64, num_layers=1, output_size=1)
# optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
# losses, _ = train_model(model, train_loader, nn.MSELoss(), optimizer, device="cpu")
# predictions, actuals = evaluate_model(model, DataLoader(test_data, batch_size=32), "cpu")


# Part 2: the RNN's rivals, and how they are all compared. A predictor is any module from windows
# [batch, time, 1] to next values [batch, 1], as SimpleRNN is one.


class Persistence(nn.Module):
    """The last value of the window, said again. It has no weights."""

    def forward(self, x):
        """The last values [batch, 1] of the windows x [batch, time, 1]."""
        return x[:, -1]


def fit_linear_regression(train_data):
    """A predictor: a weighted sum of the window plus a constant, fitted by least squares.

    No other weights give a smaller mean squared error on the training samples. On a clean sine,
    many weights fit equally well. In 32 bits, rounding would spoil the choice; we compute in 64.
    """
    windows, targets = train_data.tensors
    inputs = windows.flatten(1)  # [n, time]
    inputs_and_one = torch.cat([inputs, torch.ones_like(targets)], dim=1)  # [n, time + 1]
    # The weights [time + 1, 1] for which inputs_and_one @ weights comes nearest to the targets:
    weights = torch.linalg.lstsq(inputs_and_one.double(), targets.double()).solution
    layer = nn.Linear(inputs.size(1), 1)
    layer.weight = nn.Parameter(weights[:-1].T.float())  # [1, time]
    layer.bias = nn.Parameter(weights[-1].float())  # [1]
    return nn.Sequential(nn.Flatten(), layer)


def make_mlp(seq_length, hidden_size):
    """A multilayer perceptron, y = W_2 tanh(W_1 x + b_1) + b_2, where x is the whole window.

    It has weights of their own for each place in the window, while the RNN shares its weights among
    the places. With 20 values and 64 hidden numbers there are 20 * 64 + 64 + 64 + 1 = 1,409.
    """
    return nn.Sequential(nn.Flatten(),  # [batch, time]
                         nn.Linear(seq_length, hidden_size), nn.Tanh(),  # [batch, hidden]
                         nn.Linear(hidden_size, 1))  # [batch, 1]


def train_with_adam(network, train_data, test_data, epochs=100, *, batch_size=32,
                    learning_rate=0.001, one_cycle=False, max_grad_norm=None, device="cpu"):
    """Train a network on the mean squared error (MSE) by Adam; returns what `train_model` returns.

    With `one_cycle`, the learning rate rises to `learning_rate` in the first three tenths of the
    training, then falls to almost nothing (Smith, 2018).
    """
    train_loader = DataLoader(train_data, batch_size, shuffle=True)  # new batches in every epoch
    windows, targets = test_data.tensors
    test_batches = list(zip(windows.split(1000), targets.split(1000)))  # needs no shuffling
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    scheduler = None
    if one_cycle:
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, learning_rate, epochs * len(train_loader), cycle_momentum=False)
    return train_model(network, train_loader, nn.MSELoss(), optimizer, device, epochs,
                       test_loader=test_batches, scheduler=scheduler, max_grad_norm=max_grad_norm)


def slide(windows, predictions):
    """The windows [n, time, 1] one step later: a prediction [n, 1] enters, the oldest value leaves.

    A prediction is written with a hat:

        [y0  y1  y2 ]  gives ŷ3
        [y1  y2  ŷ3 ]  gives ŷ4
        [y2  ŷ3  ŷ4 ]  gives ŷ5
    """
    return torch.cat([windows[:, 1:], predictions.unsqueeze(-1)], dim=1)


@torch.no_grad()
def predict(model, windows, device):
    """As `evaluate_model`, for windows [n, time, 1] without targets: a tensor [n, 1] on the CPU."""
    model.eval()
    pieces = []
    for piece in windows.split(1000):  # 1,000 windows at a time, so that memory stays small
        pieces.append(model(piece.to(device)).cpu())
    return torch.cat(pieces)


def forecast(model, windows, steps, device):
    """Predictions 1 ... `steps` steps ahead of the windows [n, time, 1], an array [n, steps].

    The model predicts the next value, the window slides, and the model predicts again.
    """
    predictions = []
    for _ in range(steps):
        prediction = predict(model, windows, device)  # [n, 1]
        predictions.append(prediction)
        windows = slide(windows, prediction)
    return torch.cat(predictions, dim=1).numpy()


def errors_ahead(model, windows, targets, steps, device):
    """Prediction minus true value, 1 ... `steps` steps ahead of each window: an array [n, steps].

    The windows [n, time, 1] and the targets [n, 1] are neighbours in time, so the true value two
    steps ahead of a window is the target of the next one. The true values for three windows:

                    1 step ahead    2 steps ahead
        window 0    target 0        target 1
        window 1    target 1        target 2
        window 2    target 2        none, so the error is NaN

    Column 0 of the result is one step ahead. A prediction that is NaN counts as infinitely wrong.
    """
    n = len(windows)
    errors = np.full((n, steps), np.nan)
    for step in range(steps):
        predictions = predict(model, windows, device)  # [n - step, 1]
        differences = (predictions - targets[step:])[:, 0].numpy()  # [n - step]
        errors[: n - step, step] = np.where(np.isnan(differences), np.inf, differences)
        # After the slide, the last window is left out: its true value lies beyond the end.
        windows = slide(windows, predictions)[:-1]
    return errors


def rmse(errors):
    """The root of the mean squared error along the first axis; NaN (no true value) is left out."""
    return np.sqrt(np.nanmean(np.square(errors), axis=0))


def scale_series(series, seq_length):
    """A series [time], shifted and stretched, so that its training part has mean 0 and deviation 1.

    Weights begin as small random numbers, and tanh answers with numbers between -1 and 1. So a
    network easily learns values of about this size, and hardly learns values of thousands. The test
    part has no say in the mean and the deviation, or it would tell the training its future.

    Returns (scaled, mean, scale): `mean + scale * scaled` is the series. Raises ValueError if the
    series is too short or cannot be scaled; `check_series` says when.
    """
    series = np.array(series, dtype=float)
    n_train = int(TRAIN_FRACTION * (len(series) - seq_length))
    past = series[: seq_length + n_train]  # the windows and targets that train
    check_series(series, past)
    mean, scale = float(past.mean()), float(past.std())
    return (series - mean) / scale, mean, scale


# Part 3: the whole program.


def main(argv=None):
    """Train, compare, print, draw; `argv` is a list of flags, by default the command line's.

    Returns a dict. Values and errors are in the unit of the series:

        "model"          the trained SimpleRNN, which works with scaled values
        "mean", "scale"  floats; a scaled value is (value - mean) / scale. For the sine, 0 and 1
        "actuals"        the true values of the test part, an array [n]
        "errors"         a dict: predictor's name -> array [n, steps], as `errors_ahead` gives it
        "losses"         a dict: network's name -> (training losses, test losses), two lists
        "picture"        the path of the picture, or None if it could not be saved

    With `--ahead`, the dict also has what `answer_ahead` returns.
    """
    args, device, series = read_flags(argv)  # the series is None if there is no file

    # Samples, of the sine or of the file. (For a list of your own, write here: series = [...].)
    if series is None:
        train_data, test_data = generate_data(seq_length=args.seq_length, noise=args.noise)
        mean, scale = 0.0, 1.0
        actuals = test_data.tensors[1].double().numpy()[:, 0]
    else:
        scaled, mean, scale = scale_series(series, args.seq_length)
        train_data, test_data = make_windows(scaled, args.seq_length)
        actuals = np.array(series, dtype=float)[-len(test_data):]  # neither scaled nor rounded
    windows, targets = test_data.tensors
    if args.ahead > len(targets) // 2:
        make_parser().error(f"--ahead can be {len(targets) // 2} at most, half of the test values")
    print(f"{len(train_data)} samples train, {len(test_data)} test. Device: {device}")

    # The two networks. The seed is set again before each of them. So what happens to one network, a
    # Ctrl-C for example, cannot change the random numbers of the other.
    settings = {"epochs": args.epochs, "batch_size": args.batch_size, "device": device,
                "learning_rate": args.learning_rate, "one_cycle": args.one_cycle,
                "max_grad_norm": args.max_grad_norm}
    try:
        torch.manual_seed(args.seed)
        rnn = SimpleRNN(1, args.hidden_size, args.num_layers, 1).to(device)
        # The loop by hand knows one layer only, and an nn.LSTM would have another equation.
        if args.num_layers == 1 and isinstance(rnn.rnn, nn.RNN):
            with torch.no_grad():
                few = windows[:32].to(device)
                differences = predict_by_hand(rnn, few) - rnn(few)
            print(f"The loop by hand and nn.RNN differ by {differences.abs().max():.0e} at most.")
        print("Training the RNN...")
        rnn_losses = train_with_adam(rnn, train_data, test_data, **settings)
        print("Training the MLP...")
        torch.manual_seed(args.seed)
        mlp = make_mlp(args.seq_length, args.hidden_size).to(device)
        mlp_losses = train_with_adam(mlp, train_data, test_data, **settings)
    except FloatingPointError as error:
        sys.exit(f"rnn_sine.py: {error}")

    # All predictors meet the same test windows. Add your own here: any module from windows to next
    # values, trained or not. It will be compared, printed and drawn.
    predictors = {
        "persistence": Persistence(),
        "linear regression": fit_linear_regression(train_data),
        "MLP": mlp,
        "RNN": rnn,
    }
    # We look 64 steps ahead if the test part is long enough, and as far as --ahead asks.
    steps = min(64, len(targets) // 2)
    steps = max(steps, args.ahead)
    errors = {}
    for name, predictor in predictors.items():
        predictor.to(device)  # a module moves itself, while a tensor is copied
        errors[name] = scale * errors_ahead(predictor, windows, targets, steps, device)

    # Results, the next values among them, then the table and the picture.
    results = {"model": rnn, "mean": mean, "scale": scale, "actuals": actuals, "errors": errors,
               "losses": {"RNN": rnn_losses, "MLP": mlp_losses}}
    if args.ahead > 0:
        ahead = answer_ahead(predictors, windows, targets, errors, args.ahead, mean, scale, device)
        results.update(ahead)
    print_report(results)
    results["picture"] = save_picture(results, args.output, args.lang, show=not args.no_show)
    return results


# This is the end of the lesson. What follows prints, draws and reads; nothing is trained there.
#
# Three things to try:
# 1. In SimpleRNN, write nn.LSTM or nn.GRU for nn.RNN. Through both of them, gradients vanish less
#    easily. Which of the three errs least?
# 2. Run `--noise 0.1`, then `--noise 0.1 --seq-length 60`. Who gains from the longer window?
# 3. Write a class like Persistence that continues the straight line through the last two values:
#    return 2 * x[:, -1] - x[:, -2]. Add it to the dict in `main`. Does it beat the RNN?

# Part 4: the table and the picture.


def count_wins(errors):
    """The name of the predictor that errs least one step ahead, and a dict with its wins.

    `errors` is a dict: predictor's name -> array [n, steps], as `errors_ahead` gives it. We cut the
    n test values into ten parts, in the order of time. The dict of wins is: another predictor's
    name -> the number of parts in which the best one has the smaller RMSE. README.md says what ten
    of ten proves, and why it proves less than it seems.
    """
    one_step = {name: array[:, 0] for name, array in errors.items()}
    best = min(one_step, key=lambda name: rmse(one_step[name]))
    best_parts = np.array_split(one_step[best], 10)
    counts = {}
    for name in one_step:
        if name != best:
            counts[name] = 0
            for best_part, part in zip(best_parts, np.array_split(one_step[name], 10)):
                if rmse(best_part) < rmse(part):
                    counts[name] += 1
    return best, counts


def next_values(predictor, windows, targets, errors, mean, scale, device):
    """The values after the last target, an array [steps, 3]: value, low, high in the series' unit.

    Row 0 is 1 step ahead, row 1 is 2 steps ahead, and so on. `errors` [n, steps], in the series'
    unit, are the predictor's errors on the test part. Low and high stand at the same distance from
    the value. Of the test errors at this step, nine in ten were smaller in size than this distance.

    If the future is like the test part, the true value lies between low and high about nine times
    in ten. This holds for each step, not for all steps together. It holds a bit less often if the
    predictor was chosen by these same errors.
    """
    newest = torch.cat([windows[-1, 1:], targets[-1:]])  # the last window, slid by one: [time, 1]
    predictions = forecast(predictor, newest.unsqueeze(0), errors.shape[1], device)[0]  # [steps]
    values = mean + scale * predictions.astype(np.float64)
    distances = np.nanquantile(np.abs(errors), 0.9, axis=0)  # [steps]
    return np.stack([values, values - distances, values + distances], axis=1)


def answer_ahead(predictors, windows, targets, errors, n_ahead, mean, scale, device):
    """The next `n_ahead` values by the predictor that errs least over as many steps, as a dict.

        "ahead_rmse"    a dict: predictor's name -> its RMSE over 1 ... `n_ahead` steps ahead
        "ahead_by"      the name of the predictor with the smallest RMSE, which makes the forecast
        "ahead"         its forecast, an array [n_ahead, 3] as `next_values` gives it
    """
    sizes = {}
    for name in predictors:
        sizes[name] = float(rmse(errors[name][:, :n_ahead].flatten()))  # over all rows and steps
    best = min(sizes, key=sizes.get)  # the name with the smallest size
    values = next_values(predictors[best], windows, targets, errors[best][:, :n_ahead], mean, scale,
                         device)
    return {"ahead_rmse": sizes, "ahead_by": best, "ahead": values}


def print_report(results):
    """Print the table of `results`, who wins, and the next values if they were asked for."""
    columns = [steps for steps in (1, 4, 16, 64) if steps <= len(results["actuals"]) // 2]
    more = "".join(f"{steps:10d}" for steps in columns[1:])
    print(f"predictor           RMSE 1 step ahead{more}")
    for name, errors in results["errors"].items():
        sizes = rmse(errors)
        print(f"{name:27s}" + "".join(f"{sizes[steps - 1]:10.3g}" for steps in columns))
    best, counts = count_wins(results["errors"])
    wins = ", ".join(f"{name} in {count}" for name, count in counts.items())
    print(f"One step ahead, {best} errs least. In ten parts of the test it beats\n{wins}.")
    if "ahead" in results:
        sizes = ", ".join(f"{name} {size:.3g}" for name, size in results["ahead_rmse"].items())
        print(f"RMSE over all of 1 to {len(results['ahead'])} steps ahead: {sizes}.\n"
              f"So the next values are those of {results['ahead_by']}:\n"
              " step      prediction             low            high")
        # Decimals that show three digits of the scale: none if it is 250, four if it is 0.025.
        decimals = max(0, 2 - math.floor(math.log10(results["scale"])))
        for step, row in enumerate(results["ahead"], start=1):
            print(f"{step:5d}" + "".join(f" {value:15.{decimals}f}" for value in row))


def draw_results(results):
    """A figure of `results` in four panels. A predictor has the same colour in all of them."""
    figure, axes = plt.subplots(2, 2, figsize=(13, 6.4), layout="constrained")
    ax_one, ax_many, ax_errors, ax_losses = axes.flat
    colors = {name: f"C{place}" for place, name in enumerate(results["errors"])}
    draw_predictions(ax_one, ax_many, results, colors)
    ax_errors.set(title="Error against steps ahead", xlabel="steps ahead", ylabel="RMSE",
                  yscale="log")
    for name, errors in results["errors"].items():
        sizes = rmse(errors)
        ax_errors.plot(np.arange(len(sizes)) + 1, sizes, ".-", color=colors[name], label=name)
    ax_losses.set(title="Losses during training", xlabel="epoch", ylabel="MSE", yscale="log")
    for name, (losses, test_losses) in results["losses"].items():
        for what, values, style in (("training", losses, ".:"), ("test", test_losses, ".-")):
            epochs = np.arange(len(values)) + 1
            color = colors.get(name, "black")  # for a network that is not among the predictors
            ax_losses.plot(epochs, values, style, color=color, label=f"{name}: {what}")
    for ax in axes.flat:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4)  # below the data
    return figure


def draw_predictions(ax_one, ax_many, results, colors):
    """Draw the newest true values, broad and grey, and what the RNN predicts, on two panels."""
    actuals = results["actuals"]
    errors = results["errors"]["RNN"]
    n, steps = errors.shape
    begin = max(0, n - max(200, steps))  # 200 values, or as many as one forecast has
    samples = np.arange(n) + 1
    for ax in (ax_one, ax_many):
        ax.plot(samples[begin:], actuals[begin:], color="lightgrey", linewidth=5, label="actual")
        ax.set(xlabel="test sample", ylabel="value")
    # A true value plus its error is the prediction.
    predictions = actuals + errors[:, 0]
    ax_one.set_title("One step ahead, from true values")
    ax_one.plot(samples[begin:], predictions[begin:], color=colors["RNN"], label="RNN")
    if "ahead" in results:
        name = results["ahead_by"]
        values, low, high = results["ahead"].T
        future = n + 1 + np.arange(len(values))
        ax_one.vlines(future, low, high, color=colors[name], alpha=0.3, linewidth=4,
                      label="90 % band")
        ax_one.plot(future, values, color=colors[name], marker=".", label=f"next values: {name}")
    ax_many.set_title("Many steps ahead, restarted from true values")
    for start in range(begin, n - steps + 1, steps):
        piece = slice(start, start + steps)
        label = "RNN" if start == begin else None  # one entry in the legend is enough
        ax_many.plot(samples[piece], actuals[piece] + errors[start], color=colors["RNN"],
                     label=label)


CHINESE_FONTS = ("simhei", "msyh", "pingfang", "hiragino sans gb", "stheiti", "notosanscjk-regular",
                 "notosanscjksc-regular", "notosanscjk-vf", "sourcehansanssc-regular", "wqy-")
CHINESE_LABELS = {
    "One step ahead, from true values": "RNN模型预测结果（单步预测，以真实值为输入）",
    "Many steps ahead, restarted from true values": "多步预测（每段以真实值开始）",
    "test sample": "样本",
    "value": "值",
    "actual": "真实值",
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
    """Translate the labels of a finished figure, if a font is installed that has Chinese."""
    installed = sorted(font_manager.findSystemFonts())
    fonts = [file for file in installed if Path(file).name.lower().startswith(CHINESE_FONTS)]
    if not fonts:
        print("No Chinese font is installed, so the labels of the picture are in English.")
        return
    for text in figure.findobj(plt.Text):
        parts = text.get_text().split(": ")  # a legend may say "next values: MLP"
        label = "：".join(CHINESE_LABELS.get(part, part) for part in parts)
        if label != text.get_text():
            text.set(text=label, font=Path(fonts[0]), size=text.get_size())


def save_picture(results, output, lang, show):
    """Draw `results`, save the picture, show it; returns its path, or None if saving failed."""
    figure = draw_results(results)
    if lang == "zh":
        label_in_chinese(figure)
    # Saved under another name first, so that a full disk does not destroy an older picture.
    unfinished = Path(output + ".part")
    picture = output
    try:
        figure.savefig(unfinished, format=Path(output).suffix[1:].lower())
        unfinished.replace(output)
        print(f"Picture: {output}")
    except OSError as error:
        picture = None
        print(f"The picture could not be saved: {error}", file=sys.stderr)
    finally:
        unfinished.unlink(missing_ok=True)
    if show and plt.get_backend().lower() not in ("agg", "pdf", "svg", "ps"):
        plt.show(block=True)  # until somebody closes the window, in interactive mode, too
    plt.close(figure)
    return picture


# Part 5: a file of your own. If these rules don't decide how to read it, the program stops in a
# sentence that says what to change.


def read_rows(path):
    """A text file as (rows, places, separator): lists of cells, and for each row where it stands.

    The text is UTF-16 if it begins with the mark of UTF-16, else UTF-8, else GB18030 (Excel in
    China). Empty lines and lines that begin with # do not count. The separator is the tab, the
    semicolon or the comma, whichever stands in most lines. If none of them stands in half of the
    lines, it is the space.
    """
    content = Path(path).read_bytes()  # read once, because a pipe can be read only once
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("gb18030", errors="replace")
    lines, line_numbers = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip(" ")
        # A spreadsheet writes #N/A, #NV or #REF! for a missing number.
        comment = line.startswith("#") and not re.match(r"#(N[A-Z/]|[A-Z/0]+[!?])", line)
        if line.strip() and not comment:
            lines.append(line)
            line_numbers.append(number)
    if content.startswith(b"PK\x03\x04") or "\0" in text or not lines:
        raise ValueError("this is no text, or empty: save a workbook as CSV, unpack an archive")
    counts = {mark: sum(mark in line for line in lines) for mark in "\t;,"}  # lines with the mark
    separator = max(counts, key=counts.get)  # the first of those that are equal
    if counts[separator] < len(lines) / 2:
        separator = " "
        lines = [" ".join(line.split()) for line in lines]
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != " ", strict=True)
    rows, places = [], []
    try:
        for row in reader:
            rows.append([cell.strip() for cell in row])
            last_line = reader.line_num - 1
            places.append(f"line {line_numbers[last_line]}: {lines[last_line]:.80}")
    except csv.Error:
        raise ValueError(f"after row {len(rows)} a quotation mark is missing or too much") from None
    return rows, places, separator


def normalize_number(cell, separator):
    """The text of a cell, with its number as Python writes numbers."""
    if separator == ";":  # a comma is the decimal mark
        return cell.replace(",", ".")
    # Between commas, a number in quotation marks may have commas for thousands: "1,234.5".
    if separator == "," and re.fullmatch(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?", cell):
        return cell.replace(",", "")
    return cell


def to_number(text):
    """The finite number that Python's float reads in a text, or NaN."""
    try:
        number = float(text.replace("_", "?"))  # float alone would take 2019_01
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def is_heading(cell):
    """Whether the first letter or digit in a cell is a letter: yes for "PM2.5", no for "13.1 p"."""
    first = re.search(r"[^\W_]", cell)  # a letter or a digit
    return first is not None and first[0].isalpha()


def choose_column(rows, width, separator, column):
    """The place of the column to read, from 0 on; `width` is the usual number of cells in a row.

    A file has one column, or it has two and the last is read. In a file with commas, the last of
    two needs a heading, because 503,11 may be one number. In every other case `column` must say
    which: digits are a place from 1 on, other text is a heading in the first row of usual length.
    """
    usual_rows = [row for row in rows if len(row) == width]
    headings = usual_rows[0]
    if column is None:
        if width == 1:
            return 0
        if width == 2 and (separator != "," or is_heading(headings[1])):
            return 1
    elif column.isdecimal():
        if 1 <= int(column) <= width:
            return int(column) - 1
    elif headings.count(column) == 1:
        return headings.index(column)
    listing = []
    for place, (heading, last) in enumerate(zip(headings, usual_rows[-1]), start=1):
        listing.append(f"{place} ({heading:.20} ... {last:.20})")
    advice = f"choose a column of numbers by --column and its place: {', '.join(listing):.999}"
    if separator == "," and not all(is_heading(heading) for heading in headings):
        advice = ("if these are decimal commas, write 503.11 for 503,11; if they are commas of "
                  f"thousands, write 1234.50 for 1,234.50; if neither, {advice}")
    raise ValueError(advice)


def check_thousands(texts):
    """Raise ValueError if a column of numbers, written as Python writes them, may have thousands.

    If a column has 985 and 1.064, the latter may mean 1,064 or a bit more than 1. One number like
    12.5 or 0.985 decides that the point is a decimal mark.
    """
    with_point = [text for text in texts if not re.fullmatch(r"[-+]?\d+", text)]
    if 0 < len(with_point) < len(texts):
        if all(re.fullmatch(r"[-+]?[1-9]\d{0,2}\.\d{3}", text) for text in with_point):
            raise ValueError(f"whole numbers stand beside {with_point[0]}: if this is more than a "
                             "thousand, take such marks out; if not, write 12.0 for 12")


def check_series(series, past):
    """Raise ValueError if a series cannot be learnt; `past` is its training part."""
    if len(series) - len(past) < 10:
        raise ValueError(f"{len(series)} values are too few: a fifth of those after the first "
                         "window is for the test, and it needs at least 10")
    if past.max() - past.min() < 1e-30 or np.abs(series).max() > 1e30:
        raise ValueError("the values that train must differ, and none may be beyond 1e30")
    # Networks compute in 32 bits, where a value very far off makes others equal that are not.
    scaled = (series - past.mean()) / past.std()
    differ = np.diff(series) != 0
    lost = differ & (np.diff(np.clip(scaled, -1e9, 1e9).astype(np.float32)) == 0)
    if lost.sum() > differ.sum() / 10 or np.abs(scaled).max() > 1e9:
        raise ValueError(f"the values reach from {series.min():.6g} to {series.max():.6g}, so far "
                         "that a network cannot tell most of them apart: correct the value that "
                         "lies far off, or predict logarithms")


def load_series(path, column=None, drop_missing=False, newest_first=False):
    """One column of a text file, a float64 array [time]; prints what was read.

    `choose_column` chooses the column. `drop_missing` leaves out rows without a number, and
    `newest_first` turns the series around. Raises OSError or ValueError.
    """
    rows, places, separator = read_rows(path)
    width = statistics.mode(len(row) for row in rows)
    chosen = choose_column(rows, width, separator, column)
    name = f"column {chosen + 1} of {width}"

    # The cells of this column as texts, and as numbers, with NaN where there is none.
    texts = [normalize_number(row[chosen], separator) if len(row) == width else "" for row in rows]
    values = np.array([to_number(text) for text in texts])
    used = np.flatnonzero(np.isfinite(values))
    first = used[0] if len(used) > 0 else len(rows)  # the row of the first number

    # Above the first number stand titles and headings; they begin with a letter. Any other cell
    # with digits that is no number, like "$5", is refused, and so is a row of another length.
    top = [len(row) for row in rows].index(width)  # the first row of the usual length
    for n, row in enumerate(rows):
        usual = len(row) == width
        cell = row[chosen] if usual else separator.join(row)
        named = n == top and cell == column  # by --column
        heading = n < first and (usual or n < top) and (is_heading(cell) or named)
        if math.isnan(values[n]) and re.search(r"\d", cell) and not heading:
            raise ValueError(f"{places[n]}: {cell!r} is no number. Write a number as 1234.5, "
                             "without a sign or a word beside it; put # before a line that is "
                             "only a note")

    # A cell without digits, like "NA", is a missing number; after the last number, it is a note.
    if len(used) == 0:
        raise ValueError(f"{name} has no number")
    last = used[-1]
    n_gaps = last + 1 - first - len(used)
    if n_gaps > 0 and not drop_missing:
        gap = first + np.argmax(np.isnan(values[first:]))  # argmax finds the first True
        raise ValueError(f"{name} has no number in {places[gap]} (rows like this: {n_gaps}). "
                         "Fill them in; or, if no value belongs there, use --drop-missing")
    cells = "".join(rows[n][chosen] for n in used)
    if separator == ";" and "." in cells and "," in cells:
        raise ValueError("some numbers have a point, others a comma: leave only the decimal marks")
    check_thousands([texts[n] for n in used])
    if newest_first:
        used = used[::-1]
    series = values[used]
    print(f"Series: {name}, {len(series)} values, smallest {series.min():.10g}, "
          f"largest {series.max():.10g}.\nRows without a number: {first} above the first, {n_gaps} "
          f"left out in between, {len(rows) - 1 - last} below the last.\n"
          f"First used: {places[used[0]]}\nLast used: {places[used[-1]]}")
    return series


# Part 6: the flags.


def make_parser():
    """The flags, an ArgumentParser; the defaults are the article's."""
    parser = argparse.ArgumentParser(
        prog="rnn_sine.py", formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Train a recurrent neural network and compare it with simpler predictors.")
    add = parser.add_argument_group("data").add_argument
    add("--series", metavar="FILE", help="text file in place of the sine: a number a line, or CSV")
    add("--column", metavar="NAME", help="heading of the file's column, or its place from 1 on")
    add("--newest-first", action="store_true", help="for a file that begins with its newest row")
    add("--drop-missing", action="store_true", help="leave out the file's rows without a number")
    add("--noise", type=float, default=0.0, help="standard deviation of noise on the sine")
    add("--seq-length", type=int, default=20,
        help="values in a window; take at least a season, if your series has one")
    note = "If you choose these by the test loss, the test looks better than it is."
    add = parser.add_argument_group("networks", note).add_argument
    add("--hidden-size", type=int, default=64,
        help="numbers in the hidden state; fewer, if the test loss is far above the training loss")
    add("--num-layers", type=int, default=1, help="recurrent layers, one upon the other")
    add("--seed", type=int, default=42,
        help="start of the random numbers; try others to see how much of a result is luck")
    add = parser.add_argument_group("training", note).add_argument
    add("--epochs", type=int, default=100,
        help="passes over the training samples; more, while the test loss still falls")
    add("--batch-size", type=int, default=32, help="windows for each change of the weights")
    add("--learning-rate", type=float, default=0.001,
        help="how much a batch changes the weights; less, if the loss jumps or is not finite")
    add("--one-cycle", action="store_true",
        help="let the learning rate rise to its value, then fall to almost nothing")
    add("--max-grad-norm", type=float,
        help="shorten gradients that are longer than this, if the loss jumps; for example 0.1")
    add("--device", default="auto", help="cpu, cuda, ...; auto takes cuda if there is one")
    add = parser.add_argument_group("results").add_argument
    add("--ahead", type=int, metavar="N", default=0, help="predict the next N values, with bands")
    add("--output", default="rnn_sine.png", help="file for the picture: .png, .pdf, .svg or .jpg")
    add("--lang", choices=["en", "zh"], default="en", help="the picture's language")
    add("--no-show", action="store_true", help="save the picture, but open no window")
    return parser


def read_flags(argv):
    """The flags, the torch.device, the file's series or None; ends the program if one is wrong."""
    parser = make_parser()
    args = parser.parse_args(argv)
    for name in ("epochs", "batch_size", "learning_rate", "max_grad_norm", "hidden_size",
                 "num_layers", "seq_length"):
        value = getattr(args, name)
        if value is not None and not 0 < value < 1e30:
            parser.error(f"--{name.replace('_', '-')} must be above 0 and below 1e30, not {value}")
    if args.ahead < 0 or not 0 <= args.noise <= 1000:
        parser.error("--ahead must be at least 0, and --noise must be from 0 to 1000")
    if args.series is None and (args.column or args.newest_first or args.drop_missing):
        parser.error("--column, --newest-first and --drop-missing need --series FILE")
    if args.series is not None and args.noise > 0:
        parser.error("--noise belongs to the sine, not to --series FILE")
    output = Path(args.output)
    if output.suffix.lower() not in (".png", ".pdf", ".svg", ".jpg"):
        parser.error("--output must end in .png, .pdf, .svg or .jpg")
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        parser.error(f"--output {args.output!r} cannot be written")
    series = None
    try:
        np.random.seed(args.seed)  # NumPy draws the noise; a bad seed is a ValueError
        device = prepare_device(args.device)
        if args.series is not None:
            series = load_series(args.series, column=args.column, drop_missing=args.drop_missing,
                                 newest_first=args.newest_first)
            scale_series(series, args.seq_length)  # a ValueError if that cannot be done
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return args, device, series


def prepare_device(name):
    """The torch.device of this name, or ValueError; PyTorch is set for small networks on it."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.ones(1, device=name).add(1).item()
    except (RuntimeError, AssertionError, ImportError):
        raise ValueError(f"nothing can be computed on --device {name} here; try cpu") from None
    torch.set_num_threads(1)  # more threads are slower here
    if name.startswith("cuda") and hasattr(torch.backends.cudnn, "rnn"):
        # By default, an RNN is computed in TF32, which rounds more coarsely than its rivals do.
        torch.backends.cudnn.rnn.fp32_precision = "ieee"
    elif name.startswith("cuda"):
        torch.backends.cudnn.allow_tf32 = False  # the same in older versions
    return torch.device(name)


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):  # write a character that the console lacks as its code
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if main()["picture"] is None:
            sys.exit(1)
    except KeyboardInterrupt:
        print("rnn_sine.py: stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
