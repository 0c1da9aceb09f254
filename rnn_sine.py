"""Teach a recurrent neural network (RNN) to continue a sine wave.

An RNN reads a sequence one value at a time and keeps a memory of what it has read: the hidden state h.
At every time step the same small set of weights mixes the new input x with the memory of the step before:

    h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h)

After the last step a linear layer turns the memory into a prediction of the next value.

    python rnn_sine.py           train, measure the error on unseen data, draw rnn_sine.png (some ten seconds)
    python rnn_sine.py --help    what can be changed

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
from matplotlib.figure import Figure
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset

# --- data


def generate_data(n_samples=1000, seq_length=20):
    """Cut five periods of a sine into windows; the first 80 % train, the rest test.

    The network sees `seq_length` values and must name the next one. With `seq_length=3`:

        sine        y0  y1  y2  y3  y4  y5  ...
        sample 0   [y0  y1  y2] y3                    [input] target
        sample 1       [y1  y2  y3] y4
        sample 2           [y2  y3  y4] y5

    Neighbouring samples share all values but one, so a random split would test on what was trained on. The
    split is in time: every training target lies before the first test target.

    Args:
        n_samples: number of windows, at least 2.
        seq_length: time steps in a window, at least 1.

    Returns:
        (train_data, test_data), two TensorDatasets of (inputs, targets) in order of time, float32:
        inputs [n, seq_length, 1], targets [n, 1].

    Raises:
        ValueError: too few samples to split, or no time step in the window.
    """
    if seq_length < 1:
        raise ValueError(f"seq_length is {seq_length}; a window needs at least 1 time step")
    split = int(0.8 * n_samples)
    if not 0 < split < n_samples:
        raise ValueError(f"n_samples is {n_samples}; it takes at least 2 to train on one and test on another")
    series = torch.from_numpy(np.sin(np.linspace(0, 10 * np.pi, n_samples + seq_length))).float()  # (time,)
    # unfold shows the series as overlapping windows; contiguous() gives each its own memory.
    inputs = series[:-1].unfold(0, seq_length, 1).contiguous().unsqueeze(-1)  # (sample, time, feature)
    targets = series[seq_length:].unsqueeze(-1)  # (sample, feature)
    return TensorDataset(inputs[:split], targets[:split]), TensorDataset(inputs[split:], targets[split:])


def batch_loader(data, batch_size, shuffle=False):
    """Serve a TensorDataset in batches: a DataLoader that cuts each batch with one indexing operation.

    It draws the same random order as `DataLoader(data, batch_size, shuffle=shuffle)`, which fetches the samples
    of a batch one at a time and stacks them: the same batches for less work.
    """
    sampler = RandomSampler(data) if shuffle else SequentialSampler(data)
    return DataLoader(data, batch_size=None, sampler=BatchSampler(sampler, batch_size, drop_last=False))


# --- model


class SimpleRNN(nn.Module):
    """A recurrent layer that reads the window, and a linear layer that reads the last hidden state.

        h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h),  h_0 = 0      for t = 1 ... seq_length
        y   = W_y h_seq_length + b_y

    This is Elman's network ("Finding structure in time", 1990). In `rnn`: W_x is `weight_ih_l0`, W_h is
    `weight_hh_l0`, and b_x, b_h are `bias_ih_l0`, `bias_hh_l0`; only the sum of these two biases matters. With
    `num_layers` above 1, layer k + 1 reads the hidden states of layer k as its inputs.

    Args:
        input_size: features of one time step.
        hidden_size: numbers in the hidden state, the size of the memory.
        num_layers: recurrent layers on top of each other.
        output_size: features of the prediction.
    """

    def __init__(self, input_size, hidden_size, num_layers, output_size):
        super().__init__()
        self.rnn = nn.RNN(input_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, output_size)

    def forward(self, x):
        """Map x [batch, time, input_size] to predictions [batch, output_size], in the dtype of the weights.

        Raises:
            ValueError: x has another shape, or no time step.
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


def train_model(model, train_loader, criterion, optimizer, device, epochs=100):
    """Fit the model: predict a batch, measure the loss, follow its gradient one step, again and again.

    Prints the mean loss at most ten times, evenly spread over the epochs. Ctrl-C ends the training early and
    keeps what has been learnt.

    Args:
        model: maps inputs [batch, time, features] to predictions [batch, output]; already on `device`.
        train_loader: iterable over batches (inputs, targets), started afresh every epoch.
        criterion: loss(predictions, targets), a scalar tensor.
        optimizer: updates the parameters of `model`.
        device: where the batches are sent.
        epochs: passes over the training data.

    Returns:
        The mean of the batch losses for every finished epoch, a list of floats.

    Raises:
        FloatingPointError: the loss is infinite or not a number.
        ValueError: `train_loader` yields nothing.
    """
    model.train()
    epoch_losses = []
    try:
        for epoch in range(1, epochs + 1):
            batch_losses = []
            for inputs, targets in train_loader:
                inputs, targets = inputs.to(device), targets.to(device)
                loss = criterion(model(inputs), targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
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
    """Put the model into evaluation mode; afterwards every part of it is back in the mode it had."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@torch.no_grad()
def evaluate_model(model, test_loader, device):
    """Predict one step ahead for every window; each window holds true values only.

    Args:
        model: maps inputs [batch, time, features] to predictions [batch, output]; already on `device`.
        test_loader: iterable over batches (inputs, targets).
        device: where the batches are sent.

    Returns:
        (predictions, actuals), NumPy arrays [n, output] in the order of the loader. The model's mode is kept.
    """
    predictions, actuals = [], []
    with eval_mode(model):
        for inputs, targets in test_loader:
            predictions.append(model(inputs.to(device)).cpu().numpy())
            actuals.append(targets.cpu().numpy())
    return np.concatenate(predictions), np.concatenate(actuals)


def mean_squared_error(predictions, actuals):
    """Mean of (prediction - actual)^2 in float64, in the squared unit of the series."""
    return np.mean((predictions.astype(np.float64) - actuals) ** 2)


# --- picture


def draw_results(predictions, actuals):
    """Draw the first 50 predictions over the actual values.

    Args:
        predictions: one step ahead, [n, 1].
        actuals: the true values, [n, 1].

    Returns:
        The matplotlib figure, 10 x 6 inches.
    """
    figure, axes = plt.subplots(figsize=(10, 6), layout="constrained")
    # A broad pale line below dots: both are seen where they coincide, in colour and in grey.
    axes.plot(actuals[:50], color="#56B4E9", linewidth=6, label="actual")
    axes.plot(predictions[:50], "o", color="black", markersize=3, label="predicted")
    axes.set(title="Prediction one step ahead", xlabel="test sample", ylabel="value")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


# --- command line


class OneSentenceParser(argparse.ArgumentParser):
    """An ArgumentParser that reports an error in one sentence, without the usage lines before it."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def checked(convert, is_valid, expected):
    """Make an argparse type: `convert(text)`, refused in a sentence unless `is_valid(value)`."""

    def parse(text):
        with suppress(ValueError):
            value = convert(text)
            if is_valid(value):
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")

    return parse


def usable_device(name):
    """Argparse type: the torch.device called `name`, or for "auto" CUDA where there is one and else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # a name that torch knows may still be absent here
    except (RuntimeError, AssertionError):  # what torch raises for an unknown and for an absent device
        raise argparse.ArgumentTypeError(f"torch cannot use {name!r} on this machine; take auto or cpu") from None
    return device


def writable_picture(path):
    """Argparse type: `path`, once matplotlib has written its format and the file has been opened."""
    try:
        probe = Figure()
        probe.text(0, 0, "text")
        probe.savefig(io.BytesIO(), format=Path(path).suffix[1:].lower())
    except (ValueError, RuntimeError):  # an unknown format, or one whose helper program is absent
        raise argparse.ArgumentTypeError(
            f"matplotlib cannot write {path!r} here; take a file name that ends in .png, .pdf or .svg"
        ) from None
    existed = os.path.exists(path)
    try:
        open(path, "ab").close()
        if not existed:
            os.remove(path)
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"cannot write {path!r} ({error.strerror}); take a file in a folder that exists and can be written"
        ) from None
    return path


def make_parser():
    """Describe the command line; every default stands here and nowhere else in the command line's code."""
    parser = OneSentenceParser(
        description="Train an RNN on a sine wave, measure its error on unseen data and draw a picture.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    # argparse takes -1e-3 and -inf for flags; as values they get the message of the flag before them.
    parser._negative_number_matcher = re.compile(r"-\.?\d|-(inf|nan)", re.IGNORECASE)
    count = checked(int, lambda n: 1 <= n <= 10**9, "a whole number from 1 to 10**9")
    samples = checked(int, lambda n: 2 <= n <= 10**9, "a whole number from 2 (one to train on, one to test) to 10**9")
    seed = checked(int, lambda n: 0 <= n < 2**32, "a whole number from 0 to 2**32 - 1")
    positive = checked(float, lambda x: 0 < x < math.inf, "a finite number above 0")
    parser.add_argument("--epochs", type=count, default=100, help="passes over the training data")
    parser.add_argument("--batch-size", type=count, default=32, help="windows per training step")
    parser.add_argument("--learning-rate", type=positive, default=0.001, help="step size of the Adam optimizer")
    parser.add_argument("--hidden-size", type=count, default=64, help="numbers in the hidden state")
    parser.add_argument("--num-layers", type=count, default=1, help="recurrent layers on top of each other")
    parser.add_argument("--seq-length", type=count, default=20, help="time steps the network sees")
    parser.add_argument("--n-samples", type=samples, default=1000, help="windows, 80%% of them for training")
    parser.add_argument("--seed", type=seed, default=42, help="start of all random numbers")
    parser.add_argument("--device", type=usable_device, default="auto", help="auto, cpu, cuda, or another of torch's")
    parser.add_argument("--output", type=writable_picture, default="rnn_sine.png", help="file for the picture")
    parser.add_argument("--no-show", action="store_true", help="save the picture without opening a window")
    return parser


def main(argv=None):
    """Run the whole program with the command line `argv` (default: that of the process).

    Returns:
        A dict: "model", "losses" (one per epoch), "predictions" and "actuals" [n, 1], "test_mse".
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # no date in the picture: equal runs write equal files
    try:
        plt.close(plt.figure())  # the first figure is what loads the backend
    except ImportError:  # MPLBACKEND asks for a window where there is no screen
        plt.switch_backend("agg")

    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    try:
        train_data, test_data = generate_data(args.n_samples, args.seq_length)
        model = SimpleRNN(1, args.hidden_size, args.num_layers, 1).to(args.device)
    except (MemoryError, RuntimeError):
        parser.error(
            f"--n-samples {args.n_samples} --seq-length {args.seq_length} --hidden-size {args.hidden_size} "
            f"--num-layers {args.num_layers} do not fit into memory; take smaller numbers"
        )
    train_loader = batch_loader(train_data, args.batch_size, shuffle=True)
    test_loader = batch_loader(test_data, args.batch_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)

    print(f"Device: {args.device}")
    print("Training the model...")
    try:
        losses = train_model(model, train_loader, nn.MSELoss(), optimizer, args.device, args.epochs)
    except FloatingPointError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    print("Evaluating the model...")
    predictions, actuals = evaluate_model(model, test_loader, args.device)
    test_mse = mean_squared_error(predictions, actuals)
    print(f"Test MSE, one step ahead: {test_mse:.3e}")

    figure = draw_results(predictions, actuals)
    try:
        with plt.rc_context({"svg.hashsalt": "rnn_sine"}):  # equal runs write equal files: no random names inside
            figure.savefig(args.output)
    except OSError as error:
        parser.exit(1, f"{parser.prog}: cannot write {args.output!r} ({error.strerror}); try another --output\n")
    print(f"Picture: {args.output}")
    if not args.no_show and figure.canvas.required_interactive_framework is not None:
        plt.show()
    plt.close(figure)
    return dict(model=model, losses=losses, predictions=predictions, actuals=actuals, test_mse=test_mse)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # a line reaches a pipe or a file when it is printed
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
