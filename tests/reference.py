"""What the script is compared with: the training of a tutorial, without any function of ours."""

import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def plain_loop(seed=42, n_samples=1000, seq_length=20, noise=0.0, batch_size=32, hidden_size=64, num_layers=1,
               learning_rate=0.001, epochs=100, schedule="constant", max_grad_norm=None):
    """Train as a tutorial does; returns (rnn, fc, losses, seconds, inputs and targets of the test)."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    series = np.sin(np.linspace(0, 10 * np.pi, n_samples + seq_length))
    series = series + np.random.normal(0, noise, len(series))
    windows = np.array([series[i : i + seq_length] for i in range(n_samples)])
    inputs = torch.tensor(windows).float().unsqueeze(-1)
    targets = torch.tensor(series[seq_length:]).float().unsqueeze(-1)
    n_train = int(0.8 * n_samples)
    train_data = TensorDataset(inputs[:n_train], targets[:n_train])
    loader = DataLoader(train_data, batch_size, shuffle=True)
    rnn = nn.RNN(1, hidden_size, num_layers, batch_first=True)
    fc = nn.Linear(hidden_size, 1)
    parameters = list(rnn.parameters()) + list(fc.parameters())
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    if schedule == "onecycle":
        steps = epochs * len(loader)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps, cycle_momentum=False)
    losses = []
    start = time.perf_counter()
    for _ in range(epochs):
        total = 0.0
        for x, y in loader:
            state = torch.zeros(num_layers, len(x), hidden_size)
            output, _ = rnn(x, state)
            predictions = fc(output[:, -1, :])
            loss = nn.functional.mse_loss(predictions, y)
            optimizer.zero_grad()
            loss.backward()
            if max_grad_norm:
                nn.utils.clip_grad_norm_(parameters, max_grad_norm)
            optimizer.step()
            if schedule == "onecycle":
                cycle.step()
            total += loss.item()
        losses.append(total / len(loader))
    return rnn, fc, losses, time.perf_counter() - start, inputs[n_train:], targets[n_train:]
