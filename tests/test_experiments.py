"""A tiny version of the experiments, to its end; and the series, against what is known of them."""

import experiments
import numpy as np
import pytest
import torch


@pytest.mark.parametrize("measurement", [measurement.__name__ for measurement in experiments.MEASUREMENTS])
def test_every_measurement_gives_finite_figures(measurement):
    found = experiments.run(measurement, seed=200, share=0.001)
    assert len(found) > 10
    assert np.isfinite(list(found.values())).all()


def errors_of_the_ideal(data):
    return (data[2] - data[1].tensors[1]).numpy()[:, 0]


def test_pairs_are_written_whole_and_their_ideal_has_a_sixth():
    train_data, test_data, ideal = experiments.pairs(seed=1, length=60_020)
    low = test_data.tensors[1].min()
    high = test_data.tensors[1].max()
    errors = errors_of_the_ideal((train_data, test_data, ideal)) / (high - low).item()
    assert np.mean(errors**2) == pytest.approx(1 / 6, rel=0.03)
    assert sorted(set(np.abs(errors).round(4))) == [0, 0.5]


def test_no_weighted_sum_predicts_the_logistic_map():
    data = experiments.logistic_map(seed=1)
    x = data[0].tensors[1].numpy()[:, 0]
    assert np.corrcoef(x[1:], x[:-1])[0, 1] == pytest.approx(0, abs=0.1)
    assert x[1:] == pytest.approx(np.sqrt(2) * (1 - x[:-1] ** 2), abs=0.2)  # the map, scaled


def test_the_season_has_noise_of_variance_1_and_is_a_period_old():
    data = experiments.season(seed=1, period=6, length=20_000)
    windows, targets = data[1].tensors
    slope = torch.linalg.lstsq(windows[:, 0], targets).solution.item()
    assert slope == pytest.approx(0.9, abs=0.02)
    errors = errors_of_the_ideal(data)
    assert np.mean(errors**2) / np.mean(targets.numpy() ** 2) == pytest.approx(1 - 0.9**2, rel=0.1)


def test_the_band_of_paths_of_a_random_walk_is_that_of_its_steps():
    class Last(torch.nn.Module):
        def forward(self, x):
            return x[:, -1]

    errors = torch.randn(1000, 1)
    low, high = experiments.band_of_paths(Last(), torch.zeros(1, 3, 1), errors, 4)
    assert high - low == pytest.approx(3.29 * np.sqrt([1, 2, 3, 4]), rel=0.25)


@pytest.mark.parametrize("flags", [["--seeds", "0"], ["--seeds", "two"]])
def test_no_seeds_are_refused(flags, capsys):
    with pytest.raises(SystemExit, match="2"):
        experiments.main(flags)
    assert "whole number above 0" in capsys.readouterr().err
