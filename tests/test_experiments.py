"""The measurements, tiny, to their end; the series and the predictors, against what is known of them."""

import experiments
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import rnn_sine

FIT = rnn_sine.fit


def fit_a_little(model, train_data, test_data, epochs, **settings):
    """One epoch of one batch in place of all."""
    windows, targets = train_data.tensors
    few = TensorDataset(windows[:9], targets[:9])
    return FIT(model, few, few, 1, **settings)


@pytest.mark.parametrize("measurement", experiments.MEASUREMENTS)
def test_every_measurement_gives_finite_figures(measurement, monkeypatch):
    monkeypatch.setattr(rnn_sine, "fit", fit_a_little)
    monkeypatch.setattr(experiments, "DRAWS", 5)
    figures = experiments.merge([experiments.run(measurement, 200)])
    for rows in figures.values():
        for cells in rows.values():
            assert np.isfinite(list(cells.values())).all()


def test_pairs_are_written_whole_and_what_is_said_errs_by_a_sixth():
    generator = np.random.default_rng(1)
    series, ideal, _ = experiments.pairs(generator, 2, 60_000)  # in units of the variance, 2/9
    assert np.mean((series - ideal) ** 2) == pytest.approx(3 / 4, rel=0.03)


def test_the_table_of_counts_holds_the_means_of_what_came():
    windows = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 1]])
    targets = torch.tensor([[1.0], [2], [3], [5]])
    table = experiments.table_of_counts(TensorDataset(windows, targets))
    assert table(windows)[:, 0].tolist() == [3, 2, 3, 3]


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_longer_window_is_the_hidden_state_carried_over(kind, num_layers):
    model = rnn_sine.SimpleRNN(1, 5, num_layers, 1)
    model.rnn = kind(1, 5, num_layers, batch_first=True)
    windows = torch.randn(3, 12, 1)
    _, state = model.rnn(windows[:, :5])
    hidden_states, _ = model.rnn(windows[:, 5:], state)
    torch.testing.assert_close(model.fc(hidden_states[:, -1]), model(windows))


def test_no_seeds_are_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        experiments.main(["--seeds", "0"])
    assert "at least 1" in capsys.readouterr().err
