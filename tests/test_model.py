import pytest
import torch

import rnn_sine


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_forward_follows_the_equations(dtype, tolerance):
    torch.manual_seed(0)
    model = rnn_sine.SimpleRNN(2, 5, 2, 3).to(dtype)
    x = torch.randn(4, 7, 2, dtype=dtype)
    inputs = [x[:, t] for t in range(7)]
    for layer in range(2):
        w_x, w_h, b_x, b_h = (
            getattr(model.rnn, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        h = torch.zeros(4, 5, dtype=dtype)
        states = []
        for x_t in inputs:
            h = torch.tanh(x_t @ w_x.T + b_x + h @ w_h.T + b_h)
            states.append(h)
        inputs = states
    expected = h @ model.fc.weight.T + model.fc.bias
    prediction = model(x)
    assert prediction.dtype == dtype and prediction.shape == (4, 3)
    assert torch.allclose(prediction, expected, rtol=0, atol=tolerance)


def test_it_has_4353_parameters_whatever_the_window():
    model = rnn_sine.SimpleRNN(1, 64, 1, 1)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 4353 == (64 * 1 + 64) + (64 * 64 + 64) + (64 + 1)
    for time_steps in (1, 20, 2000):
        assert model(torch.zeros(2, time_steps, 1)).shape == (2, 1)


def test_weights_are_drawn_for_rnn_first_and_then_for_fc():
    torch.manual_seed(1)
    model = rnn_sine.SimpleRNN(1, 8, 1, 1)
    torch.manual_seed(1)
    rnn = torch.nn.RNN(1, 8, 1, batch_first=True)
    fc = torch.nn.Linear(8, 1)
    for parameter, expected in zip(model.parameters(), [*rnn.parameters(), *fc.parameters()], strict=True):
        assert torch.equal(parameter, expected)


@pytest.mark.parametrize("shape", [(20,), (20, 1), (4, 20), (2, 4, 1, 1), (4, 20, 2), (4, 1, 20), (4, 0, 1)])
def test_input_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"takes input of shape \[batch, time, features\]") as error:
        rnn_sine.SimpleRNN(1, 8, 1, 1)(torch.zeros(shape))
    assert str(list(shape)) in str(error.value)
