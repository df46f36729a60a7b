"""One trial of w7 in plain PyTorch, for the programs that bring no training of their own.

`tutorial` is written as PyTorch's tutorials do; `resident` as an expert would, with the rows in memory, a permutation
of them for each epoch, and the fused optimiser.
"""

import time

import torch
from search_plan import HIDDEN
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Resident:
    """Batches of rows that lie in memory, in another order every epoch."""

    def __init__(self, x, y, batch_size):
        self.x, self.y, self.batch_size = x, y, batch_size

    def __iter__(self):
        for index in torch.randperm(len(self.y)).split(self.batch_size):
            yield self.x[index], self.y[index]


def train_trial(config, epochs, x_train, y_train, x_valid, y_valid, *, style="tutorial"):
    """Validation accuracy after the last epoch, and seconds."""
    started = time.perf_counter()
    torch.manual_seed(0)
    x, y = torch.from_numpy(x_train), torch.from_numpy(y_train)
    if style == "tutorial":
        loader = DataLoader(TensorDataset(x, y), batch_size=config["batch_size"], shuffle=True)
    else:
        loader = Resident(x, y, config["batch_size"])
    model = nn.Sequential(nn.Linear(64, HIDDEN[0]), nn.ReLU(), nn.Linear(*HIDDEN), nn.ReLU(), nn.Linear(HIDDEN[1], 10))
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(
        model.parameters(),
        lr=config["lr"],
        weight_decay=config["weight_decay"],
        fused=None if style == "tutorial" else True,
    )
    for _ in range(epochs):
        for x, y in loader:
            loss = loss_fn(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = model(torch.from_numpy(x_valid)).argmax(1) == torch.from_numpy(y_valid)
    return right.float().mean().item(), time.perf_counter() - started
