"""The reasons behind the results, and the pictures: functions of experiments.py against known answers."""

import json

import experiments
import numpy as np
import pytest
import torch
from pictures import draw_all

import rnn_sine


@pytest.fixture
def sine():
    """The samples of the article's sine."""
    return experiments.make_samples(experiments.clean_sine, 20, 0)


def test_odd_runs_of_ones_are_found():
    ones = np.array([True, True, True, False, True, False])
    odd = experiments.is_odd(ones)
    assert odd.tolist() == [True, False, True, False, True, False]


def test_the_maps_of_a_unit_give_its_states():
    model = rnn_sine.SimpleRNN(1, 1, 1, 1)
    a_0, a_1, w = experiments.maps_of_unit(model, low=-1.4, high=0.7)
    values = torch.tensor([[-1.4], [0.7], [0.7]])  # a 0 and two ones
    states, _ = model.rnn(values)
    after_0 = np.tanh(a_0)
    expected = experiments.read_ones(a_1, w, after_0, number=2)
    sizes = states.abs().flatten()
    assert sizes.tolist() == pytest.approx(np.abs(expected), abs=1e-6)


def test_a_steep_map_swings_for_ever():
    middle = experiments.fixed_point(0.0, -1.5)
    assert middle == pytest.approx(0)
    assert experiments.slope(-1.5, middle) == pytest.approx(-1.5)
    states = experiments.read_ones(0.0, -1.5, 0.5)
    assert experiments.ones_remembered(states, middle) == 2000


def test_a_flat_map_forgets():
    states = 0.5 * (-0.5) ** np.arange(20)  # 0.5, -0.25, ...; the sixth one is the first below 0.01
    assert experiments.ones_remembered(states, middle=0) == 5


def test_a_slope_of_one_half_gives_linear_regression_and_a_steep_one_the_bound():
    linear_regression = np.sqrt(1.2)
    bound = np.sqrt(7 / 6)
    assert experiments.least_rmse(-0.5) == pytest.approx(linear_regression, abs=0.001)
    assert experiments.least_rmse(-2) == pytest.approx(bound, abs=0.001)


def test_the_listing_of_the_first_page_reads_these_values():
    data = experiments.first_page_pairs(2)
    assert len(data.train) == 2432
    assert len(data.test) == 609
    ones = data.targets[-20:, 0] > 0
    text = "".join(f"{one:d}" for one in ones)
    assert text == "11100111111110000000"


def test_the_smallest_exact_sum_of_two_values_is_the_identity_of_the_sine(sine):
    predictor = experiments.smallest_sum(2)
    assert experiments.rmse(predictor, sine.test) < 1e-5
    moved = experiments.noise_ahead(predictor, sine.windows, steps=1, seed=0)
    weights = np.array([-1, 2])  # nearly
    assert moved[0] == pytest.approx(np.linalg.norm(weights), rel=0.1)


def test_persistence_leaves_noise_as_it_is():
    windows = torch.randn(2000, 20, 1)
    moved = experiments.noise_ahead(rnn_sine.Persistence(), windows, steps=9, seed=0)
    assert moved == pytest.approx(1, abs=0.1)


def test_persistence_leans_on_one_value_and_a_mean_on_all():
    windows = torch.randn(10, 20, 1)
    mean = experiments.Rule(lambda windows: windows.mean(dim=1))
    assert experiments.newest_share(rnn_sine.Persistence(), windows) == 1
    assert experiments.newest_share(mean, windows) == pytest.approx(5 / 20)


def test_own_errors_through_the_own_loop_are_the_errors_ahead(sine):
    model = rnn_sine.make_mlp(20, 8)
    errors = rnn_sine.errors_ahead(model, sine.windows, sine.targets, 7, "cpu")
    expected = rnn_sine.rmse(errors)[6]
    crossed = experiments.crossed_rmse(model, model, sine, steps=7)
    assert crossed == pytest.approx(expected, rel=1e-4)


def test_english_pictures_need_no_chinese_font_and_chinese_ones_do(tmp_path, monkeypatch):
    monkeypatch.setattr(rnn_sine, "label_in_chinese", lambda figure: None)
    file = experiments.TESTS / "experiments.json"
    figures = json.loads(file.read_text())
    with pytest.raises(SystemExit, match="font"):
        draw_all(figures, tmp_path)
    names = sorted(path.stem for path in tmp_path.iterdir())
    assert names == ["curve", "forecast", "laser", "pairs", "sunspots", "sunspots_1958"]
