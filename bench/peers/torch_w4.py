"""w4 in plain PyTorch, as its tutorials write it: Dataset, DataLoader, float32, a loop."""

import time

import datasets
import torch
from report import Report, read_options
from sequence_networks import RowsLSTM
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def accuracy(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in loader:
            correct += (model(x).argmax(1) == y).sum().item()
    return correct / len(loader.dataset)


def main() -> None:
    options = read_options()
    x_train, y_train, x_test, y_test = datasets.mnist(options.data, options.limit)
    train_data = TensorDataset(torch.from_numpy(x_train), torch.from_numpy(y_train))
    test_data = TensorDataset(torch.from_numpy(x_test), torch.from_numpy(y_test))
    train_loader = DataLoader(train_data, batch_size=128, shuffle=True)
    test_loader = DataLoader(test_data, batch_size=1000)

    model = RowsLSTM()
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    report = Report(len(train_data))
    for epoch in range(options.epochs):
        started = time.perf_counter()
        model.train()
        for x, y in train_loader:
            loss = loss_fn(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        report.epoch(time.perf_counter() - started)
        if (options.target or epoch == options.epochs - 1) and report.score(
            accuracy(model, test_loader), options.target
        ):
            break
    report.show(options)


if __name__ == "__main__":
    main()
