"""What is trained: the workloads, the peers of each, and the command line with which Limpid does the same."""

from __future__ import annotations

from dataclasses import dataclass

TORCH_PEERS = ("torch", "expert", "lightning", "fastai", "skorch")
KERAS_PEERS = ("keras-jax", "keras-torch", "keras-tensorflow")

# Adam as its paper has it, at one rate, on raw rows, all rows of the training split: what every peer's script does.
SAME_RECIPE = (
    "data.valid_share=0",
    "optim.schedule=constant",
    "optim.weight_decay=0",
    "objective.label_smoothing=0",
    "augment.flip=false",
    "augment.crop=0",
    "model.dropout=0",
    "model.norm=none",
)


@dataclass(frozen=True)
class Layer:
    """The multiply-adds of one kind of layer, for the floor.

    A "linear" layer has sizes (inputs, outputs); a "conv" layer (channels in, channels out, kernel, stride, padding,
    side of its input in pixels). `count` layers of the network are alike. The first layer needs no gradient of its
    inputs.
    """

    kind: str
    sizes: tuple[int, ...]
    count: int = 1
    first: bool = False

    def macs(self) -> int:
        """Multiply-adds of one sample in one forward pass of one such layer."""
        if self.kind == "linear":
            return self.sizes[0] * self.sizes[1]
        channels_in, channels_out, kernel, stride, padding, side = self.sizes
        side_out = (side + 2 * padding - kernel) // stride + 1
        return channels_in * channels_out * kernel * kernel * side_out * side_out

    def passes(self) -> int:
        """Forward, gradient of the weights, and of the inputs."""
        return 2 if self.first else 3


@dataclass(frozen=True)
class Mode:
    """One way to run a workload, and the figure that it is about.

    `measure` is seconds (the whole process), train_samples_per_second or seconds_to_target. Limpid's share of a target
    run is a whole process of `limpid_epochs` epochs with its own recipe, which counts when its test score reaches it.
    """

    name: str
    measure: str
    epochs: int
    target: float | None = None
    limpid_epochs: int = 0


@dataclass(frozen=True)
class Workload:
    """A network, its data, and who trains it."""

    key: str
    title: str
    batch_size: int
    peers: tuple[str, ...]
    modes: tuple[Mode, ...]
    layers: tuple[Layer, ...]
    source: str  # Limpid's source; "{data}" is the data folder
    model: tuple[str, ...]  # Limpid's options for the network
    optimizer: tuple[str, ...]
    tokens: int = 1  # places of a sample that a rate counts one by one
    steps_per_epoch: int | None = None  # where an "epoch" is so many updates, not a pass over the rows
    own_recipe: bool = False  # Limpid trains by its own defaults: the figure is the loss that it reaches
    rows: tuple[int, int] | None = None  # training and test rows of a subset, where all would take too long

    def macs(self) -> int:
        """Multiply-adds of one sample in one forward pass."""
        return sum(layer.count * layer.macs() for layer in self.layers)

    def batch_rows(self) -> int:
        """Rows of the matrix products of one batch."""
        return self.batch_size * self.tokens

    def limpid_options(self, mode: Mode) -> list[str]:
        """Arguments of `limpid train` after the source, but for folders."""
        if mode.target is not None:
            return [*self.model, "--epochs", str(mode.limpid_epochs)]
        length = ["--epochs", str(mode.epochs)]
        if self.steps_per_epoch is not None:
            length = ["--set", f"training.steps={self.steps_per_epoch * mode.epochs}"]
        options = [*self.model, *self.optimizer, *length, "--batch-size", str(self.batch_size)]
        if self.own_recipe:
            return options
        for assignment in SAME_RECIPE:
            options += ["--set", assignment]
        return options


ADAM = ("--optimizer", "adam", "--set", "optim.lr=1e-3")
SGD = ("--optimizer", "sgd", "--set", "optim.lr=0.1", "--set", "optim.momentum=0.9", "--set", "optim.nesterov=false")

WORKLOADS = {
    workload.key: workload
    for workload in (
        Workload(
            key="w1",
            title="MLP 784-512-256-10 on MNIST, batch 128, Adam 1e-3",
            batch_size=128,
            peers=(*TORCH_PEERS, *KERAS_PEERS, "sklearn"),
            modes=(
                Mode("process", "seconds", epochs=1),
                Mode("steady", "train_samples_per_second", epochs=4),
                Mode("target", "seconds_to_target", epochs=30, target=0.98, limpid_epochs=4),
            ),
            layers=(
                Layer("linear", (784, 512), first=True),
                Layer("linear", (512, 256)),
                Layer("linear", (256, 10)),
            ),
            source="mnist",
            model=("--model", "mlp", "--set", "model.hidden=512,256"),
            optimizer=ADAM,
        ),
        Workload(
            key="w2",
            title="LeNet-5 on MNIST, batch 128, Adam 1e-3",
            batch_size=128,
            peers=(*TORCH_PEERS, *KERAS_PEERS),
            modes=(
                Mode("process", "seconds", epochs=1),
                Mode("steady", "train_samples_per_second", epochs=3),
                Mode("target", "seconds_to_target", epochs=30, target=0.99, limpid_epochs=4),
            ),
            layers=(
                Layer("conv", (1, 6, 5, 1, 2, 28), first=True),
                Layer("conv", (6, 16, 5, 1, 0, 14)),
                Layer("linear", (400, 120)),
                Layer("linear", (120, 84)),
                Layer("linear", (84, 10)),
            ),
            source="mnist",
            model=("--model", "lenet5"),
            optimizer=ADAM,
        ),
        Workload(
            key="w3",
            title="ResNet-20 on 12,800 CIFAR-10 images, batch 128, SGD 0.1 momentum 0.9",
            batch_size=128,
            peers=(*TORCH_PEERS, *KERAS_PEERS),
            modes=(Mode("steady", "train_samples_per_second", epochs=2),),
            layers=(
                Layer("conv", (3, 16, 3, 1, 1, 32), first=True),
                Layer("conv", (16, 16, 3, 1, 1, 32), count=6),
                Layer("conv", (16, 32, 3, 2, 1, 32)),
                Layer("conv", (32, 32, 3, 1, 1, 16), count=5),
                Layer("conv", (32, 64, 3, 2, 1, 16)),
                Layer("conv", (64, 64, 3, 1, 1, 8), count=5),
                Layer("linear", (64, 10)),
            ),
            source="{data}/cifar10-images.tar.gz",
            model=("--model", "resnet20"),
            optimizer=SGD,
            rows=(12_800, 1_000),
        ),
        Workload(
            key="w4",
            title="LSTM 28-128 on the rows of MNIST, batch 128, Adam 1e-3",
            batch_size=128,
            peers=(*TORCH_PEERS, *KERAS_PEERS),
            modes=(Mode("steady", "train_samples_per_second", epochs=2),),
            layers=(
                Layer("linear", (28, 512), count=28, first=True),
                Layer("linear", (128, 512), count=28),
                Layer("linear", (128, 10)),
            ),
            source="mnist",
            model=("--model", "lstm", "--set", "model.units=128"),
            optimizer=(*ADAM, "--set", "optim.clip_norm=1e9"),
        ),
        Workload(
            key="w5",
            title="character GPT of 4 layers, 4 heads, width 128, context 64, batch 12, 2,000 updates; rates in tokens",
            batch_size=12,
            peers=("nanogpt-eager", "nanogpt-compile", "expert"),
            modes=(Mode("steps", "train_samples_per_second", epochs=10),),
            layers=(
                Layer("linear", (128, 384), count=4),
                Layer("linear", (128, 128), count=4),
                Layer("linear", (128, 512), count=4),
                Layer("linear", (512, 128), count=4),
                Layer("linear", (128, 65)),
            ),
            source="{data}/text/tinyshakespeare.txt",
            model=(
                *("--model", "gpt", "--set", "data.context=64", "--set", "data.valid_share=0"),
                *("--set", "data.test_share=0.1"),
            ),
            optimizer=(),
            tokens=64,
            steps_per_epoch=200,
            own_recipe=True,
        ),
        Workload(
            key="w6",
            title="Adult table, MLP 128-64 on one-hot columns, batch 256, Adam 1e-3, 10 epochs",
            batch_size=256,
            peers=(*TORCH_PEERS, *KERAS_PEERS, "sklearn"),
            modes=(Mode("process", "seconds", epochs=10),),
            layers=(
                Layer("linear", (108, 128), first=True),
                Layer("linear", (128, 64)),
                Layer("linear", (64, 1)),
            ),
            source="{data}/tables/adult-train.csv",
            model=(
                *("--target", "14", "--test", "{data}/tables/adult-test.csv"),
                *("--model", "mlp", "--set", "model.hidden=128,64", "--set", "data.encode=onehot"),
                *("--set", "model.numbers=plain", "--set", "model.dropout=0"),
            ),
            optimizer=ADAM,
        ),
    )
}
