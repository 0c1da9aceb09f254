import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import rnn_sine

CPU = torch.device("cpu")


@pytest.mark.parametrize("batch_size", [1, 7, 32, 1000])
def test_predictions_and_actuals_come_in_order_whatever_the_batch_size(batch_size):
    torch.manual_seed(0)
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    _, test_data = rnn_sine.generate_data(200, 10)
    predictions, actuals = rnn_sine.evaluate_model(model, DataLoader(test_data, batch_size), CPU)
    assert isinstance(predictions, np.ndarray) and predictions.dtype == np.float32
    assert np.array_equal(actuals, test_data.tensors[1].numpy())
    expected = [[model(window[None]).item()] for window in test_data.tensors[0]]
    assert predictions == pytest.approx(np.array(expected), abs=1e-6)


def test_no_gradient_is_recorded_and_every_mode_is_kept():
    seen = []

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.frozen, self.free = nn.Dropout(), nn.Linear(1, 1)

        def forward(self, x):
            seen.append((torch.is_grad_enabled(), self.training, self.frozen.training))
            return self.free(x[:, -1])

    model = Model()
    model.frozen.eval()
    _, test_data = rnn_sine.generate_data(20, 5)
    rnn_sine.evaluate_model(model, DataLoader(test_data), CPU)
    assert set(seen) == {(False, False, False)}
    assert model.training and model.free.training and not model.frozen.training
    assert torch.is_grad_enabled() and all(parameter.grad is None for parameter in model.parameters())


def test_the_mode_is_kept_even_if_the_model_fails():
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    with pytest.raises(ValueError):
        rnn_sine.evaluate_model(model, [(torch.zeros(2), torch.zeros(2, 1))], CPU)
    assert model.training


def test_mean_squared_error_of_known_values():
    predictions = np.array([[1.0], [2.0]], dtype=np.float32)
    assert rnn_sine.mean_squared_error(predictions, predictions + np.float32([[3.0], [-1.0]])) == 5.0
    tiny = np.float32([[1e-25]])
    assert rnn_sine.mean_squared_error(tiny, 0 * tiny) == pytest.approx(
        1e-50, rel=1e-6
    )  # below all float32 numbers


def test_baselines_of_a_case_solved_by_hand():
    # 0, 1, 3, 7, 15, ...: the next value is exactly twice the last one plus 1.
    series = [2**n - 1 for n in range(9)]
    train_data, test_data = rnn_sine.make_windows(series, seq_length=1, train_fraction=0.5)
    predictions = rnn_sine.baselines(train_data, test_data)
    assert list(predictions) == ["persistence", "linear regression"]
    assert predictions["persistence"].tolist() == [[15], [31], [63], [127]]
    assert predictions["linear regression"] == pytest.approx(np.array([[31], [63], [127], [255]]), rel=1e-12)
    predictions["persistence"] += 1
    assert test_data.tensors[0][0].item() == 15  # the data set is not what was changed


def test_linear_regression_is_fitted_on_the_training_part_alone():
    train_data, test_data = rnn_sine.make_windows([*range(20), 50, -7, 3, 50, 8], seq_length=2)
    predictions = rnn_sine.baselines(train_data, test_data)["linear regression"]
    inputs = test_data.tensors[0].double().squeeze(-1).numpy()
    # The training part is a straight line: the least-squares solution of least norm continues it. Fitted on the
    # test part as well, it could not be exact here.
    assert predictions[0] == pytest.approx([2 * inputs[0, 1] - inputs[0, 0]])
    fitted = rnn_sine.linear_regression(train_data)
    assert rnn_sine.evaluate_model(fitted, [(train_data.tensors[0].double(), train_data.tensors[1])], CPU)[
        0
    ] == pytest.approx(train_data.tensors[1].numpy(), abs=1e-9)


def test_linear_regression_is_exact_on_the_clean_sine():
    train_data, test_data = rnn_sine.generate_data()
    predictions = rnn_sine.baselines(train_data, test_data)["linear regression"]
    assert predictions.dtype == np.float64 and predictions.shape == (200, 1)
    assert rnn_sine.mean_squared_error(predictions, test_data.tensors[1].numpy()) < 1e-12


class Recurrence(nn.Module):
    """The exact rule of a sine of angular step omega: x[t+1] = 2 cos(omega) x[t] - x[t-1]."""

    def __init__(self, omega):
        super().__init__()
        self.omega = omega
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        assert not self.training and not torch.is_grad_enabled()
        return self.scale.to(x.dtype) * (2 * np.cos(self.omega) * x[:, -1] - x[:, -2])


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-2)])
def test_forecast_continues_a_sine_by_its_exact_rule(dtype, tolerance):
    omega = 2 * np.pi / 50
    sine = torch.sin(omega * torch.arange(220, dtype=torch.float64))[:, None]
    model = Recurrence(omega)
    window = sine[:20].to(dtype)
    continued = rnn_sine.forecast(model, window, 200, CPU)
    assert continued.shape == (200, 1) and torch.from_numpy(continued).dtype == dtype
    assert np.abs(continued - sine[20:].numpy()).max() < tolerance
    assert model.training and model.scale.grad is None
    assert torch.equal(window, sine[:20].to(dtype))  # the caller's window is not written to


def test_forecast_of_no_step_and_of_one_step():
    torch.manual_seed(0)
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    window = torch.randn(20, 1)
    assert rnn_sine.forecast(model, window, 0, CPU).shape == (0, 1)
    assert rnn_sine.forecast(model, window, 1, CPU)[0, 0] == pytest.approx(model(window[None]).item())


def test_forecast_sees_its_own_predictions_and_no_other_value():
    class Last(nn.Module):
        def forward(self, x):
            assert x.shape == (1, 3, 1)
            return x[:, -1] + x[:, 0] / 10

    window = torch.tensor([[10.0], [20.0], [30.0]])
    assert rnn_sine.forecast(Last(), window, 4, CPU)[:, 0] == pytest.approx([31, 33, 36, 39.1])


class Linear(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, x):
        assert not self.training
        return x.squeeze(-1) @ self.weights[:, None]


@pytest.mark.parametrize("n", [1, 50, 3000])
def test_input_sensitivity_of_a_linear_model_is_its_weights_without_their_sign(n):
    weights = torch.tensor([0.5, -2.0, 0.0, 3.0])
    model = Linear(weights.clone())
    inputs = torch.randn(n, 4, 1)
    before = inputs.clone()
    sensitivity = rnn_sine.input_sensitivity(model, inputs, CPU)
    assert isinstance(sensitivity, np.ndarray) and sensitivity.shape == (4,)
    assert sensitivity == pytest.approx(weights.abs().numpy(), rel=1e-5)
    assert model.training and model.weights.grad is None and torch.equal(model.weights, weights)
    assert torch.equal(inputs, before) and not inputs.requires_grad


def test_input_sensitivity_is_the_mean_over_windows_of_the_finite_difference():
    torch.manual_seed(0)
    model = rnn_sine.SimpleRNN(1, 8, 2, 1).double()
    inputs = torch.randn(5, 6, 1, dtype=torch.float64)
    expected = []
    for t in range(6):
        shift = torch.zeros_like(inputs)
        shift[:, t] = 1e-6
        expected.append(((model(inputs + shift) - model(inputs - shift)) / 2e-6).abs().mean().item())
    with torch.no_grad():  # a caller may have switched gradients off
        assert rnn_sine.input_sensitivity(model, inputs, CPU) == pytest.approx(expected, rel=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_forecasts_and_measures_sensitivity_as_the_cpu_does():
    torch.manual_seed(0)
    model = rnn_sine.SimpleRNN(1, 16, 1, 1).double()
    inputs = torch.randn(5, 20, 1, dtype=torch.float64)
    expected = rnn_sine.forecast(model, inputs[0], 50, CPU), rnn_sine.input_sensitivity(model, inputs, CPU)
    model.cuda()
    assert rnn_sine.forecast(model, inputs[0], 50, "cuda") == pytest.approx(expected[0], abs=1e-9)
    assert rnn_sine.input_sensitivity(model, inputs, "cuda") == pytest.approx(expected[1], rel=1e-6)


def test_evaluation_draws_no_random_numbers():
    train_data, test_data = rnn_sine.generate_data(60, 5)
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    rnn_sine.baselines(train_data, test_data)
    rnn_sine.forecast(model, test_data.tensors[0][0], 3, CPU)
    rnn_sine.input_sensitivity(model, test_data.tensors[0], CPU)
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == np.random.get_state()[1].tolist()
