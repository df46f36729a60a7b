"""w4 in Lightning: a LightningModule, DataLoaders, and a Trainer without logger, checkpoints and progress bar."""

import logging
import time
import warnings

import datasets
import lightning
import torch
from report import Options, Report, read_options
from sequence_networks import RowsLSTM
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Classifier(lightning.LightningModule):
    def __init__(self, network: nn.Module, report: Report) -> None:
        super().__init__()
        self.network, self.report = network, report
        self.loss_fn = nn.CrossEntropyLoss()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        return self.loss_fn(self.network(x), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)

    def on_validation_epoch_start(self) -> None:
        self.correct = 0

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        x, y = batch
        self.correct += (self.network(x).argmax(1) == y).sum().item()

    def on_validation_epoch_end(self) -> None:
        self.accuracy = self.correct / len(self.trainer.val_dataloaders.dataset)


class Clock(lightning.Callback):
    """Times the training part of an epoch; stops at the target."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: Classifier) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Classifier, *rest: object) -> None:
        if trainer.is_last_batch:
            module.report.epoch(time.perf_counter() - self.started)

    def on_validation_end(self, trainer: lightning.Trainer, module: Classifier) -> None:
        if module.report.score(module.accuracy, self.options.target):
            trainer.should_stop = True


def main() -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    options = read_options()
    x_train, y_train, x_test, y_test = (torch.from_numpy(a) for a in datasets.mnist(options.data, options.limit))
    train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=128, shuffle=True)
    test_loader = DataLoader(TensorDataset(x_test, y_test), batch_size=1000)

    report = Report(len(x_train))
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=options.epochs,
        check_val_every_n_epoch=1 if options.target else options.epochs,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Clock(options)],
    )
    trainer.fit(Classifier(RowsLSTM(), report), train_loader, test_loader)
    report.show(options)


if __name__ == "__main__":
    main()
