"""The measurements, tiny, to their end; the series and the predictors, against what is known of them."""

from functools import partial

import experiments
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import rnn_sine

TRAIN = rnn_sine.train_with_adam


def fit_a_little(model, train_data, test_data, epochs=100, **settings):
    """One epoch of one batch in place of all."""
    windows, targets = train_data.tensors
    few = TensorDataset(windows[:9], targets[:9])
    return TRAIN(model, few, few, 1, **settings)


@pytest.mark.parametrize("name", list(experiments.MEASUREMENTS))
def test_every_measurement_gives_finite_figures(name, monkeypatch):
    monkeypatch.setattr(rnn_sine, "train_with_adam", fit_a_little)
    monkeypatch.setattr(experiments, "DRAWS", 5)
    monkeypatch.setattr(experiments, "LASER", experiments.LASER[:1000])
    monkeypatch.setattr(experiments, "LASER_REST", experiments.LASER_REST[:200])
    for kind, (fit, grid) in experiments.LASER_RIVALS.items():
        first_setting = {key: values[:1] for key, values in grid.items()}
        monkeypatch.setitem(experiments.LASER_RIVALS, kind, (fit, first_setting))
    figures = experiments.merge([experiments.run(experiments.MEASUREMENTS[name], 200)])
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


def data_of(function, n=200, time=3):
    """Random windows [n, time, 1] of normal numbers, and the function of each [time] as its target."""
    windows = torch.randn(n, time, 1)
    return TensorDataset(windows, torch.stack([function(window[:, 0]) for window in windows]).view(n, 1))


def test_nearest_neighbours_say_the_mean_of_what_came_after_them():
    windows = torch.tensor([[9.0, 1], [9, 2], [9, 8]]).unsqueeze(-1)
    train = TensorDataset(windows, torch.tensor([[10.0], [20], [60]]))
    predict = experiments.nearest_neighbours(train, order=1, number=2)
    assert predict(torch.tensor([[[0.0], [1.4]], [[0], [7]]]))[:, 0].tolist() == [15, 40]


@pytest.mark.parametrize(
    ("fit", "function"),
    [
        (partial(experiments.locally_linear, order=3, number=20, penalty=1e-9), lambda x: 2 * x[0] - x[2] + 3),
        (partial(experiments.ridge, penalty=1e-6, features=experiments.products), lambda x: x[0] * x[2] - x[1] ** 2),
        (partial(experiments.kernel_ridge, width=2, penalty=1e-6), lambda x: torch.sin(x[0]) * x[2]),
        (partial(experiments.kernel_ridge, width=1, penalty=1e-6, fading=0.1), lambda x: torch.sin(x[2])),
        (experiments.joined_points, lambda x: torch.abs(x[2])),
    ],
)
def test_a_rival_finds_the_rule_that_suits_it(fit, function):
    predictor = fit(data_of(function))
    assert experiments.rmse(predictor, data_of(lambda x: function(x), n=50)) < 0.05


def test_a_value_that_fades_counts_less():
    train = data_of(lambda x: x[0])  # the oldest value alone
    plain = experiments.kernel_ridge(train, width=2, penalty=1e-4)
    fading = experiments.kernel_ridge(train, width=2, penalty=1e-4, fading=0.05)
    assert experiments.rmse(plain, train) < 0.1 < experiments.rmse(fading, train)


def test_a_bounded_predictor_stays_within_the_training_targets():
    train = data_of(lambda x: x.sum())
    predictor = experiments.bounded(experiments.autoregression, train, order=3)
    far = torch.tensor([[[90.0]] * 3, [[-90.0]] * 3])
    assert predictor(far)[:, 0].tolist() == [train.tensors[1].max(), train.tensors[1].min()]


def autoregressive_data(weights, n=400):
    """Samples, in windows of 20, of x_t = a sum of its last values plus noise."""
    generator = np.random.default_rng(3)
    series = generator.normal(size=n)
    for t in range(len(weights), n):
        series[t] += weights @ series[t - len(weights) : t][::-1]
    return rnn_sine.make_windows(series, 20, 1.0)[0]


def test_aic_and_aicc_have_their_textbook_values_and_find_the_order():
    train = autoregressive_data(np.array([0.1, 0.0, 0.8]), n=100)
    n, k = len(train), 3 + 2
    aic = n * np.log(experiments.rmse(experiments.autoregression(train, 3), train) ** 2) + 2 * k
    assert experiments.best_order(train, corrected=False) == (3, pytest.approx(aic, abs=0.001))
    assert experiments.best_order(train) == (3, pytest.approx(aic + 2 * k * (k + 1) / (n - k - 1), abs=0.001))


def test_a_threshold_autoregression_finds_two_rules():
    generator = np.random.default_rng(4)
    series = generator.normal(size=600)
    for t in range(2, 600):
        series[t] = 0.1 * series[t] + (0.9 * series[t - 1] if series[t - 2] > 0 else -0.9 * series[t - 1] + 0.5)
    train, test = rnn_sine.make_windows(series, 20)
    predictor = experiments.threshold_autoregression(train)
    assert experiments.rmse(predictor, test) < 0.2 < experiments.rmse(experiments.autoregression(train, 20), test)


def test_parts_are_won_so_many_steps_ahead():
    small, large = np.full((20, 4), 1.0), np.full((20, 4), 2.0)
    small[:, 3] = 3  # four steps ahead
    assert experiments.parts_won(small, large) == experiments.parts_won(large, small, steps=4) == 10
    assert experiments.parts_won(large, small) == experiments.parts_won(small, large, steps=4) == 0


def test_what_is_said_by_square_roots_comes_back_as_sunspots():
    for scale_name in ("raw", "square roots"):
        data = experiments.sunspot_samples(309, scale_name)
        values, came = experiments.said(rnn_sine.Persistence(), data, data.test)
        np.testing.assert_allclose(came, experiments.SUNSPOTS[-43:], atol=0.001)
        np.testing.assert_allclose(values, experiments.SUNSPOTS[-44:-1], atol=0.001)


def test_a_fitted_sine_goes_on_exactly():
    sine = 2 * np.sin(0.0417 * np.arange(900) + 1)
    np.testing.assert_allclose(experiments.fitted_sine(sine, 200), sine[-200:], atol=0.01)


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
