import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import rnn_sine

CPU = torch.device("cpu")


def plain_loop(device, epochs, hidden_size=64):
    """Train as a tutorial does, without a line of the script: (parameters, mean loss of every epoch)."""
    torch.manual_seed(42)
    y = np.sin(np.linspace(0, 10 * np.pi, 1020))
    inputs = torch.tensor(np.array([y[i : i + 20] for i in range(800)]), dtype=torch.float32).unsqueeze(-1)
    targets = torch.tensor(y[20:820], dtype=torch.float32).unsqueeze(-1)
    loader = DataLoader(torch.utils.data.TensorDataset(inputs, targets), batch_size=32, shuffle=True)
    rnn, fc = nn.RNN(1, hidden_size, 1, batch_first=True), nn.Linear(hidden_size, 1)
    rnn.to(device), fc.to(device)
    parameters = [*rnn.parameters(), *fc.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    criterion = nn.MSELoss()
    losses = []
    for _ in range(epochs):
        total = 0
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            output, _ = rnn(x, torch.zeros(1, len(x), hidden_size, device=device))
            loss = criterion(fc(output[:, -1, :]), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total / len(loader))
    return parameters, losses


def assert_same_weights(model, parameters):
    for ours, theirs in zip(model.parameters(), parameters, strict=True):
        assert torch.equal(ours.cpu(), theirs.cpu())


def new_training(learning_rate=1e-3, hidden_size=8, dtype=torch.float32):
    torch.manual_seed(0)
    model = rnn_sine.SimpleRNN(1, hidden_size, 1, 1).to(dtype)
    return model, nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=learning_rate)


def one_batch(dtype=torch.float32):
    return [tuple(tensor.to(dtype) for tensor in rnn_sine.generate_data(40, 5)[0].tensors)]


def test_the_default_run_trains_to_the_weights_of_a_plain_loop_bit_for_bit(default_run):
    parameters, losses = plain_loop(CPU, epochs=100)
    assert_same_weights(default_run[0]["model"], parameters)
    assert default_run[0]["losses"] == pytest.approx(losses, rel=1e-12)


def test_the_articles_own_main_works_unchanged():
    torch.manual_seed(42)
    np.random.seed(42)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_data, test_data = rnn_sine.generate_data(1000, 20)
    train_loader = DataLoader(train_data, batch_size=32, shuffle=True)
    test_loader = DataLoader(test_data, batch_size=32, shuffle=False)
    model = rnn_sine.SimpleRNN(1, 64, 1, 1).to(device)
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    rnn_sine.train_model(model, train_loader, criterion, optimizer, device, 3)
    predictions, actuals = rnn_sine.evaluate_model(model, test_loader, device)
    assert predictions.shape == actuals.shape == (200, 1)
    assert_same_weights(model, plain_loop(device, epochs=3)[0])


def test_it_learns_more_than_to_repeat_the_last_value(default_run):
    results = default_run[0]
    test_mse = results["test_mse"]
    assert test_mse["persistence"] == pytest.approx(4.663e-4, rel=1e-3)
    assert 1e-9 < test_mse["RNN"] < test_mse["persistence"] / 20  # too good is a failure too: it would have peeked
    assert results["losses"][-1] < results["losses"][0] / 1000


def test_one_cycle_with_clipping_beats_the_article_in_15_epochs_and_a_ruler_in_100(quick, default_run):
    flags = ["--schedule", "onecycle", "--learning-rate", 0.01, "--max-grad-norm", 0.1]
    article = ["--n-samples", 1000, "--hidden-size", 64]
    short, _ = quick(*article, *flags, "--epochs", 15)
    assert short["test_mse"]["RNN"] < default_run[0]["test_mse"]["RNN"]
    full, _ = quick(*article, *flags, "--epochs", 100)
    inputs = rnn_sine.generate_data()[1].tensors[0].double().numpy()
    ruler = rnn_sine.mean_squared_error(2 * inputs[:, -1] - inputs[:, -2], full["actuals"])
    assert ruler == pytest.approx(4.602e-7, rel=1e-2)
    assert full["test_mse"]["RNN"] < ruler
    assert full["largest_error"]["RNN"][-1] < default_run[0]["largest_error"]["RNN"][-1] / 2


def test_with_noise_the_error_lies_between_the_noise_floor_and_persistence(quick):
    results, out = quick("--n-samples", 1000, "--hidden-size", 64, "--noise", 0.1, "--epochs", 30)
    assert 0.8 * 0.1**2 < results["test_mse"]["RNN"] < results["test_mse"]["persistence"]
    assert "noise floor        1.000e-02" in out


def test_the_scheduler_steps_once_a_batch():
    model, criterion, optimizer = new_training(learning_rate=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    rnn_sine.train_model(model, one_batch() * 3, criterion, optimizer, CPU, 2, scheduler)
    assert optimizer.param_groups[0]["lr"] == 0.5**6


@pytest.mark.parametrize("max_grad_norm, moved", [(None, 4.0), (0.5, 0.5), (100.0, 4.0)])
def test_a_longer_gradient_is_shortened_to_max_grad_norm(max_grad_norm, moved):
    model, _, _ = new_training()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = model.fc.bias.item()
    # The loss is 4 b, so that its gradient has the length 4.
    rnn_sine.train_model(
        model, one_batch(), lambda p, t: 4 * model.fc.bias.sum(), optimizer, CPU, 1, max_grad_norm=max_grad_norm
    )
    assert before - model.fc.bias.item() == pytest.approx(moved, rel=1e-4)


@pytest.mark.parametrize("epochs, lines", [(1, [1]), (7, range(1, 8)), (100, range(10, 101, 10)), (25, None)])
def test_about_ten_progress_lines(epochs, lines, capsys):
    model, criterion, optimizer = new_training()
    rnn_sine.train_model(model, one_batch(), criterion, optimizer, CPU, epochs)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == min(epochs, 10)
    assert printed[-1].startswith(f"Epoch [{epochs}/{epochs}], Loss: ")
    if lines:
        assert [line.split(",")[0] for line in printed] == [f"Epoch [{n}/{epochs}]" for n in lines]


def test_a_tiny_loss_stays_readable(capsys):
    model, _, optimizer = new_training(dtype=torch.float64)
    rnn_sine.train_model(model, one_batch(torch.float64), lambda p, t: p.sum() * 0 + 1.2346e-12, optimizer, CPU, 1)
    assert capsys.readouterr().out == "Epoch [1/1], Loss: 1.235e-12\n"


def test_the_history_is_the_mean_of_the_batch_losses():
    model, _, optimizer = new_training()
    losses = iter([1.0, 2.0, 6.0, 4.0, 4.0, 4.0])
    batches = one_batch() * 3
    history = rnn_sine.train_model(model, batches, lambda p, t: p.sum() * 0 + next(losses), optimizer, CPU, 2)
    assert history == [3.0, 4.0]


def test_training_works_in_float64():
    model, criterion, optimizer = new_training(learning_rate=0.01, dtype=torch.float64)
    losses = rnn_sine.train_model(model, one_batch(torch.float64), criterion, optimizer, CPU, 50)
    assert losses[-1] < losses[0] / 5


def test_training_puts_the_model_into_training_mode():
    model, criterion, optimizer = new_training()
    model.eval()
    rnn_sine.train_model(model, one_batch(), criterion, optimizer, CPU, 1)
    assert model.training


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_epoch_and_what_to_try(bad):
    model, _, optimizer = new_training()
    losses = iter([1.0, bad])
    with pytest.raises(FloatingPointError, match=f"the loss is {bad} in epoch 2; try a smaller learning rate"):
        rnn_sine.train_model(model, one_batch(), lambda p, t: p.sum() * 0 + next(losses), optimizer, CPU, 5)


def test_a_loader_without_batches_is_refused():
    model, criterion, optimizer = new_training()
    with pytest.raises(ValueError, match="no batch in epoch 2"):
        rnn_sine.train_model(model, iter(one_batch()), criterion, optimizer, CPU, 2)


def test_ctrl_c_keeps_what_has_been_learnt(capsys):
    class Interrupted(list):
        epoch = 0

        def __iter__(self):
            self.epoch += 1
            if self.epoch == 4:
                raise KeyboardInterrupt
            return super().__iter__()

    model, criterion, optimizer = new_training()
    losses = rnn_sine.train_model(model, Interrupted(one_batch()), criterion, optimizer, CPU, 10)
    reference, criterion, optimizer = new_training()
    assert losses == rnn_sine.train_model(reference, one_batch(), criterion, optimizer, CPU, 3)
    assert_same_weights(model, reference.parameters())
    assert "Stopped by Ctrl-C in epoch 4" in capsys.readouterr().out


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_trains_as_a_plain_loop_does_and_beats_persistence(quick):
    results, out = quick("--device", "cuda", "--epochs", 20, "--n-samples", 1000, "--hidden-size", 64)
    assert "Device: cuda" in out
    _, losses = plain_loop(torch.device("cuda"), epochs=20)
    assert results["losses"] == pytest.approx(losses, rel=1e-2)
    assert results["test_mse"]["RNN"] < results["test_mse"]["persistence"]
