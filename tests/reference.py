"""What the script is compared with: the training of a tutorial, without any function of ours."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def plain_data(n_samples=1000, seq_length=20, noise=0.0):
    """All windows and targets of the sine; the first four fifths are for training."""
    series = np.sin(np.linspace(0, 10 * np.pi, n_samples + seq_length))
    series = series + np.random.normal(0, noise, len(series))
    windows = np.array([series[i : i + seq_length] for i in range(n_samples)])
    inputs = torch.tensor(windows).float().unsqueeze(-1)
    targets = torch.tensor(series[seq_length:]).float().unsqueeze(-1)
    return inputs, targets


def predict(hidden_layer, output_layer, x):
    """The predictions of an RNN, or of an MLP, whose hidden layer is linear."""
    if isinstance(hidden_layer, nn.Linear):
        return output_layer(torch.tanh(hidden_layer(x.squeeze(-1))))
    state = torch.zeros(hidden_layer.num_layers, len(x), hidden_layer.hidden_size)
    states, _ = hidden_layer(x, state)
    return output_layer(states[:, -1, :])


def plain_loop(network="RNN", seed=42, n_samples=1000, seq_length=20, noise=0.0, batch_size=32, hidden_size=64,
               num_layers=1, learning_rate=0.001, epochs=100, one_cycle=False, max_grad_norm=None):
    """Train an RNN or an MLP as a tutorial does; returns (hidden layer, output layer, losses)."""
    np.random.seed(seed)
    inputs, targets = plain_data(n_samples, seq_length, noise)
    torch.manual_seed(seed)
    if network == "RNN":
        hidden_layer = nn.RNN(1, hidden_size, num_layers, batch_first=True)
    else:
        hidden_layer = nn.Linear(seq_length, hidden_size)
    output_layer = nn.Linear(hidden_size, 1)
    n_train = int(0.8 * n_samples)
    loader = DataLoader(TensorDataset(inputs[:n_train], targets[:n_train]), batch_size, shuffle=True)
    parameters = list(hidden_layer.parameters()) + list(output_layer.parameters())
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    if one_cycle:
        n_batches = epochs * len(loader)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, n_batches, cycle_momentum=False)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for x, y in loader:
            loss = nn.functional.mse_loss(predict(hidden_layer, output_layer, x), y)
            optimizer.zero_grad()
            loss.backward()
            if max_grad_norm:
                nn.utils.clip_grad_norm_(parameters, max_grad_norm)
            optimizer.step()
            if one_cycle:
                scheduler.step()
            total += loss.item()
        losses.append(total / len(loader))
    return hidden_layer, output_layer, losses
