"""Start here: what the program is about, one short test for each of its parts.

    python -m pytest tests/test_smoke.py
"""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import rnn_sine


def test_a_series_is_cut_into_windows_and_split_in_time():
    train_data, test_data = rnn_sine.make_windows([1, 2, 3, 4, 5, 6], seq_length=2, train_fraction=0.75)
    windows, targets = train_data.tensors
    assert windows.flatten(1).tolist() == [[1, 2], [2, 3], [3, 4]]
    assert targets.flatten().tolist() == [3, 4, 5]
    windows, targets = test_data.tensors
    assert windows.flatten(1).tolist() == [[4, 5]]
    assert targets.flatten().tolist() == [6]


def test_the_network_maps_each_of_the_800_training_windows_to_one_value():
    train_data, test_data = rnn_sine.generate_data()
    windows, targets = train_data.tensors
    assert windows.shape == (800, 20, 1)
    assert len(test_data) == 200
    model = rnn_sine.SimpleRNN(input_size=1, hidden_size=64, num_layers=1, output_size=1)
    assert model(windows).shape == targets.shape == (800, 1)


def test_training_lowers_the_loss_and_the_network_beats_persistence():
    train_data, test_data = rnn_sine.generate_data()
    train_loader = DataLoader(train_data, batch_size=32, shuffle=True)
    model = rnn_sine.SimpleRNN(1, 64, 1, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    losses = rnn_sine.train_model(model, train_loader, nn.MSELoss(), optimizer, "cpu", epochs=10)
    assert losses[-1] < losses[0] / 100
    predictors = {"persistence": rnn_sine.Persistence(), "RNN": model}
    results = rnn_sine.compare(predictors, test_data, batch_size=32, device="cpu")
    assert results["test_mse"]["RNN"] < results["test_mse"]["persistence"]


def test_linear_regression_is_exact_on_the_sine_even_on_its_own_output():
    train_data, test_data = rnn_sine.generate_data()
    predictors = {"linear regression": rnn_sine.linear_regression(train_data)}
    results = rnn_sine.compare(predictors, test_data, batch_size=32, device="cpu")
    errors = results["free_run"]["linear regression"] - results["actuals"]
    assert results["test_mse"]["linear regression"] < 1e-12
    assert abs(errors).max() < 1e-4  # after 200 steps


def test_a_stateful_rnn_on_many_windows_equals_the_rnn_on_one_long_window():
    series = torch.randn(30, 1)
    windows = torch.stack([series[start : start + 5] for start in range(26)])
    one_long_window = series.unsqueeze(0)
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    stateful = rnn_sine.StatefulRNN(model)
    last_prediction = stateful(windows)[-1]
    assert torch.allclose(last_prediction, model(one_long_window)[0], atol=1e-6)


def test_the_program_prints_the_ladder_and_saves_a_picture(tmp_path, capsys):
    picture = tmp_path / "picture.png"
    rnn_sine.main(["--epochs", "2", "--n-samples", "100", "--no-show", "--output", str(picture)])
    out = capsys.readouterr().out
    for name in ("persistence", "linear regression", "dense network", "RNN", "stateful RNN"):
        assert f"\n{name} " in out
    assert "Best one step ahead in this run: " in out
    assert picture.exists()


def test_bad_input_ends_in_a_sentence_before_any_training(tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text("year,value\n1700,5\n1701,eleven\n")
    with pytest.raises(SystemExit):
        rnn_sine.main(["--series", str(path)])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("rnn_sine.py: error: row 3 ends in 'eleven', which is not a finite number\n")
