"""The functions of the lesson, against references that do not use them."""

import numpy as np
import pytest
import torch
from conftest import SCRIPT
from reference import plain_loop
from torch import nn
from torch.utils.data import DataLoader

import rnn_sine


def weights(module):
    """All weights of a network, as one tensor."""
    return nn.utils.parameters_to_vector(module.parameters())


def test_one_sample_is_enough_to_train_on_and_none_is_refused():
    train_data, test_data = rnn_sine.make_windows(range(7), 5)
    assert len(train_data) == len(test_data) == 1
    with pytest.raises(ValueError, match="6 values are too few to train on windows of 5"):
        rnn_sine.make_windows(range(6), 5)


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
    losses, test_losses = rnn_sine.train_model(model, train_loader, criterion, optimizer, device, 5)
    predictions, actuals = rnn_sine.evaluate_model(model, test_loader, device)
    test_loss = np.mean((predictions - actuals) ** 2)
    hidden_layer, output_layer, plain_losses = plain_loop(epochs=5)
    assert torch.equal(weights(model), weights(nn.ModuleList([hidden_layer, output_layer])))
    results, _ = default_run
    expected_losses, expected_test_losses = results["losses"]["RNN"]
    assert losses == plain_losses == expected_losses[:5]
    assert test_losses == []
    assert test_loss == pytest.approx(expected_test_losses[4], rel=1e-4)


def test_all_of_it_in_eight_lines_trains_to_the_weights_of_the_default_run(default_run, tmp_path, monkeypatch):
    script = SCRIPT.read_text(encoding="utf-8")
    comment, _, _ = script[script.index("# from rnn_sine import") :].partition("\n\n")
    lines = [line.removeprefix("# ") for line in comment.splitlines()]
    assert len(lines) == 8
    monkeypatch.chdir(tmp_path)
    names = {}
    exec("\n".join(lines), names)
    results, _ = default_run
    assert names["losses"] == results["losses"]["RNN"][0]  # the test of the default run compares it with 1.150e-05
    assert torch.equal(weights(names["model"]), weights(results["model"]))
    errors = names["predictions"] - names["actuals"]
    assert errors[:, 0] == pytest.approx(results["errors"]["RNN"][:, 0], abs=1e-5)


@pytest.mark.parametrize("settings", [
    {"epochs": 3, "one_cycle": True, "seed": 7},
    {"batch_size": 300, "learning_rate": 0.02},  # the last batch has 200
    {"hidden_size": 7, "num_layers": 3},
    {"max_grad_norm": 0.125},
    {"seq_length": 9, "noise": 0.5},
])  # fmt: skip
def test_a_flag_changes_the_training_of_both_networks_as_it_changes_a_plain_loop(run_tiny, settings):
    flags = []
    for name, value in settings.items():
        flags.append("--" + name.replace("_", "-"))
        if value is not True:
            flags.append(str(value))
    results, _ = run_tiny(*flags)
    tiny = {"seq_length": 5, "epochs": 1, "hidden_size": 4, "batch_size": 100}
    tiny.update(settings)
    hidden_layer, output_layer, losses = plain_loop("RNN", **tiny)
    expected = weights(nn.ModuleList([hidden_layer, output_layer]))
    assert torch.allclose(weights(results["model"]), expected, atol=1e-6)
    assert results["losses"]["RNN"][0] == pytest.approx(losses, rel=1e-5)
    _, _, losses = plain_loop("MLP", **tiny)
    assert results["losses"]["MLP"][0] == pytest.approx(losses, rel=1e-5)


def train_watched(epochs, interrupted_call=None):
    """Each epoch has three calls: batches of 32 and 1 windows, then the test. Ctrl-C comes at one of the calls.

    Returns (model, losses, test losses, whether it was in training at each call, as a student's dropout has to know).
    """
    torch.manual_seed(0)
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    modes = []

    def watch(*_):
        modes.append(model.training)
        if len(modes) == interrupted_call:
            raise KeyboardInterrupt

    model.register_forward_pre_hook(watch)
    train_data, test_data = rnn_sine.generate_data(42, 5)
    losses, test_losses = rnn_sine.train_with_adam(model, train_data, test_data, epochs)
    return model, losses, test_losses, modes


def test_an_epoch_trains_then_tests_and_every_tenth_and_the_last_are_printed(capsys):
    _, losses, test_losses, modes = train_watched(epochs=25)
    assert modes == [True, True, False] * 25
    out = capsys.readouterr().out
    assert out.startswith("Epoch [10/25], Loss: ")
    assert out.count("\n") == 3
    assert out.endswith(f"\nEpoch [25/25], Loss: {losses[24]:.3e}, test loss: {test_losses[24]:.3e}\n")


@pytest.mark.parametrize("call, n_losses, n_test_losses", [
    (1, 0, 0),  # in the first batch
    (3, 1, 0),  # while the test part is evaluated
    (10, 3, 3),  # in the first batch of the fourth epoch
])  # fmt: skip
def test_ctrl_c_ends_the_training_and_keeps_what_has_been_learnt(call, n_losses, n_test_losses, capsys):
    model, losses, test_losses, _ = train_watched(10, interrupted_call=call)
    assert capsys.readouterr().out == f"Stopped in epoch {n_test_losses + 1} of 10.\n"
    reference, expected, _, _ = train_watched(epochs=n_losses)
    assert torch.equal(weights(model), weights(reference))
    assert losses == expected
    assert len(test_losses) == n_test_losses


@pytest.mark.parametrize("place", [10, 30])  # it trains, it tests
def test_a_loss_that_is_not_finite_is_an_error(place):
    series = np.ones(31)
    series[place] = 1e30
    train_data, test_data = rnn_sine.make_windows(series, 5)
    with pytest.raises(FloatingPointError, match=r"Epoch \[1/5\].* inf.*try a lower learning rate"):
        rnn_sine.train_with_adam(rnn_sine.make_mlp(5, 4), train_data, test_data, epochs=5)


def test_options_of_a_training_have_to_be_named():
    with pytest.raises(TypeError, match="positional"):
        rnn_sine.train_with_adam(nn.Identity(), [], [], 1, 32)
    with pytest.raises(TypeError, match="positional"):
        rnn_sine.train_model(nn.Identity(), [], nn.MSELoss(), None, "cpu", 1, [])


def test_the_errors_of_the_linear_regression_are_unrelated_to_what_it_sees():
    train_data, _ = rnn_sine.make_windows(100 + torch.randn(800).numpy())
    windows, targets = train_data.tensors
    errors = rnn_sine.fit_linear_regression(train_data)(windows) - targets
    assert abs(errors.mean()) < 1e-4
    products = errors * (windows.squeeze() - 100)
    assert abs(products.mean(dim=0)).max() < 1e-4  # so no other weights would be better


class Extrapolation(nn.Module):
    """The straight line through the last two values."""

    def forward(self, x):
        return 2 * x[:, -1] - x[:, -2]


def test_errors_ahead_are_those_of_a_slow_loop():
    train_data, _ = rnn_sine.make_windows(torch.rand(1005).numpy(), 3, train_fraction=1)
    windows, targets = train_data.tensors
    predictor = Extrapolation()
    sizes = []
    predictor.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    errors = rnn_sine.errors_ahead(predictor, windows, targets, 4, "cpu")
    # A thousand windows at a time, and in the end no window without a true value.
    assert sizes == [1000, 2, 1000, 1, 1000, 999]
    expected = np.full((1002, 4), np.nan)
    for start in range(1002):
        _, before, last = windows[start]
        for step in range(min(4, 1002 - start)):
            expected[start, step] = last + (step + 1) * (last - before) - targets[start + step]
    assert errors == pytest.approx(expected, abs=1e-4, nan_ok=True)


def test_a_prediction_that_is_nan_counts_as_infinitely_wrong_and_only_what_has_no_truth_is_left_out():
    windows = torch.tensor([1, torch.nan, 3]).reshape(3, 1, 1)
    targets = torch.tensor([[4.0], [5.0], [7.0]])
    errors = rnn_sine.errors_ahead(rnn_sine.Persistence(), windows, targets, 2, "cpu")
    np.testing.assert_array_equal(errors, [[-3, -4], [np.inf, np.inf], [-4, np.nan]])
    assert rnn_sine.rmse(errors).tolist() == [np.inf, np.inf]
    assert rnn_sine.rmse(errors[[0, 2]]).tolist() == [12.5**0.5, 4]
    best, _ = rnn_sine.count_wins({"not always": np.repeat(errors, 5, axis=0), "wrong": np.full((15, 2), 9.0)})
    assert best == "wrong"


def test_the_next_values_are_fed_back_and_nine_of_ten_test_errors_are_smaller_than_half_their_band():
    train_data, _ = rnn_sine.make_windows(np.arange(15), 4, train_fraction=1)  # 0 ... 14, so 15 and 16 are next
    windows, targets = train_data.tensors
    errors = np.full((11, 2), np.nan)
    errors[:, 0] = 7
    errors[:10, 1] = [1, -2, 3, -4, 5, -6, 7, -8, 9, -10]  # sizes 1 ... 10: the distance is 9.1
    values = rnn_sine.next_values(Extrapolation(), windows, targets, errors, mean=100, scale=2, device="cpu")
    assert values == pytest.approx(np.array([[130, 123, 137], [132, 122.9, 141.1]]))


def test_the_scale_is_that_of_the_values_that_train():
    series = np.arange(66.0)
    scaled, mean, scale = rnn_sine.scale_series(series, 20)
    past = series[:56]  # 36 training samples have the values 0 ... 55
    assert (mean, scale) == (past.mean(), past.std())
    assert mean + scale * scaled == pytest.approx(series)
    assert type(mean) is type(scale) is float


SINE = np.sin(np.arange(99.0))


@pytest.mark.parametrize("series, sentence", [
    (np.full(100, 0.3), "must differ"),
    (1e-40 * np.arange(100), "must differ"),
    (np.append(np.arange(99), -2e30), "none may be beyond 1e30"),
    (np.arange(65), "65 values are too few"),
    (np.arange(5), "5 values are too few"),
    (np.append(SINE, 1e10), "correct the value that lies far off"),  # it tests
    (np.append(1e10, SINE), "correct the value that lies far off"),  # it trains
    (np.append(1e-20 * SINE, 1e25), "correct the value that lies far off"),
])  # fmt: skip
def test_a_series_that_cannot_be_learnt_is_refused(series, sentence):
    with pytest.raises(ValueError, match=sentence):
        rnn_sine.scale_series(series, 20)


@pytest.mark.parametrize("series", [1e9 + SINE, np.append(1000, SINE), np.round(SINE)])
def test_a_series_far_from_zero_or_with_a_peak_or_with_equal_neighbours_is_accepted(series):
    scaled, mean, scale = rnn_sine.scale_series(series, 20)
    assert mean + scale * scaled == pytest.approx(series)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_trains_and_forecasts_as_the_cpu_does(run_tiny):
    results, _ = run_tiny("--epochs", "20", "--ahead", "3", "--device", "cuda")
    expected, _ = run_tiny("--epochs", "20", "--ahead", "3")
    assert results["ahead"] == pytest.approx(expected["ahead"], abs=1e-2)
