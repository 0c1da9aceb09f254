"""Teach a recurrent neural network (RNN) to continue a sine, and measure whether it is any good.

An RNN reads a sequence one value at a time. At every step the same weights mix the new value with
what it keeps of all the values before, the hidden state. That is the one idea. In every run, four
other predictors beside the RNN show whether it is what helps.

    python rnn_sine.py                 train, compare, draw rnn_sine.png
    python rnn_sine.py --series FILE   the same for your own numbers
    python rnn_sine.py --help          what can be changed; the defaults repeat a Chinese article
"""

import argparse
import os
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import font_manager
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset


def make_windows(series, seq_length=20, train_fraction=0.8):
    """Cut a series into samples, each a window and the value after it, and split them in time.

    A predictor sees a window of `seq_length` values and must name the next. With `seq_length=3`:

        series      y0  y1  y2  y3  y4  y5  ...
        sample 0   [y0  y1  y2] y3                    [input] target
        sample 1       [y1  y2  y3] y4
        sample 2           [y2  y3  y4] y5

    Neighbours share all values but one, so a random split would test on what was trained on: the
    first `train_fraction` trains, the rest tests. Returns (train_data, test_data), TensorDatasets
    of float32 inputs [n, seq_length, 1] and targets [n, 1]. Raises ValueError for a bad argument.
    """
    series = torch.tensor(np.asarray(series), dtype=torch.float32)  # (time,)
    if series.dim() != 1 or not series.isfinite().all():
        raise ValueError("a series has one dimension, and all its values are finite numbers")
    if seq_length < 1 or not 0 < train_fraction < 1:
        raise ValueError("seq_length is at least 1, and train_fraction lies between 0 and 1")
    n_train = int(train_fraction * (len(series) - seq_length))
    if n_train < 1:
        raise ValueError(f"{len(series)} values are too few to train on windows of {seq_length}")
    # The last value is a target only. unfold gives overlapping views; contiguous() copies them.
    inputs = series[:-1].unfold(0, seq_length, 1).contiguous().unsqueeze(-1)  # (sample, time, 1)
    targets = series[seq_length:].unsqueeze(-1)  # (sample, 1)
    train_data = TensorDataset(inputs[:n_train], targets[:n_train])
    return train_data, TensorDataset(inputs[n_train:], targets[n_train:])


def generate_data(n_samples=1000, seq_length=20, noise=0.0):
    """Cut five periods of a sine into `n_samples` windows; returns and raises as `make_windows`.

    More samples make it finer, not longer. The test part, about its last period, repeats those
    before it, unless `noise`, a standard deviation, adds a random number to every value.
    """
    if not 0 <= noise < np.inf:
        raise ValueError("noise is a standard deviation, finite and at least 0")
    sine = np.sin(np.linspace(0, 10 * np.pi, n_samples + seq_length))  # (time,)
    return make_windows(sine + np.random.normal(0, noise, len(sine)), seq_length)


def load_series(path, seq_length=20):
    """Cut the last column of a text file into windows, scaled to mean 0 and standard deviation 1.

    A row is a time step: a number, or cells with commas between them (CSV). A first row of words is
    the heading. The scale is that of the training part: that of the whole would tell the future.
    Returns (train_data, test_data, mean, scale). Raises OSError or ValueError for a bad file.
    """
    text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    rows = [row or '""' for row in text.rstrip().split("\n")]  # numpy would skip an empty row
    table = np.loadtxt(rows, dtype=str, delimiter=",", quotechar='"', comments=None, ndmin=2)
    series = []
    for row, cell in enumerate(table[:, -1], start=1):
        try:
            series.append(np.asarray_chkfinite(cell, float))
        except ValueError:
            if row > 1:  # the first row may be a heading
                raise ValueError(f"row {row} ends in '{cell}', which is not a finite number")
    train_data, _ = make_windows(series, seq_length)
    past = np.array(series[: seq_length + len(train_data)])  # all that the training sees
    if past.min() == past.max():
        raise ValueError("the training part, the first four fifths, is constant: it has no scale")
    mean, scale = past.mean(), past.std()
    train_data, test_data = make_windows((np.array(series) - mean) / scale, seq_length)
    return train_data, test_data, mean, scale


class SimpleRNN(nn.Module):
    """A recurrent layer reads the window, a linear layer reads its last hidden state (Elman, 1990).

        h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h),  h_0 = 0,  for t = 1 ... T = seq_length
        y   = W_y h_T + b_y

    In `rnn`, W_x is `weight_ih_l0` [hidden, input], W_h is `weight_hh_l0` [hidden, hidden], b_x and
    b_h are `bias_ih_l0` and `bias_hh_l0` [hidden]; only their sum matters. In `fc`, W_y is `weight`
    [output, hidden], b_y is `bias` [output]. A second layer reads the hidden states of the first.
    """

    def __init__(self, input_size, hidden_size, num_layers, output_size):
        super().__init__()
        self.rnn = nn.RNN(input_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, output_size)

    def forward(self, x):
        """Map windows [batch, time, input] to next values [batch, output]."""
        hidden_states, _ = self.rnn(x)  # (batch, time, hidden), from h_0 = 0 on
        return self.fc(hidden_states[:, -1])  # (batch, output)


def train_model(model, train_loader, criterion, optimizer, device, epochs=100, scheduler=None,
                max_grad_norm=None):
    """Predict a batch, measure the loss, move every weight a step against its gradient, repeat.

    `scheduler` sets the learning rate after every batch. Gradients longer than `max_grad_norm` are
    shortened to it (Pascanu et al., 2013). Returns the mean batch loss of every epoch. Ctrl-C ends
    it early and keeps what is learnt. Raises FloatingPointError at a loss of infinity or NaN.
    """
    model.train()
    epoch_losses = []
    try:
        for epoch in range(1, epochs + 1):
            batch_losses = []
            for inputs, targets in train_loader:
                loss = criterion(model(inputs.to(device)), targets.to(device))
                optimizer.zero_grad()  # else backward() would add to that of the previous batch
                loss.backward()  # the gradient, back through all time steps
                if max_grad_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
                batch_losses.append(loss.item())
            mean = sum(batch_losses) / len(batch_losses)
            if not np.isfinite(mean):
                raise FloatingPointError(f"loss {mean} in epoch {epoch}: try a lower learning rate")
            epoch_losses.append(mean)
            if epoch % np.ceil(epochs / 10) == 0 or epoch == epochs:
                print(f"Epoch [{epoch}/{epochs}], Loss: {mean:.3e}")
    except KeyboardInterrupt:
        print(f"Stopped in epoch {len(epoch_losses) + 1}; going on with what has been learnt.")
    return epoch_losses


# The ladder: five predictors, each of which adds one thing to what those before it have.
class Persistence(nn.Module):
    """Add nothing: predict the last value again. Every other predictor has to beat it."""

    def forward(self, x):
        """Map windows [batch, time, 1] to their last values [batch, 1]."""
        return x[:, -1]


def linear_regression(train_data):
    """Add weights: a weighted sum of the window, plus a constant, fitted by least squares."""
    inputs, targets = train_data.tensors
    design = torch.cat([inputs.flatten(1), torch.ones_like(targets)], dim=1)  # (sample, time + 1)
    # Two values of a sine give all others, so many weights are equally good; "gelsd" allows that.
    solution = torch.linalg.lstsq(design.double(), targets.double(), driver="gelsd").solution
    layer = nn.Linear(inputs.size(1), 1)
    layer.weight = nn.Parameter(solution[:-1].T.float())  # (1, time)
    layer.bias = nn.Parameter(solution[-1].float())  # (1,)
    return nn.Sequential(nn.Flatten(), layer)


def dense_network(seq_length, hidden_size):
    """Add a bend, tanh. Every time step has weights of its own, where the RNN shares them."""
    return nn.Sequential(nn.Flatten(),  # (batch, time)
                         nn.Linear(seq_length, hidden_size), nn.Tanh(),  # (batch, hidden)
                         nn.Linear(hidden_size, 1))  # (batch, 1)


class StatefulRNN(nn.Module):
    """Add memory beyond the window: a trained RNN hands its hidden state on from window to window.

    If a window is, by its values, the last one moved on by a step, only its newest value is read.
    Any other, and the first after `eval()`, is read whole, from h_0 = 0. GRU and LSTM work, too.
    """

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.last_window = None

    def train(self, mode=True):
        """Forget the last window; `eval()` calls this."""
        self.last_window = None
        return super().train(mode)

    def forward(self, x):
        """Map windows [batch, time, 1], one after the other, to next values [batch, 1]."""
        predictions = []
        for window in x:  # (time, 1)
            if self.last_window is not None and torch.equal(window[:-1], self.last_window[1:]):
                hidden_states, self.state = self.model.rnn(window[-1:], self.state)
            else:
                hidden_states, self.state = self.model.rnn(window)
            self.last_window = window
            predictions.append(self.model.fc(hidden_states[-1]))  # (1,)
        return torch.stack(predictions)  # (batch, 1)


@torch.no_grad()  # nothing is trained, so nothing is recorded for a backward pass
def evaluate_model(model, test_loader, device):
    """Predict one step from true windows; returns (predictions, actuals), two arrays [n, 1]."""
    model.eval()  # switches off what only training needs, such as dropout; SimpleRNN has none
    predictions, actuals = [], []
    for inputs, targets in test_loader:
        predictions.append(model(inputs.to(device)).cpu())  # (batch, 1)
        actuals.append(targets.cpu())  # (batch, 1)
    return torch.cat(predictions).numpy(), torch.cat(actuals).numpy()


@torch.no_grad()
def forecast(model, window, steps, device):
    """Run free, `steps` times: every prediction joins `window` [seq_length, 1] as if it were true,
    and the oldest value drops out. Returns the predictions, an array [steps, 1]."""
    model.eval()
    window = window.to(device)  # (time, 1)
    predictions = []
    for _ in range(steps):
        prediction = model(window.unsqueeze(0))  # (1, 1)
        predictions.append(prediction)
        window = torch.cat([window[1:], prediction])
    return torch.cat(predictions).cpu().numpy()


def input_sensitivity(model, inputs, device):
    """Measure how far the prediction moves when the input of one time step does: its gradient.

    Returns the mean of |d prediction / d x_t| over `inputs` [n, time, 1], an array [time], oldest
    first. In an RNN a step back multiplies it by W_h and tanh's slope: it may vanish or explode.
    """
    model.eval()
    inputs = inputs.detach().to(device).requires_grad_()
    # On a GPU, cuDNN has no backward pass for an RNN in evaluation mode; torch's own has.
    with torch.backends.cudnn.flags(enabled=False):
        # No prediction depends on another's window, so the sum has every window's own gradient.
        gradient = torch.autograd.grad(model(inputs).sum(), inputs)[0]  # (n, seq_length, 1)
    return gradient.abs().mean(dim=(0, 2)).cpu().numpy()


def compare(predictors, test_data, batch_size, device):
    """Let `predictors`, modules by name, predict the n samples of the test part; returns a dict.

    "window"    the first test window, where the free runs begin, an array [seq_length, 1]
    "actuals"   the true values after every test window, an array [n, 1]
    "one_step"  by name, the predictions from true windows, arrays [n, 1]
    "free_run"  by name, the predictions from "window" and then from themselves, arrays [n, 1]
    "test_mse"  by name, the mean of (one_step - actuals)^2, a float
    """
    inputs, targets = test_data.tensors
    test_loader = DataLoader(test_data, batch_size)
    results = {"window": inputs[0].numpy(), "actuals": targets.numpy(),
               "one_step": {}, "free_run": {}, "test_mse": {}}
    for name, predictor in predictors.items():
        predictions, actuals = evaluate_model(predictor.to(device), test_loader, device)
        results["one_step"][name] = predictions
        results["free_run"][name] = forecast(predictor, inputs[0], len(inputs), device)
        results["test_mse"][name] = np.mean((predictions - actuals) ** 2, dtype=np.float64)
    return results


def report(results, noise):
    """Print the test errors of every predictor, and which is the best; `noise` is the sine's."""
    n_test = len(results["actuals"])
    horizons = [steps for steps in (1, 10, 50) if steps < n_test] + [n_test]
    columns = "".join(f"{steps:9d}" for steps in horizons)
    if results["scale"] != 1:
        print(f"errors in units of {results['scale']:.4g}, the training part's standard deviation")
    print("                   one step ahead   free run: largest error within\n"
          f"predictor                     MSE{columns} steps")
    for name, mse in results["test_mse"].items():
        errors = abs(results["free_run"][name] - results["actuals"])  # (n, 1)
        columns = "".join(f"{errors[:steps].max():9.1e}" for steps in horizons)
        print(f"{name:17s}  {mse:14.3e}{columns}")
    if noise > 0:
        print(f"noise variance     {noise**2:14.3e}   (on average no predictor can go below it)")
    best = min(results["test_mse"], key=results["test_mse"].get)
    meanings = {"persistence": "nothing was learnt", "linear regression": "no network is needed",
                "dense network": "a network helps, reading in order does not",
                "RNN": "one rule for all time steps helps",
                "stateful RNN": "memory beyond the window helps"}
    print(f"Best one step ahead in this run: {best}, so {meanings[best]}.")


def draw_results(results):
    """Draw `results` of `main`, up to 200 steps, in four panels; returns the matplotlib figure."""
    # Broad and pale under thin and dark: both are seen where they coincide, in grey print too.
    truth = {"linewidth": 4, "marker": "."}
    network = {"color": "black", "linewidth": 0.8, "marker": ".", "markersize": 2}
    test_lines = {"persistence": ("gold", 8), "linear regression": ("yellowgreen", 6),
                  "dense network": ("lightseagreen", 4.5), "RNN": ("royalblue", 3),
                  "stateful RNN": ("indigo", 1.5)}
    actuals = results["actuals"][:200]
    past = np.arange(1 - len(results["window"]), 1)  # time step 0 is the newest of the window
    future = np.arange(1, len(actuals) + 1)
    figure, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    ax_one_step, ax_free_run, ax_training, ax_gradient = axes.flat
    ax_one_step.set(title="RNN, one step from true values", xlabel="test sample", ylabel="value")
    ax_one_step.plot(actuals, label="actual", color="skyblue", **truth)
    ax_one_step.plot(results["one_step"]["RNN"][:200], label="predicted", **network)
    ax_free_run.set(title="RNN, free run on its own output", xlabel="time step", ylabel="value")
    ax_free_run.plot(past, results["window"], label="first test window", color="chocolate", **truth)
    ax_free_run.plot(future, actuals, label="actual", color="skyblue", **truth)
    ax_free_run.plot(future, results["free_run"]["RNN"][:200], label="forecast", **network)
    ax_training.set(title="Training loss and test errors", xlabel="epoch", ylabel="MSE")
    for name, mse in results["test_mse"].items():
        color, width = test_lines[name]
        ax_training.axhline(mse, label=f"{name}, test", color=color, linewidth=width)
    epochs = np.arange(1, len(results["losses"]) + 1)
    ax_training.semilogy(epochs, results["losses"], label="RNN, training", **network)
    ax_gradient.set(title="Input gradient: how far each input moves the prediction",
                    xlabel="time step", ylabel="|∂ prediction / ∂ input|")
    ax_gradient.semilogy(past, results["sensitivity"], **network)
    ax_gradient.annotate("mean over all test windows", (0.35, -0.2), xycoords="axes fraction")
    for ax in axes.flat:
        ax.locator_params(axis="x", integer=True, min_n_ticks=1)
        if ax is not ax_gradient:
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)  # below the data
    return figure


def label_in_chinese(figure):
    """Replace the labels of a finished figure; without a Chinese font, say so and leave them."""
    labels = {
        "RNN, one step from true values": "RNN模型预测结果：单步，以真实值为输入", "actual": "实际值",
        "test sample": "样本", "value": "值", "predicted": "预测值", "first test window": "第一个测试窗口",
        "RNN, free run on its own output": "自回归预测：以自身的预测值为输入", "time step": "时间步",
        "forecast": "自回归预测", "Training loss and test errors": "训练损失与各基线的对比", "MSE": "均方误差 (MSE)",
        "epoch": "训练轮数 (epoch)", "RNN, training": "RNN (训练集)", "RNN, test": "RNN (测试集)",
        "persistence, test": "朴素预测：沿用上一个值 (测试集)", "dense network, test": "全连接网络 (测试集)",
        "linear regression, test": "线性回归 (测试集)", "stateful RNN, test": "有状态 RNN (测试集)",
        "Input gradient: how far each input moves the prediction": "输入梯度：各时间步的输入对预测值的影响",
        "|∂ prediction / ∂ input|": "|∂预测值 / ∂输入|", "mean over all test windows": "对所有测试窗口取平均"}
    names = "(?i)simhei|msyh\\.|pingfang|stheiti|hiragino sans gb|notosanscjk-(regular|vf)|wqy-"
    fonts = [file for file in font_manager.findSystemFonts() if re.match(names, Path(file).name)]
    if not fonts:
        print("No Chinese font is installed: labels stay English. 未安装中文字体，图中标签保留英文。")
    for text in figure.findobj(plt.Text):
        if fonts and text.get_text() in labels:
            text.set(text=labels[text.get_text()], font=Path(min(fonts)), size=text.get_size())


def positive_int(text):
    """Convert the value of a flag to a whole number of at least 1; raises ValueError."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def positive_float(text):
    """Convert the value of a flag to a finite number above 0; raises ValueError."""
    if not 0 < float(text) < np.inf:
        raise ValueError
    return float(text)


def working_device(text):
    """Convert the name of a device, and try it; raises ArgumentTypeError if it cannot compute."""
    if text == "auto":
        text = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.ones(1, device=text).item()
    except (RuntimeError, AssertionError, ImportError):  # as torch says that there is none
        raise argparse.ArgumentTypeError(f"nothing can be computed on {text!r} here")
    return torch.device(text)


def picture_file(text):
    """Convert the name of a picture to a path; raises ArgumentTypeError if it cannot be saved."""
    path = Path(text)
    known = path.suffix[1:].lower() in plt.Figure().canvas.get_supported_filetypes()
    if not known or path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError("no picture, like a.png, can be written with this name")
    return path


def make_parser():
    """Describe the command line; its defaults are the article's."""
    parser = argparse.ArgumentParser(prog="rnn_sine.py", description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--epochs", type=positive_int, default=100, help="passes over the training data")
    add("--batch-size", type=positive_int, default=32, help="windows per training step")
    add("--learning-rate", type=positive_float, default=0.001, help="how far a step moves weights")
    add("--schedule", choices=["constant", "onecycle"], default="constant",
        help="onecycle: the learning rate rises to its value, then falls to almost nothing")
    add("--max-grad-norm", type=positive_float, help="shorten longer gradients to this length")
    add("--hidden-size", type=positive_int, default=64, help="numbers in the hidden state")
    add("--num-layers", type=positive_int, default=1, help="recurrent layers, one upon the other")
    add("--seq-length", type=positive_int, default=20, help="time steps in a window")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--n-samples", type=positive_int, default=1000, help="windows of the sine")
    source.add_argument("--series", help="file in place of the sine: a number per line, or a CSV")
    add("--noise", type=float, default=0.0, help="standard deviation of the noise on the sine")
    add("--seed", type=int, default=42, help="another one draws other weights, batches and noise")
    add("--device", type=working_device, default="auto", help="cpu, cuda, ...; auto prefers cuda")
    add("--output", type=picture_file, default="rnn_sine.png", help="file for the picture")
    add("--lang", choices=["en", "zh"], default="en", help="labels in English or in Chinese")
    add("--no-show", action="store_true", help="save the picture, but open no window")
    return parser


def train_as_told(model, train_data, epochs, args):
    """Make loader, optimizer and schedule as `args` say, and train; returns as `train_model`."""
    train_loader = DataLoader(train_data, args.batch_size, shuffle=True)  # new batches every epoch
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
    scheduler = None
    if args.schedule == "onecycle":  # Smith, 2018
        steps = args.epochs * len(train_loader)
        scheduler = OneCycleLR(optimizer, args.learning_rate, steps, cycle_momentum=False)
    return train_model(model, train_loader, nn.MSELoss(), optimizer, args.device, epochs, scheduler,
                       args.max_grad_norm)


def main(argv=None):
    """Do all that the flags `argv` say, by default those of the command line. Returns what
    `compare` does, and "model", "losses" [epochs], "sensitivity" [seq_length], "mean", "scale"."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.series and args.noise:
        parser.error("--noise belongs to the sine, so it cannot go with --series")

    # The data are the reader's own series, or else the sine, which needs no scaling.
    try:
        np.random.seed(args.seed)
        torch.manual_seed(args.seed)
        if args.series:
            train_data, test_data, mean, scale = load_series(args.series, args.seq_length)
        else:
            train_data, test_data = generate_data(args.n_samples, args.seq_length, args.noise)
            mean, scale = 0.0, 1.0
    except (OSError, ValueError) as error:
        parser.error(str(error))

    # The RNN comes first, so that it meets the same random numbers as in the article.
    print(f"Device: {args.device}\nTraining the RNN...")
    model = SimpleRNN(1, args.hidden_size, args.num_layers, 1).to(args.device)
    try:
        losses = train_as_told(model, train_data, args.epochs, args)
    except FloatingPointError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")

    # The others join it; the dense network is trained for as many epochs as the RNN was.
    print("Training the dense network...")
    dense = dense_network(args.seq_length, args.hidden_size).to(args.device)
    predictors = {"persistence": Persistence(), "linear regression": linear_regression(train_data),
                  "dense network": dense, "RNN": model, "stateful RNN": StatefulRNN(model)}
    try:
        train_as_told(dense, train_data, len(losses), args)
    except FloatingPointError as error:
        print(f"The dense network is left out: {error}")
        del predictors["dense network"]

    # All of them predict the same test values.
    results = compare(predictors, test_data, args.batch_size, args.device)
    sensitivity = input_sensitivity(model, test_data.tensors[0], args.device)
    results.update(model=model, losses=losses, sensitivity=sensitivity, mean=mean, scale=scale)
    report(results, args.noise)

    # The picture is saved before it is shown, since its window stays until somebody closes it.
    figure = draw_results(results)
    if args.lang == "zh":
        label_in_chinese(figure)
    figure.savefig(args.output)
    print(f"Picture: {args.output}")
    if not args.no_show:
        plt.show()
    plt.close(figure)
    return results


if __name__ == "__main__":
    torch.set_num_threads(1)  # at the default sizes, one thread is faster than two
    main()
