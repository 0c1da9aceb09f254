import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

import rnn_sine


@pytest.mark.parametrize("kind", [list, np.array, np.float32, torch.tensor])
def test_windows_and_targets_of_a_short_series_written_by_hand(kind):
    series = kind([3.0, 1.0, 4.0, 1.5, 9.0, 2.0, 6.0])
    train_data, test_data = rnn_sine.make_windows(series, seq_length=3, train_fraction=0.5)
    inputs, targets = train_data.tensors
    assert inputs.dtype == targets.dtype == torch.float32
    assert inputs.tolist() == [[[3], [1], [4]], [[1], [4], [1.5]]]
    assert targets.tolist() == [[1.5], [9]]
    assert test_data.tensors[0].tolist() == [[[4], [1.5], [9]], [[1.5], [9], [2]]]
    assert test_data.tensors[1].tolist() == [[2], [6]]
    inputs[0] += 1
    targets += 1  # changes neither another window nor the series
    assert inputs[1].tolist() == [[1], [4], [1.5]] and list(series) == [3, 1, 4, 1.5, 9, 2, 6]


@pytest.mark.parametrize("arguments, named", [
    ((range(6), 5), "6 values are too few for seq_length=5"),
    (([], 5), "0 values are too few"),
    ((range(100), 0), "seq_length=0"),
    ((range(100), 5, 1.0), "train_fraction=1.0"),
    ((np.zeros((100, 1)), 5), r"one dimension, but this one has shape \[100, 1\]"),
    (([0.0, 1.0, math.nan] * 10, 5), "value 2 of the series is not finite"),
])  # fmt: skip
def test_a_bad_series_is_refused_in_a_sentence(arguments, named):
    with pytest.raises(ValueError, match=named):
        rnn_sine.make_windows(*arguments)


@pytest.mark.parametrize("n_samples, seq_length", [(1000, 20), (37, 5), (2, 1), (10, 50)])
def test_every_value_of_the_sine_equals_the_closed_form_bit_for_bit(n_samples, seq_length):
    y = np.sin(np.linspace(0, 10 * np.pi, n_samples + seq_length))
    train_data, test_data = rnn_sine.generate_data(n_samples, seq_length)
    inputs, targets = map(torch.cat, zip(train_data.tensors, test_data.tensors))
    expected = np.array([y[i : i + seq_length] for i in range(n_samples)], dtype=np.float32)
    assert np.array_equal(inputs.numpy(), expected[:, :, None])
    assert np.array_equal(targets.numpy(), y[seq_length:, None].astype(np.float32))
    assert len(train_data) == int(0.8 * n_samples)


def test_a_file_is_scaled_by_its_training_part_alone_and_has_noise_in_its_own_unit(tmp_path):
    series = np.random.default_rng(0).normal(50, 7, 125).cumsum()
    (tmp_path / "a.txt").write_text("\n".join(map(str, series)) + "\n\n")
    for noise in (0.0, 30.0):
        np.random.seed(0)
        *data, mean, scale = rnn_sine.load_series(tmp_path / "a.txt", 5, noise)
        np.random.seed(0)
        expected = series + np.random.normal(0, noise, 125)
        past = expected[:101]  # 0.8 of 120 samples are 96, the last of which ends with value 100
        assert (mean, scale) == pytest.approx((past.mean(), past.std()))
        inputs, targets = map(torch.cat, zip(*(part.tensors for part in data)))
        assert mean + scale * inputs[:, 0, 0].numpy() == pytest.approx(expected[:120], rel=1e-4)
        assert mean + scale * targets[:, 0].numpy() == pytest.approx(expected[5:], rel=1e-4)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_forward_follows_the_equations(dtype, tolerance):
    model = rnn_sine.SimpleRNN(2, 5, 2, 3).to(dtype)
    x = torch.randn(4, 7, 2, dtype=dtype)
    states = x.unbind(1)
    for w_x, w_h, b_x, b_h in model.rnn.all_weights:
        h, inputs, states = torch.zeros(4, 5, dtype=dtype), states, []
        for x_t in inputs:
            h = torch.tanh(x_t @ w_x.T + b_x + h @ w_h.T + b_h)
            states.append(h)
    expected = h @ model.fc.weight.T + model.fc.bias
    assert torch.allclose(model(x), expected, rtol=0, atol=tolerance) and model(x).shape == (4, 3)
    with pytest.raises(ValueError, match=r"shape \[batch, time, input\], not \[7, 2\]"):
        model(x[0])


def plain_loop(
    seed=42, n_samples=1000, seq_length=20, noise=0, batch_size=32, hidden_size=64,
    num_layers=1, learning_rate=1e-3, epochs=5, schedule=None, max_grad_norm=math.inf,
):  # fmt: skip
    """Train as a tutorial does, without a line of the script: (parameters, loss of every epoch)."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    y = np.sin(np.linspace(0, 10 * np.pi, n_samples + seq_length))
    y = y + np.random.normal(0, noise, len(y))
    n = int(0.8 * n_samples)
    inputs = torch.tensor(np.array([y[i : i + seq_length] for i in range(n)]), dtype=torch.float32)
    targets = torch.tensor(y[seq_length : seq_length + n, None], dtype=torch.float32)
    loader = DataLoader(TensorDataset(inputs.unsqueeze(-1), targets), batch_size, shuffle=True)
    rnn, fc = nn.RNN(1, hidden_size, num_layers, batch_first=True), nn.Linear(hidden_size, 1)
    parameters = [*rnn.parameters(), *fc.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    if schedule == "onecycle":
        cycle = OneCycleLR(optimizer, learning_rate, epochs * len(loader), cycle_momentum=False)
    losses = []
    for _ in range(epochs):
        total = 0
        for x, y in loader:
            output, _ = rnn(x, torch.zeros(num_layers, len(x), hidden_size))
            loss = nn.functional.mse_loss(fc(output[:, -1, :]), y)
            optimizer.zero_grad()
            loss.backward()
            norm = math.sqrt(sum((p.grad**2).sum().item() for p in parameters))
            for parameter in parameters if norm > max_grad_norm else ():
                parameter.grad *= max_grad_norm / norm
            optimizer.step()
            if schedule == "onecycle":
                cycle.step()
            total += loss.item()
        losses.append(total / len(loader))
    return parameters, losses


def test_the_articles_own_main_and_ours_train_to_the_weights_of_a_plain_loop(default_run):
    torch.manual_seed(42)
    np.random.seed(42)
    device = torch.device("cpu")
    train_data, test_data = rnn_sine.generate_data()
    train_loader = DataLoader(train_data, batch_size=32, shuffle=True)
    test_loader = DataLoader(test_data, batch_size=32, shuffle=False)
    model = rnn_sine.SimpleRNN(1, 64, 1, 1).to(device)
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    losses = rnn_sine.train_model(model, train_loader, criterion, optimizer, device, 5)
    predictions, actuals = rnn_sine.evaluate_model(model, test_loader, device)
    assert predictions.shape == actuals.shape == (200, 1)
    parameters, plain_losses = plain_loop()
    assert all(map(torch.equal, model.parameters(), parameters))
    assert losses == default_run[0]["losses"][:5] == pytest.approx(plain_losses, rel=1e-12)


@pytest.mark.parametrize("flags", [
    "epochs 3 seed 7", "batch_size 10", "learning_rate 0.02 schedule constant", "hidden_size 7 num_layers 3",
    "epochs 4 schedule onecycle", "max_grad_norm 0.125", "max_grad_norm 99", "noise 0.5",
    "seq_length 9 n_samples 50",
])  # fmt: skip
def test_a_flag_changes_the_training_as_it_changes_a_plain_loop(tiny, flags):
    names, values = flags.split()[::2], flags.split()[1::2]
    results, _ = tiny(*(text for n, v in zip(names, values) for text in (f"--{n.replace('_', '-')}", v)))
    small = dict(n_samples=40, hidden_size=4, seq_length=5, epochs=1, batch_size=16)
    small |= {n: v if n == "schedule" else float(v) if "." in v else int(v) for n, v in zip(names, values)}
    parameters, losses = plain_loop(**small)
    for ours, theirs in zip(results["model"].parameters(), parameters, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert results["losses"] == pytest.approx(losses, rel=1e-5)
    assert results["actuals"].size == small["n_samples"] // 5 and results["window"].size == small["seq_length"]


def test_it_learns_more_than_to_repeat_the_last_value(default_run, tiny):
    test_mse = default_run[0]["test_mse"]
    assert test_mse["persistence"] == pytest.approx(4.663e-4, rel=1e-3)
    assert 1e-9 < test_mse["RNN"] < test_mse["persistence"] / 20  # too good: it would have peeked
    article = "--n-samples 1000 --seq-length 20 --hidden-size 64 --batch-size 32".split()
    better = "--epochs 15 --schedule onecycle --learning-rate 0.01 --max-grad-norm 0.1".split()
    assert tiny(*article, *better)[0]["test_mse"]["RNN"] < test_mse["RNN"]


def train(criterion=nn.MSELoss(), epochs=1, n_batches=1):
    torch.manual_seed(0)
    model = rnn_sine.SimpleRNN(1, 8, 1, 1).eval()
    batches = [rnn_sine.generate_data(40, 5)[0].tensors] * n_batches
    optimizer = torch.optim.Adam(model.parameters())
    return model, rnn_sine.train_model(model, batches, criterion, optimizer, "cpu", epochs)


@pytest.mark.parametrize("epochs, lines", [(7, range(1, 8)), (25, [*range(3, 25, 3), 25]), (40, range(4, 41, 4))])
def test_the_history_holds_every_epoch_and_about_ten_are_printed(epochs, lines, capsys):
    losses = iter([1e-12, 2e-12, 6e-12] * epochs)
    model, history = train(lambda predictions, _: predictions.sum() * 0 + next(losses), epochs, 3)
    assert model.training and history == pytest.approx([3e-12] * epochs)
    printed = [f"Epoch [{n}/{epochs}], Loss: 3.000e-12" for n in lines]
    assert capsys.readouterr().out.splitlines() == printed


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_epoch(bad):
    losses = iter([1.0, bad])
    with pytest.raises(FloatingPointError, match=f"loss {bad} in epoch 2: try a lower learning rate"):
        train(lambda predictions, _: predictions.sum() * 0 + next(losses), 5)


def test_ctrl_c_keeps_what_has_been_learnt(capsys):
    calls = []

    def interrupted(predictions, targets):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return nn.functional.mse_loss(predictions, targets)

    (model, history), (reference, expected) = train(interrupted, 10), train(epochs=3)
    assert history == expected and "Stopped in epoch 4" in capsys.readouterr().out
    assert all(map(torch.equal, model.parameters(), reference.parameters()))


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_predictions_and_actuals_come_in_order_whatever_the_batch_size(batch_size):
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    _, test_data = rnn_sine.generate_data(200, 10)
    predictions, actuals = rnn_sine.evaluate_model(model, DataLoader(test_data, batch_size), "cpu")
    assert isinstance(predictions, np.ndarray) and predictions.dtype == np.float32
    assert np.array_equal(actuals, test_data.tensors[1].numpy())
    expected = np.array([[model(window[None]).item()] for window, _ in test_data])
    assert predictions == pytest.approx(expected, abs=1e-6)


def test_evaluation_and_forecast_switch_dropout_and_gradients_off():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(5, 1))
    seen = []
    model.register_forward_hook(lambda *_: seen.append((torch.is_grad_enabled(), model.training)))
    _, test_data = rnn_sine.generate_data(20, 5)
    rnn_sine.evaluate_model(model, DataLoader(test_data), "cpu")
    rnn_sine.forecast(model.train(), test_data.tensors[0][0], 2, "cpu")
    assert seen == [(False, False)] * 6 and torch.is_grad_enabled()


def test_the_baselines_are_the_last_value_and_the_least_squares_fit_of_numpy():
    series = np.random.default_rng(0).normal(size=300).cumsum()
    train_data, test_data = rnn_sine.make_windows(series, 4)
    windows = np.lib.stride_tricks.sliding_window_view(series, 4)[:-1]
    design = np.column_stack([windows, np.ones(len(windows))])
    weights, *_ = np.linalg.lstsq(design[: len(train_data)], series[4:][: len(train_data)], rcond=None)
    state = torch.get_rng_state()
    fitted = rnn_sine.linear_regression(train_data)
    assert torch.equal(state, torch.get_rng_state())  # no random number is drawn
    inputs, _ = test_data.tensors
    assert fitted(inputs)[:, 0].numpy() == pytest.approx((design @ weights)[len(train_data) :], abs=1e-4)
    assert torch.equal(rnn_sine.Persistence()(inputs), inputs[:, 3])


def linear_model(*weights):
    model = nn.Sequential(nn.Dropout(0.9), nn.Flatten(), nn.Linear(len(weights), 1, bias=False))
    model[2].weight.data = torch.tensor([weights], dtype=torch.float64)
    return model


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-2)])
def test_forecast_continues_a_sine_by_its_exact_rule(dtype, tolerance):
    omega = 2 * np.pi / 50
    sine = torch.sin(omega * torch.arange(220, dtype=torch.float64))[:, None]
    rule = linear_model(*[0.0] * 18, -1.0, 2 * np.cos(omega)).to(dtype)  # 2 cos(omega) x[t] - x[t-1]
    window = sine[:20].to(dtype)
    continued = rnn_sine.forecast(rule, window, 200, "cpu")
    assert continued.shape == (200, 1) and np.abs(continued - sine[20:].numpy()).max() < tolerance
    assert torch.equal(window, sine[:20].to(dtype))  # the caller's window is not written to


def test_in_the_forecast_the_oldest_value_drops_out():
    window = torch.tensor([[10.0], [20.0], [30.0]]).double()
    continued = rnn_sine.forecast(linear_model(0.1, 0.0, 1.0), window, 4, "cpu")
    assert continued[:, 0] == pytest.approx([31, 33, 36, 39.1])


def test_input_sensitivity_is_the_mean_over_windows_of_the_finite_difference():
    model, inputs, expected = rnn_sine.SimpleRNN(1, 8, 2, 1).double(), torch.randn(5, 4, 1).double(), []
    for t in range(4):
        shift = torch.zeros_like(inputs)
        shift[:, t] = 1e-6
        expected.append(((model(inputs + shift) - model(inputs - shift)) / 2e-6).abs().mean().item())
    assert rnn_sine.input_sensitivity(model, inputs, "cpu") == pytest.approx(expected, rel=1e-6)
    linear = linear_model(0.5, -2.0, 0.0, 3.0)  # its sensitivity is its weights without their sign
    assert rnn_sine.input_sensitivity(linear, inputs, "cpu") == pytest.approx([0.5, 2, 0, 3])
    assert linear[2].weight.grad is None and not inputs.requires_grad


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_trains_forecasts_and_measures_as_the_cpu_does(tiny):
    results, out = tiny("--epochs", 20)
    expected, _ = tiny("--device", "cpu", "--epochs", 20)
    assert "Device: cuda" in out and results["losses"] == pytest.approx(expected["losses"], rel=1e-2)
    for key in ("one_step", "free_run"):
        assert results[key]["RNN"] == pytest.approx(expected[key]["RNN"], abs=1e-2)
    assert results["sensitivity"] == pytest.approx(expected["sensitivity"], rel=0.05)
