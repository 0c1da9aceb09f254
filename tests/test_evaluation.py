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
    assert rnn_sine.mean_squared_error(np.float32([[1.0]]), np.float64([[1.0 + 1e-9]])) == pytest.approx(1e-18)
