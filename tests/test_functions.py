"""The script's functions, against references that do not use them."""

import numpy as np
import pytest
import torch
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
    losses, _ = rnn_sine.train_model(model, train_loader, criterion, optimizer, device, 5)
    predictions, actuals = rnn_sine.evaluate_model(model, test_loader, device)
    test_loss = np.mean((predictions - actuals) ** 2)
    rnn, fc, plain_losses, _, _, _ = plain_loop(epochs=5)
    assert torch.equal(weights(model), weights(nn.Sequential(rnn, fc)))
    results, _ = default_run
    assert losses == plain_losses == results["losses"]["RNN: training"][:5]
    assert test_loss == pytest.approx(results["losses"]["RNN: test"][4], rel=1e-4)


@pytest.mark.parametrize("settings", [
    {"epochs": 3, "schedule": "onecycle", "seed": 7},
    {"batch_size": 40, "learning_rate": 0.02},
    {"hidden_size": 7, "num_layers": 3},
    {"max_grad_norm": 0.125},
    {"seq_length": 9, "noise": 0.5},
])  # fmt: skip
def test_a_flag_changes_the_training_as_it_changes_a_plain_loop(run_tiny, settings):
    flags = []
    for name, value in settings.items():
        flags += ["--" + name.replace("_", "-"), str(value)]
    results, _ = run_tiny(*flags)
    tiny = {"seq_length": 5, "epochs": 1, "hidden_size": 4, "batch_size": 100}
    tiny.update(settings)
    rnn, fc, losses, _, _, _ = plain_loop(**tiny)
    assert results["losses"]["RNN: training"] == pytest.approx(losses, rel=1e-5)
    assert torch.allclose(weights(results["model"]), weights(nn.Sequential(rnn, fc)), atol=1e-6)


class WatchedRNN(rnn_sine.SimpleRNN):
    """Notes at each call whether it is in training, as a student's dropout has to know; Ctrl-C comes at one call."""

    def forward(self, x):
        self.modes.append(self.training)
        if len(self.modes) == self.interrupted_call:
            raise KeyboardInterrupt
        return super().forward(x)


def train_watched(epochs, interrupted_call=None):
    """Each epoch has three calls: batches of 32 and 1 windows, then the test. Returns (model, losses, test losses)."""
    torch.manual_seed(0)
    model = WatchedRNN(1, 8, 1, 1)
    model.modes = []
    model.interrupted_call = interrupted_call
    train_data, test_data = rnn_sine.generate_data(42, 5)
    losses, test_losses = rnn_sine.fit(model, train_data, test_data, epochs)
    return model, losses, test_losses


def test_an_epoch_trains_then_tests_and_every_tenth_and_the_last_are_printed(capsys):
    model, losses, test_losses = train_watched(epochs=25)
    assert model.modes == [True, True, False] * 25
    out = capsys.readouterr().out
    assert out.startswith("Epoch [10/25], Loss: ")
    assert out.count("\n") == 3
    assert out.endswith(f"\nEpoch [25/25], Loss: {losses[24]:.3e}, test loss: {test_losses[24]:.3e}\n")


@pytest.mark.parametrize("call, n_losses, n_test_losses", [
    (1, 0, 0),  # in the first batch
    (3, 1, 0),  # while the test part is evaluated
    (10, 3, 3),  # in the first batch of the fourth epoch
])  # fmt: skip
def test_ctrl_c_keeps_what_has_been_learnt(call, n_losses, n_test_losses, capsys):
    model, losses, test_losses = train_watched(10, interrupted_call=call)
    assert capsys.readouterr().out == f"Stopped in epoch {n_test_losses + 1} of 10.\n"
    reference, expected, _ = train_watched(epochs=n_losses)
    assert torch.equal(weights(model), weights(reference))
    assert losses == expected
    assert len(test_losses) == n_test_losses


@pytest.mark.parametrize("place", [10, 30])  # it trains, it tests
def test_a_loss_that_is_not_finite_is_an_error(place):
    series = np.ones(31)
    series[place] = 1e30
    train_data, test_data = rnn_sine.make_windows(series, 5)
    with pytest.raises(FloatingPointError, match=r"Epoch \[1/5\].* inf.*try a lower learning rate"):
        rnn_sine.fit(rnn_sine.mlp(5, 4), train_data, test_data, epochs=5)


def test_the_errors_of_the_linear_regression_are_unrelated_to_what_it_sees():
    train_data, _ = rnn_sine.make_windows(100 + torch.randn(800).numpy())
    windows, targets = train_data.tensors
    errors = rnn_sine.linear_regression(train_data)(windows) - targets
    assert abs(errors.mean()) < 1e-4
    products = errors * (windows.squeeze() - 100)
    assert abs(products.mean(dim=0)).max() < 1e-4  # so no other weights would be better


def test_the_mlp_is_its_formula():
    network = rnn_sine.mlp(seq_length=4, hidden_size=6)
    w_1, b_1, w_2, b_2 = network.parameters()
    x = torch.randn(4)
    hidden = torch.tanh(w_1 @ x + b_1)
    assert hidden.shape == (6,)
    assert torch.allclose(network(x.reshape(1, 4, 1)), w_2 @ hidden + b_2)


class Extrapolation(nn.Module):
    """The straight line through the last two values."""

    def forward(self, x):
        assert not self.training
        return 2 * x[:, -1] - x[:, -2]


@pytest.mark.parametrize("n, steps", [(20, 20), (1100, 3)])
def test_errors_ahead_are_those_of_a_slow_loop(n, steps):
    train_data, _ = rnn_sine.make_windows(torch.rand(n + 3).numpy(), 3, train_fraction=1)
    windows, targets = train_data.tensors
    errors = rnn_sine.errors_ahead(Extrapolation(), windows, targets, steps, "cpu")
    expected = np.full((n, steps), np.nan)
    for start in range(n):
        _, before, last = windows[start]
        slope = last - before
        n_known = min(steps, n - start)
        for step in range(n_known):
            truth = targets[start + step]
            expected[start, step] = last + (step + 1) * slope - truth
    assert errors == pytest.approx(expected, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("m, rank", [(9, 9), (10, 10), (19, 18)])
def test_the_next_values_are_fed_back_and_their_band_reaches_as_far_as_the_error_of_its_rank(m, rank):
    train_data, _ = rnn_sine.make_windows(np.arange(m + 5), 4, train_fraction=1)
    windows, targets = train_data.tensors
    errors = np.full((m + 1, 2), np.nan)  # m of them two steps ahead
    errors[:m, 1] = torch.randperm(m) + 1
    errors[::2] *= -1
    values = rnn_sine.next_values(Extrapolation(), windows, targets, errors, "cpu")
    second = m + 6
    assert values[1].tolist() == [second, second - rank, second + rank]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_trains_and_forecasts_as_the_cpu_does(run_tiny):
    results, _ = run_tiny("--epochs", "20", "--ahead", "3", "--device", "cuda")
    expected, _ = run_tiny("--epochs", "20", "--ahead", "3")
    assert results["ahead"] == pytest.approx(expected["ahead"], abs=1e-2)
