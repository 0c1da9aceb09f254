import math
import time
import tracemalloc

import numpy as np
import pytest
import torch

import rnn_sine


def test_windows_and_targets_of_a_short_series_written_by_hand():
    # 6 samples of 3 steps cut 9 points, sin(0), sin(10 pi / 8), ..., sin(10 pi): a pattern with period 8.
    a, b = math.sqrt(0.5), 1.0
    y = [0, -a, b, -a, 0, a, -b, a, 0]
    train_data, test_data = rnn_sine.generate_data(6, 3)
    inputs, targets = train_data.tensors
    assert inputs.shape == (4, 3, 1) and targets.shape == (4, 1)
    assert inputs.squeeze(-1).numpy() == pytest.approx(np.array([y[0:3], y[1:4], y[2:5], y[3:6]]), abs=1e-6)
    assert targets.squeeze(-1).numpy() == pytest.approx(np.array([y[3], y[4], y[5], y[6]]), abs=1e-6)
    inputs, targets = test_data.tensors
    assert inputs.squeeze(-1).numpy() == pytest.approx(np.array([y[4:7], y[5:8]]), abs=1e-6)
    assert targets.squeeze(-1).numpy() == pytest.approx(np.array([y[7], y[8]]), abs=1e-6)


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


def test_every_training_target_lies_before_the_first_test_target(monkeypatch):
    monkeypatch.setattr(np, "sin", lambda time: time)  # every value is now its own time
    for n_samples in (2, 9, 1000):
        train_data, test_data = rnn_sine.generate_data(n_samples, 20)
        assert train_data.tensors[1].max() < test_data.tensors[1].min()
        for inputs, targets in (train_data.tensors, test_data.tensors):
            assert (inputs.max(dim=1).values < targets).all()


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


@pytest.mark.parametrize(
    "n_samples, seq_length, named", [(1, 20, "n_samples is 1"), (0, 20, "n_samples is 0"), (9, 0, "seq_length is 0")]
)
def test_bad_sizes_are_refused(n_samples, seq_length, named):
    with pytest.raises(ValueError, match=named):
        rnn_sine.generate_data(n_samples, seq_length)


@pytest.mark.parametrize("shuffle", [True, False])
def test_batch_loader_serves_the_batches_of_a_plain_data_loader(shuffle):
    train_data, _ = rnn_sine.generate_data(100, 5)
    torch.manual_seed(0)
    plain = [batch for _ in range(3) for batch in torch.utils.data.DataLoader(train_data, 32, shuffle=shuffle)]
    torch.manual_seed(0)
    fast = [batch for _ in range(3) for batch in rnn_sine.batch_loader(train_data, 32, shuffle)]
    assert [len(inputs) for inputs, _ in fast] == [32, 32, 16] * 3
    for (inputs, targets), (fast_inputs, fast_targets) in zip(plain, fast, strict=True):
        assert torch.equal(inputs, fast_inputs) and torch.equal(targets, fast_targets)
