"""Start here: what the program is about, one short test for each of its parts.

    python -m pytest tests/test_smoke.py
"""

import numpy as np
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
    test_loader = DataLoader(test_data, batch_size=32)
    model = rnn_sine.SimpleRNN(1, 64, 1, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    losses = rnn_sine.train_model(model, train_loader, nn.MSELoss(), optimizer, "cpu", epochs=10)
    assert losses[-1] < losses[0] / 100
    predictions, actuals = rnn_sine.evaluate_model(model, test_loader, "cpu")
    last_values, _ = rnn_sine.evaluate_model(rnn_sine.Persistence(), test_loader, "cpu")
    assert np.mean((predictions - actuals) ** 2) < np.mean((last_values - actuals) ** 2)


def test_linear_regression_is_exact_on_the_sine_even_200_steps_ahead():
    train_data, test_data = rnn_sine.generate_data()
    windows, targets = test_data.tensors
    model = rnn_sine.linear_regression(train_data)
    predictions = rnn_sine.forecast(model, windows[:1], steps=200, device="cpu")
    assert predictions.shape == (1, 200)
    assert abs(predictions[0] - targets[:, 0].numpy()).max() < 1e-4


def test_many_steps_ahead_each_prediction_becomes_the_newest_value_of_its_window():
    class SumOfTheWindow(nn.Module):
        def forward(self, x):
            return x.sum(dim=1)

    windows = torch.tensor([[1.0, 2.0], [0.0, 5.0]]).unsqueeze(-1)
    predictions = rnn_sine.forecast(SumOfTheWindow(), windows, steps=3, device="cpu")
    assert predictions.tolist() == [[3, 5, 8], [5, 10, 15]]  # 1 + 2, 2 + 3, 3 + 5


def test_reading_one_long_window_is_carrying_the_hidden_state_over():
    train_data, test_data = rnn_sine.generate_data(n_samples=50, seq_length=5)
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    windows = rnn_sine.long_windows(train_data, test_data, seq_length=30)
    state = torch.zeros(1, 1, 8)
    for time_step in range(30):
        _, state = model.rnn(windows[:1, time_step : time_step + 1], state)
    assert torch.allclose(model.fc(state[-1]), model(windows[:1]), atol=1e-6)


def test_the_program_prints_a_table_and_saves_a_picture(tmp_path, capsys):
    picture = tmp_path / "picture.png"
    rnn_sine.main(["--epochs", "2", "--n-samples", "100", "--no-show", "--output", str(picture)])
    out = capsys.readouterr().out
    for name in ("persistence", "linear regression", "MLP", "RNN", "RNN, long window"):
        assert f"\n{name} " in out
    assert "\nBest one step ahead: linear regression. " in out
    assert picture.exists()


def test_the_next_values_of_your_own_file_come_with_a_band(tmp_path, capsys):
    path = tmp_path / "temperature.csv"
    rows = [f"day {day},{20 + 5 * np.sin(day / 4):.6f}" for day in range(300)]
    path.write_text("\n".join(["day,degrees"] + rows))
    results = rnn_sine.main(["--series", str(path), "--column", "degrees", "--ahead", "2", "--epochs", "1",
                             "--no-show", "--output", str(tmp_path / "a.png")])
    out = capsys.readouterr().out
    assert "Series: column 2 of 2 'degrees', 300 values, from 20.000000 (row 2, 'day 0') to " in out
    prediction, low, high = results["ahead"][0]
    assert prediction == pytest.approx(20 + 5 * np.sin(300 / 4), abs=0.01)
    assert low <= prediction <= high


def test_bad_input_ends_in_a_sentence_before_any_training(tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text("year,value\n1700,5\n1701,eleven\n1702,16\n")
    with pytest.raises(SystemExit):
        rnn_sine.main(["--series", str(path)])
    out, err = capsys.readouterr()
    assert out == ""
    assert "rnn_sine.py: error: column 2 of 2 'value': row 3 has 'eleven', which is no number" in err
