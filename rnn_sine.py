"""Teach a recurrent neural network (RNN) to continue a sine wave, and measure whether it is any good at it.

An RNN reads a sequence one value at a time and keeps a memory of what it has read: the hidden state h.
At every time step the same small set of weights mixes the new input x with the memory of the step before:

    h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h)

After the last step a linear layer turns the memory into a prediction of the next value.

    python rnn_sine.py           train, compare with simpler predictors, draw rnn_sine.png (some ten seconds)
    python rnn_sine.py --help    what can be changed

The default run repeats the program of a Chinese blog article, "the article" below, with the same random numbers.
The file reads from top to bottom in the order the data flows: data, model, training, evaluation, picture,
command line.
"""

import os
import signal

if __name__ == "__main__":  # Ctrl-C while the libraries load ends the program without a traceback
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import argparse
import io
import math
import re
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset

# --- data


def make_windows(series, seq_length=20, train_fraction=0.8):
    """Cut a series into windows, each with the value that follows it, and split them in time.

    The network sees `seq_length` values and must name the next one. With `seq_length=3`:

        series      y0  y1  y2  y3  y4  y5  ...
        sample 0   [y0  y1  y2] y3                    [input] target
        sample 1       [y1  y2  y3] y4
        sample 2           [y2  y3  y4] y5

    Neighbours share all values but one, so a random split would test on what was trained on. Here the first
    `train_fraction` of the samples trains: each of its targets lies before the first target of the test.

    Takes a one-dimensional list, array or tensor of finite numbers. Returns (train_data, test_data), two
    TensorDatasets of float32 inputs [n, seq_length, 1] and targets [n, 1] in order of time. Raises ValueError if
    the series is not one-dimensional, not finite, or too short for one sample on either side.
    """
    if isinstance(series, torch.Tensor):
        series = series.detach().cpu().double()
    series = torch.from_numpy(np.asarray(series, dtype=np.float64).copy()).float()  # (time,)
    if series.dim() != 1:
        raise ValueError(f"the series must be one-dimensional, but its shape is {list(series.shape)}")
    if not series.isfinite().all():
        index = series.isfinite().int().argmin()
        raise ValueError(f"the series must be finite in float32, but the value at index {index} is {series[index]}")
    if seq_length < 1:
        raise ValueError(f"seq_length is {seq_length}; a window needs at least 1 time step")
    n_samples = max(0, len(series) - seq_length)
    split = int(train_fraction * n_samples)
    if not 0 < split < n_samples:
        raise ValueError(
            f"a series of {len(series)} values is too short: seq_length={seq_length} makes {n_samples} sample(s), "
            f"and train_fraction={train_fraction} must leave at least 1 for training and 1 for testing"
        )
    # unfold shows the series as overlapping windows; contiguous() gives each its own memory.
    inputs = series[:-1].unfold(0, seq_length, 1).contiguous().unsqueeze(-1)  # (sample, time, feature)
    targets = series[seq_length:].unsqueeze(-1)  # (sample, feature)
    return TensorDataset(inputs[:split], targets[:split]), TensorDataset(inputs[split:], targets[split:])


def generate_data(n_samples=1000, seq_length=20, noise=0.0):
    """Cut five periods of a sine into `n_samples` windows, as `make_windows` does; 80 % train, the rest test.

    The test part, the last period, comes later in time but repeats the periods before it; only noise makes it new.

    `noise` is the standard deviation of Gaussian noise on every value, drawn from NumPy's global generator.
    Raises ValueError for a noise that is negative or not finite, and for too few samples to split.
    """
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise is {noise}; a standard deviation is a finite number of at least 0")
    series = np.sin(np.linspace(0, 10 * np.pi, n_samples + seq_length))
    if noise:
        series += np.random.normal(0, noise, len(series))
    return make_windows(series, seq_length)


def batch_loader(data, batch_size, device, shuffle=False):
    """Serve a TensorDataset in batches from the memory of `device`, each cut by one indexing operation.

    The batches are those of `DataLoader(data, batch_size, shuffle)`, down to the random order; that one fetches
    the samples of a batch one at a time, which takes longer.
    """
    data = TensorDataset(*(tensor.to(device) for tensor in data.tensors))
    sampler = RandomSampler(data) if shuffle else SequentialSampler(data)
    return DataLoader(data, batch_size=None, sampler=BatchSampler(sampler, batch_size, drop_last=False))


# --- model


class SimpleRNN(nn.Module):
    """A recurrent layer reads the window, a linear layer reads its last hidden state (Elman, 1990).

        h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h),  h_0 = 0,  for t = 1 ... T = seq_length
        y   = W_y h_T + b_y

    In `rnn`, W_x is `weight_ih_l0` [hidden, input], W_h is `weight_hh_l0` [hidden, hidden], b_x and b_h are
    `bias_ih_l0` and `bias_hh_l0`; only their sum matters. In `fc`, W_y is `weight`, b_y is `bias`. No weight
    depends on t or T. A second layer reads the hidden states of the first as its inputs.
    """

    def __init__(self, input_size, hidden_size, num_layers, output_size):
        super().__init__()
        self.rnn = nn.RNN(input_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, output_size)

    def forward(self, x):
        """Map x [batch, time, input_size] to predictions [batch, output_size]; x has the dtype of the weights.

        Raises ValueError for another shape, or no time step.
        """
        if x.dim() != 3 or x.size(1) == 0 or x.size(2) != self.rnn.input_size:
            raise ValueError(
                f"SimpleRNN takes input of shape [batch, time, features] with at least 1 time step and "
                f"{self.rnn.input_size} feature(s), not {list(x.shape)}"
            )
        h0 = x.new_zeros(self.rnn.num_layers, x.size(0), self.rnn.hidden_size)  # (layer, batch, hidden)
        hidden_states, _ = self.rnn(x, h0)  # (batch, time, hidden)
        return self.fc(hidden_states[:, -1])  # (batch, output)


# --- training


def train_model(model, train_loader, criterion, optimizer, device, epochs=100, scheduler=None, max_grad_norm=None):
    """Predict a batch, measure the loss, move the weights one step against its gradient, again and again.

    `model` is on `device`; `train_loader` yields batches (inputs, targets), afresh every epoch; `criterion` maps
    (predictions, targets) to a loss. `scheduler`, if any, sets a new learning rate after every batch. Gradients
    longer than `max_grad_norm`, if any, are shortened to it, the remedy against exploding gradients of Pascanu et
    al., "On the difficulty of training recurrent neural networks" (2013).

    Returns the mean of the batch losses of every finished epoch, a list of floats, and prints about ten of them.
    Ctrl-C ends the training early and keeps what has been learnt. Raises FloatingPointError if the loss becomes
    infinite or not a number, ValueError if `train_loader` yields nothing.
    """
    model.train()
    epoch_losses = []
    try:
        for epoch in range(1, epochs + 1):
            batch_losses = []
            for inputs, targets in train_loader:
                inputs, targets = inputs.to(device), targets.to(device)
                loss = criterion(model(inputs), targets)
                optimizer.zero_grad()  # else backward() would add to the gradients of the batch before
                loss.backward()
                if max_grad_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
                batch_losses.append(loss.detach())  # stays on the device: reading it here would wait for the GPU
            if not batch_losses:
                raise ValueError(f"train_loader yields no batch in epoch {epoch}; give a DataLoader or a list")
            epoch_loss = torch.stack(batch_losses).mean(dtype=torch.float64).item()
            if not math.isfinite(epoch_loss):
                raise FloatingPointError(
                    f"the loss is {epoch_loss} in epoch {epoch}; try a smaller learning rate, and check that the "
                    "data holds no infinite or missing values"
                )
            epoch_losses.append(epoch_loss)
            if epoch * 10 // epochs > (epoch - 1) * 10 // epochs:  # another tenth of the epochs is done
                print(f"Epoch [{epoch}/{epochs}], Loss: {epoch_loss:.3e}")
    except KeyboardInterrupt:
        print(f"Stopped by Ctrl-C in epoch {len(epoch_losses) + 1}; going on with what has been learnt.")
    return epoch_losses


# --- evaluation


@contextmanager
def eval_mode(model):
    """Put the model into evaluation mode; afterwards every part of it is back in the mode it had.

    The mode changes nothing in `SimpleRNN`, but it does in a model with dropout, for example.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@torch.no_grad()
def evaluate_model(model, test_loader, device):
    """Predict one step ahead from every window of `test_loader`; each window holds true values only.

    Returns (predictions, actuals), NumPy arrays [n, output] in the loader's order. The model's mode is kept.
    """
    predictions, actuals = [], []
    with eval_mode(model):
        for inputs, targets in test_loader:
            # Copies: small tensors left in torch's memory would keep what lies around them from being used again.
            predictions.append(model(inputs.to(device)).cpu().numpy().copy())
            actuals.append(targets.cpu().numpy().copy())
    return np.concatenate(predictions), np.concatenate(actuals)


def mean_squared_error(predictions, actuals):
    """Mean of (prediction - actual)^2 in float64, in the squared unit of the series."""
    return np.mean((predictions.astype(np.float64) - actuals) ** 2)


def linear_regression(train_data):
    """Fit one weight per time step, and an intercept, by least squares: solved exactly, without a training loop.

    Returns a float64 model on the CPU that maps inputs [batch, seq_length, 1] to predictions [batch, 1].
    """
    inputs, targets = (tensor.double() for tensor in train_data.tensors)
    design = torch.cat([inputs.flatten(1), torch.ones_like(targets)], dim=1)  # (sample, seq_length + 1)
    solution, *_ = np.linalg.lstsq(design.numpy(), targets.numpy(), rcond=None)  # (seq_length + 1, 1)
    layer = nn.utils.skip_init(nn.Linear, inputs.size(1), 1, dtype=torch.float64).requires_grad_(False)
    layer.weight.copy_(torch.from_numpy(solution[:-1].T))
    layer.bias.copy_(torch.from_numpy(solution[-1]))
    return nn.Sequential(nn.Flatten(), layer)


def baselines(train_data, test_data):
    """Predict one step ahead without a network: what the RNN has to beat.

    Returns name -> predictions [n_test, 1], a NumPy array in the order of the samples: "persistence" says the last
    value again, "linear regression" is fitted on `train_data` alone.
    """
    inputs, _ = test_data.tensors
    return {
        "persistence": inputs[:, -1].numpy().copy(),
        "linear regression": linear_regression(train_data)(inputs.double()).numpy(),
    }


@torch.no_grad()
def forecast(model, window, steps, device):
    """Run free: predict the next value, append it to the window as if it were true, and go on from there.

    `window` [seq_length, 1] holds the last true values in the model's dtype. Returns the predictions, a NumPy array
    [steps, 1] of that dtype. The model's mode is kept.
    """
    seq_length = len(window)
    series = torch.cat([window, window.new_zeros(steps, 1)]).to(device)  # (seq_length + steps, 1)
    with eval_mode(model):
        for t in range(steps):
            series[seq_length + t] = model(series[t : seq_length + t].unsqueeze(0))[0]
    return series[seq_length:].cpu().numpy()


def input_sensitivity(model, inputs, device):
    """Measure the memory: how far the prediction moves when the input of one time step does.

    For `inputs` [n, seq_length, 1], returns the mean of |d prediction / d x_t| over the windows, a NumPy array
    [seq_length], the oldest step first. By the chain rule the derivative is a product with one factor W_h, and one
    slope of tanh, for every step from t to the end: the longer the product, the more it vanishes or explodes. The
    model's mode, gradients and weights are kept.
    """
    total = 0
    # On a GPU, cuDNN has no backward pass for an RNN in evaluation mode; torch's own has.
    with eval_mode(model), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        for batch in inputs.detach().split(1024):  # many windows at once would not fit into memory
            batch = batch.to(device).requires_grad_()
            (gradient,) = torch.autograd.grad(model(batch).sum(), batch)  # (batch, seq_length, 1)
            total += gradient.abs().sum(dim=(0, 2))
    return (total / len(inputs)).cpu().numpy()


# --- picture


def draw_results(results, translate=str):
    """Draw the `results` of `main` in four panels; returns the matplotlib figure, 13 x 9 inches.

    `translate` maps every English label to the one that is drawn.
    """
    figure, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    one_step, free_run, training, memory = axes.flat
    # Broad and pale under thin and dark: both are seen where they coincide. Dots as broad show a single value.
    truth = dict(color="#7fb8de", linewidth=5, marker="o", markersize=5, markeredgewidth=0)
    network = dict(color="black", linewidth=1.2)
    actuals, window = results["actuals"], results["window"]

    one_step.set_title(translate("One step ahead, each from true values"))
    one_step.set(xlabel=translate("test sample"), ylabel=translate("value"))
    one_step.plot(actuals[:50], label=translate("actual"), **truth)
    one_step.plot(results["predictions"][:50], ".", label=translate("predicted"), **network)

    past, future = np.arange(1 - len(window), 1), np.arange(1, len(actuals) + 1)
    free_run.set_title(translate("Free-running, on its own predictions"))
    free_run.set(xlabel=translate("time step after the last true value"), ylabel=translate("value"))
    start = dict(color="#d55e00", linewidth=2.5, marker="o", markersize=2.5, markeredgewidth=0)
    free_run.plot(past, window, label=translate("past: first test window"), **start)
    free_run.plot(future, actuals, label=translate("future: actual"), **truth)
    free_run.plot(future, results["forecast"], ".--", markevery=[-1], label=translate("future: forecast"), **network)
    free_run.axvline(0.5, color="grey", linewidth=0.8)

    epochs = np.arange(1, len(results["losses"]) + 1)
    training.set_title(translate("Training, and what it has to beat"))
    training.set(xlabel=translate("epoch"), ylabel=translate("MSE"), yscale="log")
    training.plot(epochs, results["losses"], ".-", label=translate("RNN (training)"), **network)
    for name, style in zip(results["baselines"], ("--", ":")):
        mse = results["test_mse"][name]
        training.axhline(mse, linestyle=style, color="#d55e00", label=translate(f"{name} (test)"))

    memory.set_title(translate("Memory: what each input still does to the prediction"))
    memory.set_xlabel(translate("time step of the input (0: the newest)"))
    memory.set_ylabel(translate("mean |d prediction / d input|"))
    memory.plot(past, results["sensitivity"], ".-", **network)
    if results["sensitivity"].any():  # a network that has learnt nothing may be blind, and zero has no logarithm
        memory.set_yscale("log")

    for panel in axes.flat:
        panel.grid(color="#e4e4e4")
        panel.locator_params(axis="x", integer=True, min_n_ticks=1)
        if panel.get_yscale() == "log":  # plain labels like 1e-06, as in the printed tables
            panel.yaxis.set_major_formatter(LogFormatter())
            panel.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))
        if panel.get_legend_handles_labels()[0]:
            # Below, where it hides nothing; opaque, like the grid, since PostScript cannot do otherwise.
            panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, framealpha=1)
    return figure


CHINESE = {  # what `--lang zh` prints and draws; the two progress lines and the labels of the first panel are the article's
    "Training the model...": "开始训练模型...",
    "Evaluating the model...": "评估模型...",
    "Test MSE, one step ahead ({} samples):": "单步预测，测试集均方误差 MSE ({} 个样本):",
    "the noise's variance: no predictor goes below it on average": "噪声的方差: 平均而言任何预测都不低于它",
    "The RNN beats linear regression: {:.2g} times its MSE.": "RNN 胜过线性回归: MSE 是它的 {:.2g} 倍。",
    "The RNN loses to linear regression: {:.2g} times its MSE.": "RNN 输给线性回归: MSE 是它的 {:.2g} 倍。",
    "Free-running forecast from the first test window, largest error so far:": "从第一个测试窗口起自由预测，至此最大误差:",
    "Picture: {}": "图片: {}",
    "One step ahead, each from true values": "RNN模型预测结果",
    "test sample": "样本",
    "value": "值",
    "actual": "实际值",
    "predicted": "预测值",
    "Free-running, on its own predictions": "自由预测: 以自己的预测值为输入",
    "time step after the last true value": "最后一个真实值之后的时间步",
    "past: first test window": "过去: 第一个测试窗口",
    "future: actual": "未来: 实际值",
    "future: forecast": "未来: 自由预测",
    "Training, and what it has to beat": "训练过程与要超过的基线",
    "epoch": "训练轮次",
    "MSE": "均方误差 MSE",
    "RNN (training)": "RNN (训练集)",
    "persistence (test)": "重复上一个值 (测试集)",
    "linear regression (test)": "线性回归 (测试集)",
    "Memory: what each input still does to the prediction": "记忆: 每个输入对预测还有多大影响",
    "time step of the input (0: the newest)": "输入的时间步 (0 为最新)",
    "mean |d prediction / d input|": "|d 预测 / d 输入| 的平均值",
}


def chinese_font():
    """The matplotlib settings for an installed font that has Chinese characters; None if there is no such font."""
    fonts = font_manager.fontManager
    for path in set(font_manager.findSystemFonts()) - {font.fname for font in fonts.ttflist}:
        with suppress(Exception):  # a file that is no font
            fonts.addfont(path)  # installed since matplotlib last looked
    for name in (
        "SimHei", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "Heiti TC", "Noto Sans CJK SC",
        "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
    ):  # fmt: skip
        weights = [font.weight for font in fonts.ttflist if font.name == name and os.path.exists(font.fname)]
        if weights:  # ask for a weight that the font has, the one nearest to normal, 400
            weight = min(weights, key=lambda weight: abs(font_manager.weight_dict.get(weight, weight) - 400))
            settings = dict.fromkeys(("font.weight", "axes.titleweight", "axes.labelweight"), weight)
            return settings | {"font.family": name, "axes.unicode_minus": False}  # some lack the long minus
    return None


# --- command line


class OneSentenceParser(argparse.ArgumentParser):
    """An ArgumentParser that reports an error in one sentence, without the usage lines before it."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def checked(convert, expected, is_valid=lambda value: True):
    """Make an argparse type: `convert(text)`, or a sentence that says what was `expected` instead."""

    def parse(text):
        try:
            if is_valid(value := convert(text)):
                return value
        except Exception:  # torch, matplotlib and the file system have many ways to say no
            pass
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")

    return parse


def find_device(name):
    """The torch.device called `name`; "auto" is CUDA where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    torch.zeros(1, device=device).item()  # raises for a device that torch knows but this machine lacks
    return device


def try_picture(path):
    """Return `path` if matplotlib writes its format and the file can be written; nothing stays behind."""
    figure = Figure()
    figure.text(0, 0, "text")
    figure.savefig(io.BytesIO(), format=Path(path).suffix[1:].lower())
    target = os.path.realpath(path)  # where a link leads
    existed = os.path.exists(target)
    if existed and not os.path.isfile(target):
        raise OSError(f"{path} is no regular file")
    open(target, "ab").close()
    if not existed:
        os.remove(target)
    return path


def make_parser():
    """Describe the command line; its defaults are the article's."""
    parser = OneSentenceParser(
        prog="rnn_sine.py",
        description="Train an RNN on a sine wave, measure it against simpler predictors, and draw a picture.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    # argparse would take -1e-3 and -inf for flags; taken for values, they get a message that names them.
    parser._negative_number_matcher = re.compile(r"-\.?\d|-(inf|nan)", re.IGNORECASE)
    count = checked(int, "a whole number from 1 to 10**9", lambda n: 1 <= n <= 10**9)
    samples = checked(int, "a whole number from 2 (one to train, one to test) to 10**9", lambda n: 2 <= n <= 10**9)
    seed = checked(int, "a whole number from 0 to 2**32 - 1", lambda n: 0 <= n < 2**32)
    positive = checked(float, "a number above 0, at most 1e+30", lambda x: 0 < x <= 1e30)
    deviation = checked(float, "a number from 0 to 1e+06", lambda x: 0 <= x <= 1e6)
    device = checked(find_device, "a device that torch can use on this machine; take auto or cpu")
    picture = checked(try_picture, "a file that can be written; take a folder that exists and an ending like .png")
    add = parser.add_argument
    add("--epochs", type=count, default=100, help="passes over the training data")
    add("--batch-size", type=count, default=32, help="windows per training step")
    add("--learning-rate", type=positive, default=0.001, help="step size of Adam; with onecycle, its peak")
    add("--schedule", choices=["constant", "onecycle"], default="constant", help="course of the learning rate")
    add("--max-grad-norm", type=positive, help="shorten longer gradients to this length")
    add("--hidden-size", type=count, default=64, help="numbers in the hidden state")
    add("--num-layers", type=count, default=1, help="recurrent layers on top of each other")
    add("--seq-length", type=count, default=20, help="time steps in a window")
    add("--n-samples", type=samples, default=1000, help="windows, 80%% of them for training")
    add("--noise", type=deviation, default=0.0, help="standard deviation of the noise on the sine")
    add("--seed", type=seed, default=42, help="start of all random numbers")
    add("--device", type=device, default="auto", help="auto (CUDA where there is one), cpu, or any of torch's")
    add("--output", type=picture, default="rnn_sine.png", help="file for the picture")
    add("--lang", choices=["en", "zh"], default="en", help="language of the output and the picture; zh is Chinese")
    add("--no-show", action="store_true", help="save the picture, but open no window")
    return parser


def report(results, noise, translate):
    """Print the test errors of the RNN beside those of the baselines."""
    test_mse, largest_error = results["test_mse"], results["largest_error"]
    n_test = len(results["actuals"])
    print(translate("Test MSE, one step ahead ({} samples):").format(n_test))
    for name, mse in test_mse.items():
        print(f"  {name:17s}  {mse:.3e}")
    if noise:
        note = translate("the noise's variance: no predictor goes below it on average")
        print(f"  {'noise floor':17s}  {noise**2:.3e}  ({note})")
    ratio = test_mse["RNN"] / test_mse["linear regression"]
    verdict = f"The RNN {'beats' if ratio < 1 else 'loses to'} linear regression: {{:.2g}} times its MSE."
    print("  " + translate(verdict).format(ratio))
    print(translate("Free-running forecast from the first test window, largest error so far:"))
    print("  steps  " + "  ".join(f"{name:>17s}" for name in largest_error))
    for steps in sorted({1, min(10, n_test), min(50, n_test), n_test}):
        print(f"  {steps:5d}  " + "  ".join(f"{errors[steps - 1]:17.1e}" for errors in largest_error.values()))


def run(args):
    """Train, evaluate, report, draw: the whole program for parsed arguments. Returns what `main` does."""
    translate, font = str, None
    if args.lang == "zh":
        translate, font = CHINESE.__getitem__, chinese_font()
        if font is None:
            print("没有找到中文字体，图中改用英文；请安装一种，例如 Noto Sans CJK (Debian: fonts-noto-cjk)。")

    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    train_data, test_data = generate_data(args.n_samples, args.seq_length, args.noise)
    train_loader = batch_loader(train_data, args.batch_size, args.device, shuffle=True)
    test_loader = batch_loader(test_data, args.batch_size, args.device)
    model = SimpleRNN(1, args.hidden_size, args.num_layers, 1).to(args.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
    scheduler = None
    if args.schedule == "onecycle":  # up to the peak and down to almost nothing (Smith and Topin, 2017)
        steps = args.epochs * len(train_loader)
        scheduler = OneCycleLR(optimizer, args.learning_rate, total_steps=steps, cycle_momentum=False)

    print(f"Device: {args.device}")
    print(translate("Training the model..."))
    losses = train_model(
        model, train_loader, nn.MSELoss(), optimizer, args.device, args.epochs, scheduler, args.max_grad_norm
    )

    print(translate("Evaluating the model..."))
    predictions, actuals = evaluate_model(model, test_loader, args.device)
    if not np.isfinite(predictions).all():
        raise FloatingPointError("the last steps of the training overflowed the weights; try a smaller learning rate")
    one_step = baselines(train_data, test_data)
    inputs, _ = test_data.tensors
    window = inputs[0]  # (seq_length, 1)
    free_run = {
        "persistence": np.full_like(actuals, window[-1]),
        "linear regression": forecast(linear_regression(train_data), window.double(), len(actuals), "cpu"),
        "RNN": forecast(model, window, len(actuals), args.device),
    }
    results = {
        "model": model,
        "losses": losses,
        "predictions": predictions,
        "actuals": actuals,
        "baselines": one_step,
        "test_mse": {name: mean_squared_error(p, actuals) for name, p in {**one_step, "RNN": predictions}.items()},
        "window": window.numpy().copy(),
        "forecast": free_run["RNN"],
        "largest_error": {name: np.maximum.accumulate(abs(f - actuals))[:, 0] for name, f in free_run.items()},
        "sensitivity": input_sensitivity(model, inputs, args.device),
    }
    report(results, args.noise, translate)

    with plt.rc_context({"svg.hashsalt": "rnn_sine", **(font or {})}):  # equal runs write equal files: no random names
        figure = draw_results(results, translate if font else str)
        try:
            figure.savefig(args.output)  # before it is shown: closing the window must not lose it
            print(translate("Picture: {}").format(args.output))
            if not args.no_show and figure.canvas.required_interactive_framework is not None:
                plt.show()
        finally:
            plt.close(figure)
    return results


def main(argv=None):
    """Run the program with the command line `argv`, by default that of the process.

    Returns a dict: "model"; "losses", one per epoch; for the test samples "predictions" and "actuals" [n, 1],
    "baselines", name -> predictions [n, 1], and "test_mse", name -> float; "window" [seq_length, 1], the first one
    of the test; from there "forecast" [n, 1] and "largest_error", name -> [n], of a free run up to each step;
    "sensitivity" [seq_length].
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    try:
        torch.empty(args.n_samples * args.seq_length + args.num_layers * args.hidden_size**2, device=args.device)
    except (RuntimeError, TypeError):  # no room, or a number past 64 bits
        parser.error(
            f"--n-samples {args.n_samples} times --seq-length {args.seq_length}, or --num-layers {args.num_layers} "
            f"times --hidden-size {args.hidden_size} squared, does not fit into memory; take smaller numbers"
        )
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # equal runs write equal files: no date inside
    try:
        plt.close(plt.figure())  # the first figure is what loads the backend
    except (ImportError, RuntimeError):  # MPLBACKEND names a toolkit that is not installed
        plt.switch_backend("agg")
    threads = torch.get_num_threads()
    if args.batch_size * args.hidden_size**2 < 500_000:  # so little work that a second thread costs more time than it saves
        torch.set_num_threads(1)
    try:
        return run(args)
    except (FloatingPointError, OSError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    if sys.stdout is not None:  # a line reaches a pipe when it is printed; a console without Chinese shows question marks
        sys.stdout.reconfigure(line_buffering=True, errors="replace")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: nothing is left to interrupt
