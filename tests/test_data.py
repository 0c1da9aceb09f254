import math
import time
import tracemalloc

import numpy as np
import pytest
import torch

import rnn_sine


KINDS = {
    "list": list,
    "array": np.array,
    "reversed array": lambda values: np.array(values[::-1])[::-1],
    "tensor": torch.tensor,
    "tensor with gradient": lambda values: torch.tensor(values, requires_grad=True),
    "bfloat16 tensor": lambda values: torch.tensor(values, dtype=torch.bfloat16),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_windows_and_targets_of_a_short_series_written_by_hand(kind):
    series = kind([3.0, 1.0, 4.0, 1.5, 9.0, 2.0, 6.0])
    train_data, test_data = rnn_sine.make_windows(series, seq_length=3, train_fraction=0.5)
    inputs, targets = train_data.tensors
    assert inputs.dtype == targets.dtype == torch.float32
    assert inputs.tolist() == [[[3], [1], [4]], [[1], [4], [1.5]]]
    assert targets.tolist() == [[1.5], [9]]
    inputs, targets = test_data.tensors
    assert inputs.tolist() == [[[4], [1.5], [9]], [[1.5], [9], [2]]]
    assert targets.tolist() == [[2], [6]]


def test_make_windows_leaves_the_series_alone():
    series = np.arange(30, dtype=np.float32)
    (inputs, targets), _ = (data.tensors for data in rnn_sine.make_windows(series))
    inputs += 1
    targets += 1
    assert np.array_equal(series, np.arange(30))


@pytest.mark.parametrize(
    "series, seq_length, train_fraction, named",
    [
        (range(5), 5, 0.8, r"a series of 5 values is too short: seq_length=5 makes 0 sample\(s\)"),
        (range(6), 5, 0.8, r"a series of 6 values is too short: seq_length=5 makes 1 sample\(s\)"),
        ([], 5, 0.8, "a series of 0 values is too short"),
        (range(100), 5, 1.0, "train_fraction=1.0 must leave at least 1"),
        (range(100), 5, 0.0, "train_fraction=0.0 must leave at least 1"),
        (range(100), 5, -1, "train_fraction=-1 must leave at least 1"),
        (range(100), 0, 0.8, "seq_length is 0"),
        (7.0, 5, 0.8, r"must be one-dimensional, but its shape is \[\]"),
        (np.zeros((100, 1)), 5, 0.8, r"must be one-dimensional, but its shape is \[100, 1\]"),
        ([0.0, 1.0, math.nan] * 10, 5, 0.8, "must be finite in float32, but the value at index 2 is nan"),
        ([0.0, -math.inf] * 10, 5, 0.8, "must be finite in float32, but the value at index 1 is -inf"),
        ([1e300] + [0.0] * 20, 5, 0.8, "must be finite in float32, but the value at index 0 is inf"),
    ],
)
def test_a_bad_series_is_refused_in_a_sentence_that_says_why(series, seq_length, train_fraction, named):
    with pytest.raises(ValueError, match=named):
        rnn_sine.make_windows(series, seq_length, train_fraction)


@pytest.mark.parametrize("n_samples, seq_length", [(1000, 20), (37, 5), (2, 1), (10, 50)])
def test_every_value_equals_the_closed_form_bit_for_bit(n_samples, seq_length):
    y = np.sin(np.linspace(0, 10 * np.pi, n_samples + seq_length))
    train_data, test_data = rnn_sine.generate_data(n_samples, seq_length)
    inputs = torch.cat([train_data.tensors[0], test_data.tensors[0]])
    targets = torch.cat([train_data.tensors[1], test_data.tensors[1]])
    assert inputs.dtype == targets.dtype == torch.float32
    expected = np.array([y[i : i + seq_length] for i in range(n_samples)], dtype=np.float32)
    assert np.array_equal(inputs.numpy(), expected[:, :, None])
    assert np.array_equal(targets.numpy(), y[seq_length:, None].astype(np.float32))
    assert len(train_data) == int(0.8 * n_samples)


def test_default_sizes():
    train_data, test_data = rnn_sine.generate_data()
    assert (len(train_data), len(test_data)) == (800, 200)
    assert train_data[0][0].shape == (20, 1) and train_data[0][1].shape == (1,)


@pytest.mark.parametrize(
    "length, seq_length, fraction", [(7, 5, 0.5), (100, 20, 0.8), (1020, 20, 0.8), (60, 5, 0.1)]
)
def test_every_training_target_lies_before_the_first_test_target(length, seq_length, fraction):
    train_data, test_data = rnn_sine.make_windows(range(length), seq_length, fraction)  # each value is its own time
    assert train_data.tensors[1].max() + 1 == test_data.tensors[1].min()
    assert len(train_data) == int(fraction * (length - seq_length))
    for inputs, targets in (train_data.tensors, test_data.tensors):
        assert torch.equal(inputs[:, -1] + 1, targets)


def clean_and_noisy(noise, n_samples=20000):
    return (
        torch.cat([data.tensors[1] for data in rnn_sine.generate_data(n_samples, 1, level)]).double()
        for level in (0.0, noise)
    )


def test_noise_has_the_standard_deviation_asked_for_and_no_pattern():
    np.random.seed(0)
    clean, noisy = clean_and_noisy(0.25)
    added = (noisy - clean)[:, 0]
    assert added.std().item() == pytest.approx(0.25, rel=0.03)  # 6 standard errors of 20,000 draws
    assert added.mean().item() == pytest.approx(0, abs=0.01)
    assert (added[1:] * added[:-1]).mean().item() / 0.25**2 == pytest.approx(0, abs=0.05)


def test_noise_is_reproducible_and_none_draws_nothing():
    np.random.seed(3)
    _, first = clean_and_noisy(0.1, 100)
    np.random.seed(3)
    _, second = clean_and_noisy(0.1, 100)
    assert torch.equal(first, second)
    before = np.random.get_state()[1].copy()
    state = torch.get_rng_state()
    rnn_sine.generate_data(100, 5, 0.0)
    assert np.array_equal(before, np.random.get_state()[1]) and torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("noise", [-0.1, math.nan, math.inf])
def test_bad_noise_is_refused(noise):
    with pytest.raises(ValueError, match=f"noise is {noise}"):
        rnn_sine.generate_data(100, 5, noise)


def test_windows_own_their_memory():
    (inputs, _), _ = (data.tensors for data in rnn_sine.generate_data(10, 3))
    before = inputs[1, 0].item()
    inputs[0] += 1  # a window that shared its values with its neighbour would change it
    assert inputs[1, 0].item() == before


def test_a_million_samples_take_under_a_second_and_little_more_memory_than_the_result():
    rnn_sine.generate_data(1000)  # what is loaded on the first call is not counted
    tracemalloc.start()
    start = time.perf_counter()
    train_data, test_data = rnn_sine.generate_data(10**6)
    seconds = time.perf_counter() - start
    numpy_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = sum(tensor.nbytes for data in (train_data, test_data) for tensor in data.tensors)
    assert seconds < 1
    assert numpy_peak < 0.5 * size  # NumPy's share; torch's is the result itself and one float32 series


@pytest.mark.parametrize("n_samples, seq_length", [(1, 20), (0, 20), (-5, 3), (9, 0)])
def test_bad_sizes_are_refused(n_samples, seq_length):
    with pytest.raises(ValueError, match="too short|seq_length is 0|non-negative"):
        rnn_sine.generate_data(n_samples, seq_length)


@pytest.mark.parametrize("shuffle", [True, False])
def test_batch_loader_serves_the_batches_of_a_plain_data_loader(shuffle):
    train_data, _ = rnn_sine.generate_data(100, 5)
    torch.manual_seed(0)
    plain = [batch for _ in range(3) for batch in torch.utils.data.DataLoader(train_data, 32, shuffle=shuffle)]
    torch.manual_seed(0)
    fast = [batch for _ in range(3) for batch in rnn_sine.batch_loader(train_data, 32, "cpu", shuffle)]
    assert [len(inputs) for inputs, _ in fast] == [32, 32, 16] * 3
    for (inputs, targets), (fast_inputs, fast_targets) in zip(plain, fast, strict=True):
        assert torch.equal(inputs, fast_inputs) and torch.equal(targets, fast_targets)
