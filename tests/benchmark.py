"""Measure what the script costs beside a plain program that does the same work.

    python tests/benchmark.py

Every figure is a ratio of times from this one run, in which both sides take turns: a median with the smallest and the
largest. It takes a few minutes.
"""

import contextlib
import io
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import rnn_sine

RECIPE = (  # the fewest seconds to the article's accuracy, by flags alone, that were found
    "--seq-length 10 --hidden-size 32 --schedule onecycle --learning-rate 0.02 --max-grad-norm 0.1 --epochs 18"
)


def reference_loop(seed, epochs, device="cpu"):
    """Train as a tutorial does, one sample at a time from the loader: (model, test inputs, test targets, seconds)."""
    torch.manual_seed(seed)
    y = np.sin(np.linspace(0, 10 * np.pi, 1020))
    inputs = torch.tensor(np.array([y[i : i + 20] for i in range(1000)]), dtype=torch.float32).unsqueeze(-1)
    targets = torch.tensor(np.array([y[i + 20] for i in range(1000)]), dtype=torch.float32).unsqueeze(-1)
    loader = DataLoader(TensorDataset(inputs[:800], targets[:800]), batch_size=32, shuffle=True)
    model = rnn_sine.SimpleRNN(1, 64, 1, 1).to(device)
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    start = time.perf_counter()
    for _ in range(epochs):
        total = 0
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
    return model, inputs[800:], targets[800:], time.perf_counter() - start


def script_loop(seed, flags, device="cpu"):
    """Train as `rnn_sine.main` does with these flags, on the current threads: (model, test MSE, seconds)."""
    args = rnn_sine.make_parser().parse_args([*flags.split(), "--seed", str(seed), "--device", device])
    torch.manual_seed(args.seed)
    train_data, test_data = rnn_sine.generate_data(args.n_samples, args.seq_length)
    train_loader = rnn_sine.batch_loader(train_data, args.batch_size, args.device, shuffle=True)
    model = rnn_sine.SimpleRNN(1, args.hidden_size, args.num_layers, 1).to(args.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
    scheduler = None
    if args.schedule == "onecycle":
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, args.learning_rate, total_steps=args.epochs * len(train_loader), cycle_momentum=False
        )
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        rnn_sine.train_model(
            model, train_loader, nn.MSELoss(), optimizer, args.device, args.epochs, scheduler, args.max_grad_norm
        )
    seconds = time.perf_counter() - start
    predictions, actuals = rnn_sine.evaluate_model(
        model, rnn_sine.batch_loader(test_data, args.batch_size, args.device), args.device
    )
    return model, rnn_sine.mean_squared_error(predictions, actuals), seconds


def training_step(hidden_size=64, windows=32, time_steps=20, device="cpu"):
    """A function that trains one step on one batch, already on the device: forward, backward, Adam."""
    model = rnn_sine.SimpleRNN(1, hidden_size, 1, 1).to(device)
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    inputs, targets = torch.rand(windows, time_steps, 1, device=device), torch.rand(windows, 1, device=device)

    def step():
        loss = criterion(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def seconds_of(function, times=1):
    """Seconds per call, over `times` calls after one that is not counted."""
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(times):
        function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / times


def ratio(ours, theirs):
    """Median, smallest and largest of the ratios, pair by pair."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f"{statistics.median(ratios):6.2f}  [{min(ratios):.2f} to {max(ratios):.2f}]"


def same_weights(one, other):
    return all(map(torch.equal, one.parameters(), other.parameters()))


def part_1_and_2(device, repeats=7, epochs=20):
    print(f"\n1. Same work, {device}: {repeats} times {epochs} epochs each, in turn")
    default_threads = torch.get_num_threads()
    ours, theirs, theirs_threaded, floor, equal = [], [], [], [], []
    step = training_step(device=device)
    for _ in range(repeats):
        torch.set_num_threads(1)
        model, _, seconds = script_loop(42, f"--epochs {epochs}", device)
        ours.append(seconds)
        floor.append(seconds_of(step, 25 * epochs) * 25 * epochs)
        reference, *_, seconds = reference_loop(42, epochs, device)
        theirs.append(seconds)
        equal.append(same_weights(model, reference))
        torch.set_num_threads(default_threads)
        reference, *_, seconds = reference_loop(42, epochs, device)
        theirs_threaded.append(seconds)
        equal.append(same_weights(model, reference))
    print(f"  final weights equal, bit for bit          {all(equal)}")
    print(f"  script / plain loop, one thread each      {ratio(ours, theirs)}")
    print(f"  script / plain loop on torch's {default_threads:2d} threads {ratio(ours, theirs_threaded)}")
    print(f"\n2. The floor, {device}: forward, backward and Adam on one batch, one thread")
    print(f"  script / floor                            {ratio(ours, floor)}")


def whole_program(command):
    """Run a program: (wall seconds, CPU seconds, peak memory in MiB)."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit(f"{command} failed")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def reference_program(picture):
    """The plain program: train, evaluate, draw one chart."""
    model, inputs, targets, _ = reference_loop(42, 100)
    with torch.no_grad():
        predictions = model(inputs)
    plt.figure(figsize=(10, 6))
    plt.plot(targets[:50], label="actual")
    plt.plot(predictions[:50], label="predicted")
    plt.legend()
    plt.savefig(picture)


def part_3(repeats=5):
    print(f"\n3. Whole program: {repeats} times each, in turn")
    with tempfile.TemporaryDirectory() as folder:
        picture = str(Path(folder) / "a.png")
        script = [sys.executable, str(ROOT / "rnn_sine.py"), "--no-show", "--output", picture]
        plain = [sys.executable, __file__, "reference", picture]
        runs = [(whole_program(script), whole_program(plain)) for _ in range(repeats)]
    ours, theirs = (list(zip(*side)) for side in zip(*runs))
    for name, a, b in zip(("wall seconds", "CPU seconds", "peak memory"), ours, theirs):
        print(f"  {name:12s} script / plain program        {ratio(a, b)}")
    threads = torch.get_num_threads()
    print(
        f"  a training step on {threads} threads, as a multiple of one thread; main takes one below batch x hidden^2 = 500,000"
    )
    for hidden_size, windows in ((64, 32), (64, 122), (64, 512), (128, 32), (256, 32), (256, 256)):
        step = training_step(hidden_size, windows)
        times = []
        for n in (threads, 1) * 5:
            torch.set_num_threads(n)
            times.append(seconds_of(step, 20))
        torch.set_num_threads(threads)
        work = windows * hidden_size**2
        print(f"    hidden {hidden_size:3d}, batch {windows:3d}: {work:>10,d}     {ratio(times[::2], times[1::2])}")


def part_4(device):
    print(f"\n4. Time to the article's accuracy, {device}, one thread: {RECIPE}")
    torch.set_num_threads(1)
    ours, theirs, errors = [], [], []
    for seed in range(42, 47):
        _, mse, seconds = script_loop(seed, RECIPE, device)
        ours.append(seconds)
        errors.append(mse)
        theirs.append(reference_loop(seed, 100, device)[3])
    errors.sort()
    print(f"  test MSE, seeds 42 to 46                  {errors[2]:.1e} [{errors[0]:.1e} to {errors[-1]:.1e}]")
    print(f"  below 3.74e-06 in every seed              {errors[-1] < 3.74e-6}")
    print(f"  script / plain loop of 100 epochs         {ratio(ours, theirs)}")


def growth(title, sizes, work, seconds):
    """Print a row per size: how the work grows from the first, and how the time does."""
    print(f"  {title}")
    for size, factor, value in zip(sizes, work, seconds, strict=True):
        print(f"    {size:>9,d}   work x {factor:6,.0f}   time x {value / seconds[0]:8,.1f}")


def peak_memory(code):
    """MiB by which the memory of a fresh process grows at most while it runs `code`; NaN except on Linux."""
    if not Path("/proc/self/clear_refs").exists():
        return math.nan
    program = f"""
import re, torch, rnn_sine
rnn_sine.evaluate_model(rnn_sine.SimpleRNN(1, 64, 1, 1), [(torch.zeros(32, 20, 1), torch.zeros(32, 1))], "cpu")
def memory(name):
    return int(re.search(name + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024
open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
before = memory("VmRSS")
{code}
print(memory("VmHWM") - before)
"""
    return float(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True))


def part_5():
    print("\n5. Growth, CPU, one thread")
    torch.set_num_threads(1)
    best = lambda function, times=3: min(seconds_of(function, times) for _ in range(3))
    windows = (20, 100, 500)
    growth("training step, time steps", windows, (1, 5, 25), [best(training_step(time_steps=n)) for n in windows])
    growth("training step, hidden size", (64, 256), (1, 16), [best(training_step(n), 10) for n in (64, 256)])
    growth("training step, windows", (32, 1024), (1, 32), [best(training_step(windows=n)) for n in (32, 1024)])
    sizes = (10**3, 10**4, 10**5, 10**6)
    growth(
        "generate_data, samples", sizes, (1, 10, 100, 1000),
        [best(lambda n=n: rnn_sine.generate_data(n), 1) for n in sizes],
    )  # fmt: skip
    for n in (10**5, 10**6):
        result = n * 21 * 4 / 2**20
        peak = peak_memory(f"data = rnn_sine.generate_data({n})")
        print(f"    {n:>9,d}   peak memory / size of the result {peak / result:.2f}")
    model = rnn_sine.SimpleRNN(1, 64, 1, 1)
    sizes = (10**3, 10**4, 10**5)
    loaders = [rnn_sine.batch_loader(rnn_sine.generate_data(n * 5)[1], 32, "cpu") for n in sizes]
    growth(
        "evaluate_model, samples", sizes, (1, 10, 100),
        [best(lambda loader=loader: rnn_sine.evaluate_model(model, loader, "cpu"), 1) for loader in loaders],
    )  # fmt: skip
    evaluate = (
        "model = rnn_sine.SimpleRNN(1, 64, 1, 1)\n"
        "rnn_sine.evaluate_model(model, [(torch.zeros(32, 20, 1), torch.zeros(32, 1))] * {}, 'cpu')"
    )
    for n in (3200, 100000):
        print(f"    {n:>9,d}   peak memory in batches of 32: {peak_memory(evaluate.format(n // 32)):.1f} MiB")
    window = torch.zeros(20, 1)
    growth(
        "forecast, steps", sizes, (1, 10, 100),
        [seconds_of(lambda n=n: rnn_sine.forecast(model, window, n, "cpu"), 1) for n in sizes],
    )  # fmt: skip


def main():
    versions = f"Python {sys.version.split()[0]}, torch {torch.__version__}, numpy {np.__version__}"
    print(f"{versions}, matplotlib {matplotlib.__version__}, {os.cpu_count()} processors")
    part_1_and_2("cpu")
    part_3()
    part_4("cpu")
    part_5()
    if torch.cuda.is_available():
        print(f"\n6. {torch.cuda.get_device_name()}")
        part_1_and_2("cuda")
        part_4("cuda")
    else:
        print("\n6. CUDA: skipped, torch finds no CUDA device here")


if __name__ == "__main__":
    matplotlib.use("Agg")
    if sys.argv[1:2] == ["reference"]:
        reference_program(sys.argv[2])
    else:
        main()
