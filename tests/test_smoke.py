"""Start here: what the program is about, one short test for each of its parts.

    python -m pytest tests/test_smoke.py
"""

import numpy as np
import pytest
import torch
from torch import nn

import rnn_sine


def test_a_series_is_cut_into_windows_and_split_in_time():
    train_data, test_data = rnn_sine.make_windows([1, 2, 3, 4, 5, 6], seq_length=2, train_fraction=0.75)
    windows, targets = train_data.tensors
    assert windows.squeeze().tolist() == [[1, 2], [2, 3], [3, 4]]
    assert targets.squeeze().tolist() == [3, 4, 5]
    windows, targets = test_data.tensors
    assert windows.squeeze().tolist() == [4, 5]
    assert targets.item() == 6


def test_the_network_maps_each_of_the_800_training_windows_to_one_value():
    train_data, test_data = rnn_sine.generate_data()
    windows, targets = train_data.tensors
    assert windows.shape == (800, 20, 1)
    assert len(test_data) == 200
    model = rnn_sine.SimpleRNN(input_size=1, hidden_size=64, num_layers=1, output_size=1)
    assert model(windows).shape == targets.shape == (800, 1)


def test_the_loop_over_time_written_by_hand_is_what_nn_rnn_computes():
    model = rnn_sine.SimpleRNN(input_size=1, hidden_size=64, num_layers=1, output_size=1)
    windows = torch.randn(32, 20, 1)
    predictions = rnn_sine.predict_by_hand(model, windows)
    assert predictions.shape == (32, 1)
    torch.testing.assert_close(predictions, model(windows))


def test_training_lowers_the_loss_and_the_network_beats_persistence():
    train_data, test_data = rnn_sine.generate_data()
    model = rnn_sine.SimpleRNN(1, 64, 1, 1)
    losses, test_losses = rnn_sine.train_with_adam(model, train_data, test_data, epochs=10)
    assert losses[9] < losses[0] / 100
    windows, targets = test_data.tensors
    last_values = rnn_sine.Persistence()(windows)
    assert test_losses[9] < nn.functional.mse_loss(last_values, targets)


def test_linear_regression_is_exact_on_the_sine_even_200_steps_ahead():
    train_data, test_data = rnn_sine.generate_data()
    windows, targets = test_data.tensors
    model = rnn_sine.fit_linear_regression(train_data)
    predictions = rnn_sine.forecast(model, windows[:1], steps=200, device="cpu")
    assert predictions == pytest.approx(targets.numpy().T, abs=1e-4)


class SumOfTheWindow(nn.Module):
    """Every predictor is a module from windows [batch, time, 1] to the next values [batch, 1]."""

    def forward(self, x):
        return x.sum(dim=1)


def test_many_steps_ahead_each_prediction_becomes_the_newest_value_of_its_window():
    window = torch.tensor([1.0, 2.0]).reshape(1, 2, 1)
    predictions = rnn_sine.forecast(SumOfTheWindow(), window, steps=3, device="cpu")
    assert predictions.tolist() == [[3, 5, 8]]  # 1 + 2, 2 + 3, 3 + 5


def test_the_best_predictor_is_named_and_in_how_many_of_ten_parts_it_beats_the_others():
    late, exact = np.zeros((25, 2)), np.zeros((25, 2))
    late[15:, 0] = 1  # 25 values make five parts of three, without errors, and five of two
    exact[:, 1] = 9  # what is further ahead does not count
    best, wins = rnn_sine.count_wins({"late": late, "exact": exact})
    assert best == "exact"
    assert wins == {"late": 5}  # nobody wins the first five parts


def test_the_program_prints_a_table_and_saves_a_picture(run_tiny, tmp_path):
    _, out = run_tiny("--output", "picture.png")
    for name in ("persistence", "linear regression", "MLP", "RNN"):
        assert f"\n{name} " in out
    assert "\nOne step ahead, linear regression errs least. In ten parts of the test it beats\npersistence in " in out
    assert (tmp_path / "picture.png").exists()


def test_the_next_values_of_your_own_file_come_with_a_band(run_tiny, tmp_path):
    degrees = 20 + 5 * np.sin(np.arange(301) / 4)
    rows = [f"day {day},{degrees[day]:.6f}" for day in range(300)]
    (tmp_path / "temperature.csv").write_text("day,degrees\n" + "\n".join(rows))
    results, out = run_tiny("--series", "temperature.csv", "--ahead", "2")
    assert "Series: column 2 of 2, 300 values, smallest 15" in out
    prediction, low, high = results["ahead"][0]
    assert prediction == pytest.approx(degrees[300], abs=0.01)
    assert low <= prediction <= high


def test_bad_input_ends_in_a_sentence_before_any_training(tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text("year,value\n1700,5\n1701,eleven\n1702,16\n")
    with pytest.raises(SystemExit, match="2"):
        rnn_sine.main(["--series", str(path)])
    out, err = capsys.readouterr()
    assert out == ""
    assert "rnn_sine.py: error: column 2 of 2 has no number in line 3: 1701,eleven" in err
