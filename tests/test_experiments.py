"""The measurements, tiny, to their end; the predictors, and the reasons behind the results, against known answers."""

import json
from functools import partial

import experiments
import numpy as np
import pytest
import torch
from pictures import draw_all
from torch import nn
from torch.utils.data import TensorDataset

import rnn_sine
from rnn_sine import train_with_adam


def fit_a_little(model, train_data, test_data, epochs=100, **settings):
    """One epoch of one batch in place of all."""
    windows, targets = train_data.tensors
    few = TensorDataset(windows[:9], targets[:9])
    return train_with_adam(model, few, few, 1, **settings)


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


@pytest.mark.parametrize(
    ("make", "window", "kind", "expected"),
    [
        (experiments.pairs, 2, "linear regression", np.sqrt(6 / 5)),
        (experiments.pairs, 20, "table of counts", 1),
        (experiments.season, 24, "last period, one fitted factor", 1),
        (experiments.clean_sine, 20, "linear regression, two values", 0),
        (experiments.logistic_map, 2, "linear regression with squares", 0),
    ],
)
def test_rules_err_as_pencil_and_paper_say(make, window, kind, expected):
    ratio = experiments.measure_setting(make, window, kind, setting={}, seed=0)
    assert ratio == pytest.approx(expected, abs=0.01)


def square_of_the_last():
    """200 random windows of three numbers between -1 and 1; the target is the square of the last one."""
    windows = 2 * torch.rand(200, 3, 1) - 1
    return TensorDataset(windows, windows[:, -1] ** 2)


@pytest.mark.parametrize(
    "fit",
    [
        partial(experiments.nearest_neighbours, order=1, number=2),
        partial(experiments.locally_linear, order=1, number=10),
        partial(experiments.ridge, penalty=1e-6, features=experiments.products),
        partial(experiments.kernel_ridge, width=1, penalty=1e-6),
        partial(experiments.kernel_ridge, width=0.05, penalty=1e-6, fading=0.0),  # so only the last value counts
        experiments.joined_points,
    ],
)
def test_a_rival_finds_a_curve(fit):
    predictor = fit(square_of_the_last())
    assert experiments.rmse(predictor, square_of_the_last()) < 0.02


def test_products_are_those_of_any_two_values():
    windows = torch.tensor([[[2.0], [3.0]]])
    assert experiments.products(windows).tolist() == [[1, 2, 3, 4, 6, 9]]


def test_a_bounded_predictor_stays_within_the_training_targets():
    train = TensorDataset(torch.zeros(3, 1, 1), torch.tensor([[1.0], [5.0], [3.0]]))
    predictor = experiments.bounded(lambda train: rnn_sine.Persistence(), train)
    windows = torch.tensor([-90.0, 4.0, 90.0]).view(3, 1, 1)
    assert predictor(windows).flatten().tolist() == [1, 4, 5]


def recurrent_series(rule, n):
    """Random numbers [n] of standard deviation 1/10, and added to each what the rule makes of the values before it."""
    series = np.random.default_rng(2).normal(0, 0.1, n)
    for t in range(3, n):
        series[t] += rule(series[:t])
    return series


def test_aic_and_aicc_have_their_textbook_values_and_find_the_order():
    series = recurrent_series(lambda x: 0.1 * x[-1] + 0.8 * x[-3], 100)
    train, _ = rnn_sine.make_windows(series, 20, 1.0)
    error = experiments.rmse(experiments.autoregression(train, 3), train)
    n, k = len(train), 3 + 2
    aic = n * np.log(error**2) + 2 * k
    aicc = aic + 2 * k * (k + 1) / (n - k - 1)
    assert experiments.best_order(train, corrected=False) == (3, pytest.approx(aic, abs=0.001))
    assert experiments.best_order(train) == (3, pytest.approx(aicc, abs=0.001))


def test_a_threshold_autoregression_finds_two_rules():
    series = recurrent_series(lambda x: 0.9 * x[-1] if x[-2] > 0 else 0.5 - 0.9 * x[-1], 600)
    train, test = rnn_sine.make_windows(series, 20)
    predictor = experiments.threshold_autoregression(train)
    assert experiments.rmse(predictor, test) < 0.12  # the noise is 0.1, and one autoregression errs 0.22


def test_parts_are_won_so_many_steps_ahead():
    small, large = np.full((20, 4), 1.0), np.full((20, 4), 2.0)
    small[:, 3] = 3  # four steps ahead
    assert experiments.parts_won(small, large) == experiments.parts_won(large, small, steps=4) == 10
    assert experiments.parts_won(large, small) == experiments.parts_won(small, large, steps=4) == 0


@pytest.mark.parametrize("scale_name", ["raw", "square roots"])
def test_what_is_said_of_scaled_values_comes_back_as_sunspots(scale_name):
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


def test_the_listing_of_the_first_page_reads_these_values():
    data = experiments.first_page_pairs(2)
    assert (len(data.train), len(data.test)) == (2432, 609)
    ones = data.targets[-20:, 0] > 0
    assert "".join(f"{one:d}" for one in ones) == "11100111111110000000"


def test_a_unit_that_swings_tells_odd_from_even_for_ever():
    """A 0 sets its state to -1, nearly; then h <- tanh(-1.5 h) swings around 0, in the end between -0.86 and 0.86."""
    model = rnn_sine.SimpleRNN(1, 1, 1, 1)
    one = np.sqrt(1 / 2)  # as scaled; a 0 is -2 of these
    for weight, value in zip(model.parameters(), (1 / one, -1.5, -0.5, -0.5, 0.62, 0.18)):
        weight.data.fill_(value)
    short = experiments.make_samples(experiments.pairs, 2, 1)
    long = experiments.make_samples(experiments.pairs, 20, 1)
    maps, gradient, errors = experiments.describe_unit(model, short, long)
    assert maps == pytest.approx(
        {
            "a after 0": 3,  # as a high prediction is to have a low state, signs are changed
            "a after 1": 0,
            "w": -1.5,
            "fixed point": 0,
            "slope there": -1.5,
            "odd told from even, of 100": 100,
            "ones remembered": 2000,
        },
        abs=1e-5,
    )
    assert gradient["of a pair"] == pytest.approx((1.5 * (1 - 0.8586**2)) ** 2, abs=0.001)
    assert errors["whole series"] == pytest.approx(1, abs=0.05)
    assert errors["window 2"] > 1.08  # the square root of 7/6


def test_a_flat_map_forgets():
    states = 0.5 * (-0.5) ** np.arange(20)  # 0.5, -0.25, ...; the sixth one is the first below 0.01
    assert experiments.ones_remembered(states, middle=0) == 5


@pytest.mark.parametrize(("slope", "square"), [(-0.5, 6 / 5), (-2, 7 / 6)])
def test_a_slope_of_one_half_gives_linear_regression_and_a_steep_one_the_bound(slope, square):
    assert experiments.least_rmse(slope) == pytest.approx(np.sqrt(square), abs=0.001)


def test_the_smallest_exact_sum_of_two_values_moves_noise_as_pencil_and_paper_say():
    sine = experiments.make_samples(experiments.clean_sine, 20, 0)
    predictor = experiments.smallest_sum(2)
    assert experiments.rmse(predictor, sine.test) < 1e-5
    moved = experiments.noise_ahead(predictor, sine.windows, steps=64, seed=0)
    assert moved[[0, 63]] == pytest.approx([2.2, 42], rel=0.1)  # as the page works it out


def test_a_mean_of_eight_values_leans_on_the_newest_five_of_them():
    mean = experiments.Rule(lambda windows: windows[:, -8:].mean(dim=1))
    assert experiments.newest_share(mean, torch.randn(10, 20, 1)) == pytest.approx(5 / 8)


def test_own_errors_through_the_own_loop_are_the_errors_ahead():
    sine = experiments.make_samples(experiments.clean_sine, 20, 0)
    model = rnn_sine.make_mlp(20, 8)
    errors = rnn_sine.errors_ahead(model, sine.windows, sine.targets, 7, "cpu")
    crossed = experiments.crossed_rmse(model, model, sine, steps=7)
    assert crossed == pytest.approx(rnn_sine.rmse(errors)[6], rel=1e-4)


def test_english_pictures_need_no_chinese_font_and_chinese_ones_do(tmp_path, monkeypatch):
    monkeypatch.setattr(rnn_sine, "label_in_chinese", lambda figure: None)
    file = experiments.TESTS / "experiments.json"
    with pytest.raises(SystemExit, match="font"):
        draw_all(json.loads(file.read_text()), tmp_path)
    names = sorted(path.stem for path in tmp_path.iterdir())
    assert names == ["curve", "forecast", "laser", "pairs", "sunspots", "sunspots_1958"]
