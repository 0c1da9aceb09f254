"""Teach a recurrent neural network (RNN) to continue a sine, and measure whether it is any good.

An RNN reads a sequence one value at a time. At every step the same weights mix the new value with a
memory of all the values before it: a vector, the hidden state. That is the one idea.

    python rnn_sine.py           train, compare with simpler predictors, draw rnn_sine.png
    python rnn_sine.py --help    what can be changed; the defaults repeat a Chinese blog article
"""

import argparse
import os
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

    The network sees a window of `seq_length` values and must name the next. With `seq_length=3`:

        series      y0  y1  y2  y3  y4  y5  ...
        sample 0   [y0  y1  y2] y3                    [input] target
        sample 1       [y1  y2  y3] y4
        sample 2           [y2  y3  y4] y5

    Neighbours share all values but one, so a random split would test on what was trained on. Here
    the first `train_fraction` of the samples trains and the rest, later in time, tests.
    Returns (train_data, test_data), TensorDatasets of float32 inputs [n, seq_length, 1] and targets
    [n, 1]. Raises ValueError if the series is not one-dimensional, not finite, or too short.
    """
    series = torch.tensor(np.asarray(series, dtype=np.float32))  # (time,)
    if series.dim() != 1:
        raise ValueError(f"a series has one dimension, but this one has shape {list(series.shape)}")
    if not series.isfinite().all():
        raise ValueError(f"value {series.isfinite().int().argmin()} of the series is not finite")
    n_samples = len(series) - seq_length
    split = int(train_fraction * n_samples)
    if seq_length < 1 or not 0 < split < n_samples:
        raise ValueError(f"{len(series)} values are too few for {seq_length=}, {train_fraction=}")
    # The last value is a target only. Windows from unfold share memory until contiguous copies it.
    inputs = series[:-1].unfold(0, seq_length, 1).contiguous().unsqueeze(-1)  # (sample, time, 1)
    samples = TensorDataset(inputs, series[seq_length:].unsqueeze(-1))  # targets (sample, 1)
    return TensorDataset(*samples[:split]), TensorDataset(*samples[split:])


def add_noise(series, noise):
    """Add Gaussian noise of deviation `noise` to an array; ValueError below 0 and for infinity."""
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise is a standard deviation, finite and at least 0, not {noise}")
    return series + np.random.normal(0, noise, len(series)) if noise else series


def generate_data(n_samples=1000, seq_length=20, noise=0.0):
    """Cut five periods of a sine into `n_samples` windows; returns and raises as `make_windows`.

    More samples make it finer, not longer. The test part is about its last period, which repeats
    those before it, unless `noise` makes it new.
    """
    series = np.sin(np.linspace(0, 10 * np.pi, n_samples + seq_length))
    return make_windows(add_noise(series, noise), seq_length)


def load_series(path, seq_length=20, noise=0.0):
    """Cut a text file, one number per line, into windows, scaled by the training part alone.

    Returns (train_data, test_data, mean, scale). Raises OSError or ValueError for a bad file.
    """
    series = np.array([float(line) for line in Path(path).read_text().splitlines() if line.strip()])
    series = add_noise(series, noise)
    past = series[: seq_length + len(make_windows(series, seq_length)[0])]  # all that training sees
    if past.min() == past.max():
        raise ValueError(f"the training part of {path} is constant, so it has no scale")
    return *make_windows((series - past.mean()) / past.std(), seq_length), past.mean(), past.std()


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
        """Map windows [batch, time, input] to next values [batch, output]. Raises ValueError."""
        if x.dim() != 3:
            raise ValueError(f"windows have shape [batch, time, input], not {list(x.shape)}")
        hidden_states, _ = self.rnn(x)  # (batch, time, hidden), from h_0 = 0 on
        return self.fc(hidden_states[:, -1])  # (batch, output)


def train_model(model, train_loader, criterion, optimizer, device, epochs=100, scheduler=None,
                max_grad_norm=None):
    """Predict a batch, measure the loss, move every weight a step against its gradient, repeat.

    `train_loader` yields batches (inputs, targets); `criterion` maps (predictions, targets) to the
    loss. `scheduler`, if any, sets the learning rate after every batch. Gradients longer than
    `max_grad_norm`, if any, are shortened to it, so that none explodes (Pascanu et al., 2013).
    Returns the mean batch loss of every epoch, a list of floats. Ctrl-C ends the training early and
    keeps what has been learnt. Raises FloatingPointError once the loss is infinite or NaN.
    """
    model.train()
    epoch_losses = []
    try:
        for epoch in range(1, epochs + 1):
            batch_losses = []
            for inputs, targets in train_loader:
                loss = criterion(model(inputs.to(device)), targets.to(device))
                optimizer.zero_grad()  # else backward() would add to the gradient of the last batch
                loss.backward()  # the gradient, back through all time steps
                if max_grad_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
                batch_losses.append(loss.item())
            epoch_losses.append(loss := sum(batch_losses) / len(batch_losses))
            if not np.isfinite(loss):
                raise FloatingPointError(f"loss {loss} in epoch {epoch}: try a lower learning rate")
            if epoch % np.ceil(epochs / 10) == 0 or epoch == epochs:
                print(f"Epoch [{epoch}/{epochs}], Loss: {loss:.3e}")
    except KeyboardInterrupt:
        print(f"Stopped in epoch {len(epoch_losses) + 1}; going on with what has been learnt.")
    return epoch_losses


class Persistence(nn.Module):
    """Predict that nothing changes, which every other predictor has to beat."""
    def forward(self, x):
        """Map windows [batch, time, 1] to their last values [batch, 1]."""
        return x[:, -1]


def linear_regression(train_data):
    """Fit a weight for every time step, and a bias, by least squares: solved exactly, not trained.

    Returns a float32 module on the CPU that, like the network, maps [batch, time, 1] to [batch, 1].
    """
    inputs, targets = train_data.tensors
    design = torch.cat([inputs.flatten(1), torch.ones_like(targets)], dim=1)  # (sample, time + 1)
    # Any two values of a sine give all others: of the drivers, "gelsd" solves such windows too.
    solution = torch.linalg.lstsq(design.double(), targets.double(), driver="gelsd").solution
    layer = nn.utils.skip_init(nn.Linear, inputs.size(1), 1).requires_grad_(False)  # no random draw
    nn.utils.vector_to_parameters(solution.float().flatten(), layer.parameters())  # weight, bias
    return nn.Sequential(nn.Flatten(), layer)


@torch.no_grad()  # nothing is trained, so nothing is recorded for a backward pass
def evaluate_model(model, test_loader, device):
    """Predict one step ahead from every window of `test_loader`, each of true values only.

    Returns (predictions, actuals), NumPy arrays [n, 1]. Evaluation mode, in which the model is
    left, switches off what serves only the training, such as dropout; SimpleRNN has none.
    """
    model.eval()
    predictions, actuals = [], []
    for inputs, targets in test_loader:
        predictions.append(model(inputs.to(device)).cpu())
        actuals.append(targets.cpu())
    return torch.cat(predictions).numpy(), torch.cat(actuals).numpy()


@torch.no_grad()
def forecast(model, window, steps, device):
    """Run free: predict the next value, take the prediction for true, and go on, `steps` times.

    `window` [seq_length, 1] has the last true values. Returns a NumPy array [steps, 1].
    """
    model.eval()
    series = window.to(device)  # (time, 1)
    for _ in range(steps):
        newest = series[-len(window):]  # (seq_length, 1): the oldest value drops out of the window
        series = torch.cat([series, model(newest.unsqueeze(0))])
    return series[len(window):].cpu().numpy()


def input_sensitivity(model, inputs, device):
    """Measure the memory: how far the prediction moves when the input of one time step does.

    For windows `inputs` [n, seq_length, 1], returns the mean of |d prediction / d x_t|, a NumPy
    array [seq_length], the oldest step first. By the chain rule, W_h enters it once per step from t
    to the end, the slope of tanh (at most 1) once more: that product may vanish or explode.
    """
    model.eval()
    inputs = inputs.detach().to(device).requires_grad_()
    # On a GPU, cuDNN has no backward pass for an RNN in evaluation mode; torch's own has.
    with torch.backends.cudnn.flags(enabled=False):
        # No prediction depends on another's window, so the sum has every window's own gradient.
        (gradient,) = torch.autograd.grad(model(inputs).sum(), inputs)  # (n, seq_length, 1)
    return gradient.abs().mean(dim=(0, 2)).cpu().numpy()


def draw_results(results):
    """Draw the `results` of `main` in four panels; returns the matplotlib figure, 13 x 9 inches."""
    figure, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    one_step, free_run, training, memory = axes.flat
    actuals, window, losses = results["actuals"][:200], results["window"], results["losses"]
    past, future = np.arange(1 - len(window), 1), np.arange(1, len(actuals) + 1)
    # Broad and pale under thin and dark: both are seen where they coincide, in grey print too.
    truth = dict(color="skyblue", linewidth=3, marker=".")
    network = dict(color="black", linewidth=0.8, marker=".", markersize=2)
    one_step.set(title="One step ahead, from true values", xlabel="test sample", ylabel="value")
    one_step.plot(actuals, label="actual", **truth)
    one_step.plot(results["one_step"]["RNN"][:200], label="predicted", **network)
    free_run.set(title="Free run, from its own predictions", xlabel="time step", ylabel="value")
    free_run.plot(past, window, label="first test window", **truth | {"color": "tab:orange"})
    free_run.plot(future, actuals, label="actual", **truth)
    free_run.plot(future, results["free_run"]["RNN"][:200], label="forecast", **network)
    training.set(title="Training, and what it has to beat", xlabel="epoch", ylabel="MSE")
    training.semilogy(np.arange(1, len(losses) + 1), losses, label="RNN, training", **network)
    for (name, mse), style in zip(results["test_mse"].items(), ("--", ":", "-")):
        training.axhline(mse, color="tab:orange", linestyle=style, label=f"{name}, test")
    memory.set(title="Memory: how far each input still moves the prediction")
    memory.set(xlabel="time step", ylabel="|d prediction / d input|")
    memory.semilogy(past, results["sensitivity"], label="mean over the test windows", **network)
    for panel in axes.flat:
        panel.grid(alpha=0.3)
        panel.locator_params(axis="x", integer=True, min_n_ticks=1)
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)  # below the data
    return figure


def label_in_chinese(figure):
    """Replace the labels of a finished figure; without a Chinese font, say so and leave them."""
    labels = {
        "One step ahead, from true values": "RNN模型预测结果", "test sample": "样本", "value": "值",
        "actual": "实际值", "predicted": "预测值", "forecast": "自由预测", "time step": "时间步",
        "Free run, from its own predictions": "自由预测: 以自己的预测值为输入", "epoch": "训练轮次",
        "first test window": "第一个测试窗口", "|d prediction / d input|": "|d 预测 / d 输入|",
        "Training, and what it has to beat": "训练过程与要超过的基线", "RNN, training": "RNN, 训练集",
        "RNN, test": "RNN, 测试集", "MSE": "均方误差 MSE", "mean over the test windows": "测试窗口的平均",
        "persistence, test": "重复上一个值, 测试集", "linear regression, test": "线性回归, 测试集",
        "Memory: how far each input still moves the prediction": "记忆: 每个输入对预测还有多大影响",
    }
    names = ("simhei", "msyh.", "stheiti", "notosanscjk-regular", "notosanscjk-vf", "wqy-")
    files = sorted(map(Path, font_manager.findSystemFonts()))
    fonts = [file for name in names for file in files if file.name.lower().startswith(name)]
    if not fonts:
        print("No Chinese font is installed: the labels stay English. One is Noto Sans CJK.")
        return
    for text in figure.findobj(plt.Text):
        if text.get_text() in labels:
            text.set(text=labels[text.get_text()], font=fonts[0], size=text.get_size())


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


def make_parser():
    """Describe the command line; its defaults are the article's."""
    parser = argparse.ArgumentParser(prog="rnn_sine.py", description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--epochs", type=positive_int, default=100, help="passes over the training data")
    add("--batch-size", type=positive_int, default=32, help="windows per training step")
    add("--learning-rate", type=positive_float, default=0.001, help="step size of Adam, or peak")
    add("--schedule", choices=["constant", "onecycle"], default="constant", help="learning rate")
    add("--max-grad-norm", type=positive_float, help="shorten longer gradients to this length")
    add("--hidden-size", type=positive_int, default=64, help="numbers in the hidden state")
    add("--num-layers", type=positive_int, default=1, help="recurrent layers, one upon the other")
    add("--seq-length", type=positive_int, default=20, help="time steps in a window")
    source = parser.add_mutually_exclusive_group().add_argument
    source("--n-samples", type=positive_int, default=1000, help="windows to cut the sine into")
    source("--series", type=Path, help="text file, one number per line, in place of the sine")
    add("--noise", type=float, default=0.0, help="standard deviation of noise on every value")
    add("--seed", type=int, default=42, help="start of all random numbers")
    add("--device", default="auto", help="cpu, cuda, ...; auto: cuda where there is one, else cpu")
    add("--output", type=Path, default="rnn_sine.png", help="file for the picture")
    add("--lang", choices=["en", "zh"], default="en", help="of the picture; zh is Chinese")
    add("--no-show", action="store_true", help="save the picture, but open no window")
    return parser


def report(results, noise_variance):
    """Print a row of test errors for every predictor, and who wins one step ahead."""
    test_mse, scale, n_test = results["test_mse"], results["scale"], len(results["actuals"])
    horizons = sorted({min(steps, n_test) for steps in (1, 10, 50, n_test)})
    print(f"in units of {scale:<5.3g}  one-step MSE   free run: largest error to step", *horizons)
    for name, mse in test_mse.items():
        errors = abs(results["free_run"][name] - results["actuals"])
        print(f"{name:17s}  {mse:12.3e}", *(f"{errors[:n].max():9.1e}" for n in horizons))
    if noise_variance:
        print(f"noise variance     {noise_variance:12.3e}   (no predictor is below it on average)")
    best = min(test_mse, key=test_mse.get)
    print("One step ahead, the RNN", "beats the others." if best == "RNN" else f"loses to {best}.")


def main(argv=None):
    """Train, evaluate, report, draw, as the flags `argv` say, by default the command line's.

    Returns a dict: "model"; "losses", one per epoch; of the test, "window" [seq_length, 1], the
    first, "actuals" [n, 1], and by the predictor's name "one_step" [n, 1], "free_run" [n, 1] and
    "test_mse"; "sensitivity" [seq_length]; "mean" and "scale", as `load_series` returns them.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    try:  # what cannot work is said before the training
        np.random.seed(args.seed)
        torch.manual_seed(args.seed)
        load, what = (load_series, args.series) if args.series else (generate_data, args.n_samples)
        train_data, test_data, *unit = load(what, args.seq_length, args.noise)
        mean, scale = unit or (0.0, 1.0)  # the sine is left as it is
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        device = torch.device(auto if args.device == "auto" else args.device)
        model = SimpleRNN(1, args.hidden_size, args.num_layers, 1).to(device)
        known = plt.Figure().canvas.get_supported_filetypes()
        if args.output.suffix[1:].lower() not in known or args.output.is_dir():
            raise ValueError(f"--output {args.output} is not a file with an ending like .png")
        if not os.access(args.output.parent, os.W_OK):
            raise ValueError(f"--output {args.output} is not in a folder that can be written to")
    except (OSError, ValueError, RuntimeError, AssertionError) as error:  # the last two are torch's
        parser.error(str(error))
    train_loader = DataLoader(train_data, args.batch_size, shuffle=True)  # new batches every epoch
    test_loader = DataLoader(test_data, args.batch_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
    steps, scheduler = args.epochs * len(train_loader), None
    if args.schedule == "onecycle":  # up to the peak, then down to almost nothing (Smith, 2018)
        scheduler = OneCycleLR(optimizer, args.learning_rate, steps, cycle_momentum=False)
    threads = torch.get_num_threads()
    if args.batch_size * args.hidden_size**2 < 500_000:  # too little work to share among threads
        torch.set_num_threads(1)
    print(f"Device: {device}\nTraining the model...")
    try:
        losses = train_model(model, train_loader, nn.MSELoss(), optimizer, device, args.epochs,
                             scheduler, args.max_grad_norm)
    except FloatingPointError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")

    print("Evaluating the model...")
    inputs, _ = test_data.tensors
    predictors = {"persistence": Persistence(), "linear regression": linear_regression(train_data)}
    one_step, free_run, test_mse = {}, {}, {}
    for name, predictor in (predictors | {"RNN": model}).items():
        one_step[name], actuals = evaluate_model(predictor.to(device), test_loader, device)
        free_run[name] = forecast(predictor, inputs[0], len(actuals), device)
        test_mse[name] = np.mean((one_step[name] - actuals) ** 2, dtype=np.float64)
    results = {"model": model, "losses": losses, "window": inputs[0].numpy(), "actuals": actuals,
               "one_step": one_step, "free_run": free_run, "test_mse": test_mse, "mean": mean,
               "scale": scale, "sensitivity": input_sensitivity(model, inputs, device)}
    report(results, (args.noise / scale) ** 2)
    figure = draw_results(results)
    if args.lang == "zh":
        label_in_chinese(figure)
    figure.savefig(args.output)  # before it is shown, which can wait for a closed window
    print(f"Picture: {args.output}")
    if not args.no_show:
        plt.show()
    plt.close(figure)
    torch.set_num_threads(threads)
    return results


if __name__ == "__main__":
    main()
