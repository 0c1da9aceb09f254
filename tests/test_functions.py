"""The script's functions, against references that do not use them."""

import numpy as np
import pytest
import torch
from benchmark import plain_loop
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import rnn_sine


@pytest.mark.parametrize("named, arguments", [
    ("6 values are too few to train on windows of 5", {"series": range(6), "seq_length": 5}),
    ("seq_length is at least 1", {"series": range(100), "seq_length": 0}),
    ("train_fraction lies between 0 and 1", {"series": range(100), "train_fraction": 1.0}),
    ("a series has one dimension", {"series": np.zeros((100, 1))}),
])  # fmt: skip
def test_a_bad_series_is_refused_in_a_sentence(named, arguments):
    with pytest.raises(ValueError, match=named):
        rnn_sine.make_windows(**arguments)


@pytest.mark.parametrize("row", ["{}", '"{}"', "1981-01-01,{}", '"Jan 1, 1981","{}"'])
@pytest.mark.parametrize("heading", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_a_file_is_read_as_people_have_it(tmp_path, row, heading, encoding, line_break):
    path = tmp_path / "a.csv"
    values = list(range(-5, 20))
    rows = [row.format(value) for value in values]
    if heading:
        rows.insert(0, row.format("数值"))
    path.write_text("\n".join(rows + ["", ""]), encoding=encoding, newline=line_break)
    train_data, _, mean, scale = rnn_sine.load_series(path, seq_length=1)
    inputs, _ = train_data.tensors
    read = mean + scale * inputs.flatten().numpy()
    assert read == pytest.approx(values[: len(read)], abs=1e-4)


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
    assert losses == default_run[0]["losses"][:5]
    rnn, fc, *_ = plain_loop(epochs=5)
    plain_weights = weights_of(rnn, fc)
    for ours, theirs in zip(model.parameters(), plain_weights):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("flags, settings", [
    ("--epochs 3 --seed 7", {"epochs": 3, "seed": 7}),
    ("--batch-size 10 --learning-rate 0.02", {"batch_size": 10, "learning_rate": 0.02}),
    ("--hidden-size 7 --num-layers 3", {"hidden_size": 7, "num_layers": 3}),
    ("--epochs 4 --schedule onecycle", {"epochs": 4, "schedule": "onecycle"}),
    ("--max-grad-norm 0.125", {"max_grad_norm": 0.125}),
    ("--seq-length 9 --noise 0.5", {"seq_length": 9, "noise": 0.5}),
])
def test_a_flag_changes_the_training_as_it_changes_a_plain_loop(run_tiny, flags, settings):
    results, _ = run_tiny(flags)
    tiny = {"n_samples": 40, "seq_length": 5, "epochs": 1, "hidden_size": 4, "batch_size": 16}
    tiny.update(settings)
    rnn, fc, losses, _, test_inputs, test_targets = plain_loop(**tiny)
    plain_weights = weights_of(rnn, fc)
    for ours, theirs in zip(results["model"].parameters(), plain_weights):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert results["losses"] == pytest.approx(losses, rel=1e-5)
    assert np.array_equal(results["window"], test_inputs[0])
    assert np.array_equal(results["actuals"], test_targets)


def weights_of(rnn, fc):
    return list(rnn.parameters()) + list(fc.parameters())


def train(criterion, epochs):
    """Train a small network on one batch again and again: (model, history)."""
    torch.manual_seed(0)
    model = rnn_sine.SimpleRNN(1, 8, 1, 1).eval()
    train_data, _ = rnn_sine.generate_data(40, 5)
    optimizer = torch.optim.Adam(model.parameters())
    history = rnn_sine.train_model(model, [train_data.tensors], criterion, optimizer, "cpu", epochs)
    return model, history


def test_ctrl_c_keeps_what_has_been_learnt(capsys):
    calls = []

    def interrupted(predictions, targets):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return nn.functional.mse_loss(predictions, targets)

    model, history = train(interrupted, epochs=10)
    assert "Stopped in epoch 4" in capsys.readouterr().out
    reference, expected = train(nn.MSELoss(), epochs=3)
    assert history == expected
    assert all(map(torch.equal, model.parameters(), reference.parameters()))


def test_linear_regression_is_the_least_squares_fit_of_numpy():
    inputs = torch.randn(50, 4, 1)
    targets = torch.randn(50, 1) + 3
    model = rnn_sine.linear_regression(TensorDataset(inputs, targets))
    ones = np.ones(50)
    design = np.column_stack([inputs.squeeze(-1), ones])
    solution = np.linalg.lstsq(design, targets.numpy(), rcond=None)
    weights = solution[0]
    predictions = model(inputs).detach().numpy()
    assert predictions == pytest.approx(design @ weights, abs=1e-5)


def test_the_dense_network_bends_weighted_sums_of_the_window():
    dense = rnn_sine.dense_network(seq_length=4, hidden_size=6)
    weight, bias, out_weight, out_bias = dense.parameters()
    windows = torch.randn(3, 4, 1)
    values = windows.squeeze(-1)
    sums = values @ weight.T + bias
    assert sums.shape == (3, 6)
    expected = torch.tanh(sums) @ out_weight.T + out_bias
    assert torch.allclose(dense(windows), expected)


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_a_stateful_rnn_reads_windows_in_order_as_one_sequence(layer, batch_size):
    series = torch.randn(25, 1)
    flat = series.flatten()
    _, test_data = rnn_sine.make_windows(flat, 5, train_fraction=0.05)
    model = rnn_sine.SimpleRNN(1, 8, 2, 1)
    model.rnn = layer(1, 8, 2, batch_first=True)
    states, _ = model.rnn(series[1:])  # training took the first window
    expected = model.fc(states)[4:-1].detach().numpy()
    stateful = rnn_sine.StatefulRNN(model)
    test_loader = DataLoader(test_data, batch_size)
    for _ in range(2):  # a second pass starts anew
        predictions, actuals = rnn_sine.evaluate_model(stateful, test_loader, "cpu")
        assert predictions == pytest.approx(expected, abs=1e-6)
        assert np.array_equal(actuals, series[6:])
    assert not model.training


def test_a_stateful_rnn_starts_anew_from_a_window_that_does_not_go_on():
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    series = torch.randn(40, 1)
    begin = series[0:5]
    goes_on = series[1:6]
    jump = series[3:8]
    windows = torch.stack([begin, goes_on, jump])
    predictions = rnn_sine.StatefulRNN(model)(windows)
    fresh = model(windows)
    both = model(series[0:6].unsqueeze(0))
    assert torch.allclose(predictions[0], fresh[0], atol=1e-6)
    assert torch.allclose(predictions[1], both[0], atol=1e-6)
    assert torch.allclose(predictions[2], fresh[2], atol=1e-6)


@pytest.mark.parametrize("seq_length", [1, 2])
def test_a_free_run_starts_anew_also_where_windows_are_too_short_to_tell(seq_length):
    series = torch.ones(11)
    series[6] = 0
    _, test_data = rnn_sine.make_windows(series, seq_length, train_fraction=0.2)
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    predictors = {"stateful": rnn_sine.StatefulRNN(model), "RNN": model}
    results = rnn_sine.compare(predictors, test_data, 4, "cpu")
    stateful = results["free_run"]["stateful"]
    expected = results["free_run"]["RNN"]
    assert stateful[0] == pytest.approx(expected[0], abs=1e-6)


def test_input_sensitivity_is_the_mean_over_windows_of_the_finite_difference():
    model = rnn_sine.SimpleRNN(1, 8, 2, 1).double()
    inputs = torch.randn(5, 4, 1).double()
    sensitivity = rnn_sine.input_sensitivity(model, inputs, "cpu")
    for t in range(4):
        shift = torch.zeros_like(inputs)
        shift[:, t] = 1e-6
        above = model(inputs + shift)
        below = model(inputs - shift)
        slope = (above - below).abs().mean().item() / 2e-6
        assert sensitivity[t] == pytest.approx(slope, rel=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_trains_forecasts_and_measures_as_the_cpu_does(run_tiny):
    results, out = run_tiny("--epochs 20 --device cuda")
    expected, _ = run_tiny("--epochs 20")
    assert "Device: cuda" in out
    assert results["losses"] == pytest.approx(expected["losses"], rel=1e-2)
    assert results["sensitivity"] == pytest.approx(expected["sensitivity"], rel=0.05)
