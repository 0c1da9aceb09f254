"""The script's functions, against references that do not use them."""

import numpy as np
import pytest
import torch
from reference import plain_loop
from torch import nn
from torch.utils.data import DataLoader

import rnn_sine


@pytest.mark.parametrize("named, arguments", [
    ("6 values are too few to train on windows of 5", {"series": range(6), "seq_length": 5}),
    ("seq_length must be at least 1, not 0", {"series": range(100), "seq_length": 0}),
    ("train_fraction must lie between 0 and 1, not be 1.0", {"series": range(100), "train_fraction": 1.0}),
    ("a series has one dimension, not 2", {"series": np.zeros((100, 1))}),
    ("value 3 is 1e[+]39, which is no finite", {"series": [1.0, 2.0, 1e39] * 9, "seq_length": 2}),
    ("value 2 is nan, which is no finite", {"series": [1.0, np.nan] * 9, "seq_length": 2}),
])  # fmt: skip
def test_a_bad_series_is_refused_in_a_sentence(named, arguments):
    with pytest.raises(ValueError, match=named):
        rnn_sine.make_windows(**arguments)


def test_the_articles_own_main_runs_and_trains_to_the_weights_of_a_plain_loop(default_run):
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
    assert losses == default_run[0]["losses"]["RNN, training"][:5]
    test_mse = np.mean((predictions - actuals) ** 2)
    assert test_mse == pytest.approx(default_run[0]["losses"]["RNN, test"][4], rel=1e-4)
    rnn, fc, *_ = plain_loop(epochs=5)
    for ours, theirs in zip(model.parameters(), weights_of(rnn, fc)):
        assert torch.equal(ours, theirs)


def weights_of(rnn, fc):
    return list(rnn.parameters()) + list(fc.parameters())


@pytest.mark.parametrize("settings", [
    {"epochs": 3, "seed": 7}, {"batch_size": 10, "learning_rate": 0.02}, {"hidden_size": 7, "num_layers": 3},
    {"epochs": 4, "schedule": "onecycle"}, {"max_grad_norm": 0.125}, {"seq_length": 9, "noise": 0.5},
])  # fmt: skip
def test_a_flag_changes_the_training_as_it_changes_a_plain_loop(run_tiny, settings):
    flags = []
    for name, value in settings.items():
        flags += ["--" + name.replace("_", "-"), str(value)]
    results, _ = run_tiny(*flags)
    tiny = {"n_samples": 120, "seq_length": 5, "epochs": 1, "hidden_size": 4, "batch_size": 16}
    tiny.update(settings)
    rnn, fc, losses, _, test_inputs, test_targets = plain_loop(**tiny)
    for ours, theirs in zip(results["model"].parameters(), weights_of(rnn, fc)):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert results["losses"]["RNN, training"] == pytest.approx(losses, rel=1e-5)
    assert np.array_equal(results["window"], test_inputs[0])
    assert np.array_equal(results["actuals"], test_targets)
    test_loss = nn.functional.mse_loss(results["model"](test_inputs), test_targets).item()
    assert results["losses"]["RNN, test"][-1] == pytest.approx(test_loss, rel=1e-4)


def test_one_sample_is_enough_to_train_on():
    train_data, test_data = rnn_sine.make_windows(range(7), 5)
    assert (len(train_data), len(test_data)) == (1, 1)


def test_an_array_that_is_turned_around_is_cut_too():
    train_data, _ = rnn_sine.make_windows(np.arange(30)[::-1], 2)
    assert train_data.tensors[0][0].flatten().tolist() == [29, 28]


def train_on_one_batch(criterion, epochs, after_epoch=None):
    """Train a small network on one batch again and again: (model, losses)."""
    torch.manual_seed(0)
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    train_data, _ = rnn_sine.generate_data(40, 5)
    optimizer = torch.optim.Adam(model.parameters())
    losses = rnn_sine.train_model(model, [train_data.tensors], criterion, optimizer, "cpu", epochs,
                                  after_epoch=after_epoch)
    return model, losses


def test_ctrl_c_keeps_what_has_been_learnt(capsys):
    calls = []

    def interrupted(predictions, targets):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return nn.functional.mse_loss(predictions, targets)

    model, losses = train_on_one_batch(interrupted, epochs=10)
    assert "Stopped in epoch 4 of 10" in capsys.readouterr().out
    reference, expected = train_on_one_batch(nn.MSELoss(), epochs=3)
    assert losses == expected
    assert all(map(torch.equal, model.parameters(), reference.parameters()))


@pytest.mark.parametrize("epochs, printed", [(25, 13), (5, 5), (20, 10)])
def test_a_line_is_printed_after_every_tenth_of_the_epochs_and_the_last(epochs, printed, capsys):
    train_on_one_batch(nn.MSELoss(), epochs)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == printed
    assert lines[-1].startswith(f"Epoch [{epochs}/{epochs}], Loss: ")


def test_a_line_is_printed_when_ten_seconds_have_passed(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(rnn_sine.time, "monotonic", lambda: clock[0])

    def four_seconds_pass():
        clock[0] += 4

    train_on_one_batch(nn.MSELoss(), 100, four_seconds_pass)
    epochs = [int(line.split("[")[1].split("/")[0]) for line in capsys.readouterr().out.splitlines()]
    assert epochs[:6] == [3, 6, 9, 10, 13, 16]


def test_fit_measures_the_test_loss_without_switching_a_students_dropout_off():
    class WithDropout(rnn_sine.SimpleRNN):
        def forward(self, x):
            modes.append((len(x), self.training))
            return super().forward(x)

    modes = []
    train_data, test_data = rnn_sine.generate_data(40, 5)
    losses, test_losses = rnn_sine.fit(WithDropout(1, 4, 1, 1), train_data, test_data, 2, batch_size=32)
    assert modes == [(32, True), (8, False)] * 2
    assert len(losses) == len(test_losses) == 2


def test_a_training_stopped_early_keeps_the_learning_rates_that_were_planned(monkeypatch):
    train_data, test_data = rnn_sine.generate_data(40, 5)
    steps = []
    monkeypatch.setattr(rnn_sine, "OneCycleLR", lambda optimizer, total_steps, **_: steps.append(total_steps))
    for planned_epochs in (None, 30):
        rnn_sine.fit(rnn_sine.mlp(5, 4), train_data, test_data, 3, batch_size=16, schedule="onecycle",
                     planned_epochs=planned_epochs)
    assert steps == [3 * 2, 30 * 2]


def test_linear_regression_is_the_least_squares_fit_of_numpy():
    steps = np.random.default_rng(0).normal(size=800)
    smooth = np.cumsum(np.cumsum(steps))  # neighbours are nearly equal: 32 bits would not do
    train_data, test_data = rnn_sine.make_windows((smooth - smooth.mean()) / smooth.std())
    windows, targets = train_data.tensors
    design = np.column_stack([windows.squeeze(-1), np.ones(len(windows))]).astype(np.float64)
    weights = np.linalg.lstsq(design, targets.double().numpy(), rcond=None)[0]
    windows, targets = test_data.tensors
    design = np.column_stack([windows.squeeze(-1), np.ones(len(windows))])
    expected = np.mean((design @ weights - targets.numpy()) ** 2)
    predictions = rnn_sine.linear_regression(train_data)(windows).detach().numpy()
    assert np.mean((predictions - targets.numpy()) ** 2) == pytest.approx(expected, rel=0.02)


def test_the_mlp_is_its_formula():
    network = rnn_sine.mlp(seq_length=4, hidden_size=6)
    w_1, b_1, w_2, b_2 = network.parameters()
    windows = torch.randn(3, 4, 1)
    hidden = torch.tanh(windows.squeeze(-1) @ w_1.T + b_1)
    assert hidden.shape == (3, 6)
    assert torch.allclose(network(windows), hidden @ w_2.T + b_2)


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_long_window_is_the_hidden_state_carried_over(layer, num_layers):
    series = torch.randn(40)
    train_data, test_data = rnn_sine.make_windows(series, 5)
    model = rnn_sine.SimpleRNN(1, 8, num_layers, 1)
    model.rnn = layer(1, 8, num_layers, batch_first=True)
    windows = rnn_sine.long_windows(train_data, test_data, 25)
    assert windows.shape == (len(test_data), 25, 1)
    state = None
    for start in range(0, 25, 5):  # five windows of 5, the state handed from each to the next
        outputs, state = model.rnn(windows[:, start : start + 5], state)
    assert torch.allclose(model(windows), model.fc(outputs[:, -1]), atol=1e-6)


@pytest.mark.parametrize("seq_length, length", [(1, 1), (7, 7), (33, 33), (34, 33), (900, 33)])
def test_long_windows_are_the_values_before_each_target(seq_length, length):
    train_data, test_data = rnn_sine.make_windows(np.arange(40), 5)  # 7 targets: 33 to 39
    windows = rnn_sine.long_windows(train_data, test_data, seq_length)
    expected = [list(range(target - length, target)) for target in range(33, 40)]
    assert windows.squeeze(-1).tolist() == expected


class Nonlinear(nn.Module):
    """A predictor that is neither linear nor equal for all windows."""

    def forward(self, x):
        return torch.sin(x[:, -1]) - 0.3 * x[:, 0]


@pytest.mark.parametrize("n, steps, m", [(20, 4, 17), (20, 20, 1), (500, 8, 200)])
def test_errors_ahead_are_those_of_a_slow_loop(n, steps, m):
    series = torch.rand(n + 3)
    windows = series[:-1].unfold(0, 3, 1).unsqueeze(-1)
    targets = series[3:].unsqueeze(-1)
    results = rnn_sine.compare({"nonlinear": (Nonlinear(), windows)}, targets, steps, 7, "cpu")
    assert results["errors"]["nonlinear"].shape == (m, steps)
    starts = [int(i * (n - steps) / max(1, m - 1)) for i in range(m)]
    for errors, start in zip(results["errors"]["nonlinear"], starts):
        window = series[start : start + 3].tolist()
        for step in range(steps):
            value = np.sin(window[-1]) - 0.3 * window[0]
            assert errors[step] == pytest.approx(value - series[start + 3 + step].item(), abs=1e-5)
            window = window[1:] + [value]
    assert np.array_equal(results["one_step"]["nonlinear"], Nonlinear()(windows).numpy())
    expected = nn.functional.mse_loss(Nonlinear()(windows), targets).item()
    assert results["test_mse"]["nonlinear"] == pytest.approx(expected, rel=1e-5)


def results_of(*rows):
    """Results of predictors whose errors one step ahead are the rows, named "0", "1", ..."""
    results = {"actuals": np.zeros((len(rows[0]), 1)), "one_step": {}, "test_mse": {}}
    for number, row in enumerate(rows):
        results["one_step"][str(number)] = np.reshape(row, (-1, 1))
        results["test_mse"][str(number)] = np.mean(np.square(row))
    return results


def test_standard_errors_behind_by_hand():
    # Ten stretches of two values; the squared errors differ by 1, 2, ..., 10 in their means.
    differences = np.repeat(np.arange(1, 11), 2) + np.tile([-0.5, 0.5], 10)
    behind = rnn_sine.standard_errors_behind(results_of(np.sqrt(differences), np.zeros(20)))
    # mean 5.5, variance 82.5 / 9, standard error sqrt(82.5 / 90)
    assert behind == {"0": pytest.approx(5.5 / np.sqrt(82.5 / 90)), "1": 0}


def test_standard_errors_behind_where_nothing_varies_or_too_few_values_are_there():
    equal = rnn_sine.standard_errors_behind(results_of(np.ones(20), np.ones(20), 2 * np.ones(20)))
    assert equal == {"0": 0, "1": 0, "2": np.inf}
    few = rnn_sine.standard_errors_behind(results_of(np.ones(19), np.zeros(19)))
    assert np.isnan(list(few.values())).all()


def test_a_constant_test_part_divides_nothing_by_0():
    windows = torch.ones(30, 3, 1)
    predictors = {"persistence": (rnn_sine.Persistence(), windows), "the same": (rnn_sine.Persistence(), windows)}
    results = rnn_sine.compare(predictors, torch.ones(30, 1), 4, 32, "cpu")
    assert rnn_sine.standard_errors_behind(results) == {"persistence": 0, "the same": 0}


class Shifted(nn.Module):
    """Persistence with a constant error."""

    def forward(self, x):
        return x[:, -1] + 1


@pytest.mark.parametrize("m, rank, share", [(9, 1, 0.8), (19, 1, 0.9), (38, 1, 37 / 39), (39, 2, 0.9), (99, 5, 0.9)])
def test_the_band_is_made_of_the_errors_in_order(m, rank, share):
    targets = torch.randn(m, 1)
    windows = torch.cat([torch.zeros(1, 1), targets[:-1]]).unsqueeze(-1)
    predictors = {"shifted": (Shifted(), windows + 100), "persistence": (rnn_sine.Persistence(), windows)}
    values, name, held = rnn_sine.next_values(predictors, targets, 1, "cpu")
    errors = sorted((windows.squeeze(-1) - targets).flatten().tolist())
    last = targets[-1].item()
    assert name == "persistence"
    assert held == pytest.approx(share)
    assert values[0] == pytest.approx([last, last - errors[-rank], last - errors[rank - 1]], abs=1e-6)


def test_eight_errors_are_too_few_for_a_band():
    targets = torch.randn(9, 1)
    windows = torch.randn(9, 4, 1)
    values, _, _ = rnn_sine.next_values({"only": (rnn_sine.Persistence(), windows)}, targets, 2, "cpu")
    assert values[:, 0].tolist() == pytest.approx([targets[-1].item()] * 2)
    assert np.isnan(values[:, 1:]).all()


def test_the_next_values_follow_the_last_value_and_are_fed_back():
    line = torch.arange(60.0)
    train_data, test_data = rnn_sine.make_windows(line / 60, 4)
    windows, targets = test_data.tensors
    longer = rnn_sine.long_windows(train_data, test_data, 8)
    predictors = {"last": (rnn_sine.Persistence(), windows), "extrapolation": (Extrapolation(), longer)}
    values, name, _ = rnn_sine.next_values(predictors, targets, 3, "cpu")
    assert name == "extrapolation"
    assert values[:, 0] * 60 == pytest.approx([60, 61, 62], abs=1e-3)


class Extrapolation(nn.Module):
    """The straight line through the last two values."""

    def forward(self, x):
        return 2 * x[:, -1] - x[:, -2]


class Zero(nn.Module):
    """The mean of values around 0."""

    def forward(self, x):
        return 0 * x[:, -1]


def test_the_band_holds_in_nine_of_ten_cases_where_errors_are_independent():
    held = []
    for noise in torch.randn(1000, 40):  # 39 errors, then the value that is to come
        targets = noise[:39].unsqueeze(-1)
        values, _, share = rnn_sine.next_values({"mean": (Zero(), torch.zeros(39, 1, 1))}, targets, 1, "cpu")
        held.append(values[0, 1] <= noise[39].item() <= values[0, 2])
    assert share == pytest.approx(0.9)
    assert np.mean(held) == pytest.approx(0.9, abs=0.03)  # three standard errors


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_trains_and_forecasts_as_the_cpu_does(run_tiny):
    results, out = run_tiny("--epochs", "20", "--device", "cuda", "--ahead", "3")
    expected, _ = run_tiny("--epochs", "20", "--ahead", "3")
    assert "Device: cuda" in out
    assert results["losses"]["RNN, test"] == pytest.approx(expected["losses"]["RNN, test"], rel=1e-2)
    assert results["errors"]["RNN"] == pytest.approx(expected["errors"]["RNN"], abs=1e-2)
    assert results["ahead"] == pytest.approx(expected["ahead"], abs=1e-2)
