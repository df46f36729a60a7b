"""A network that takes raw samples: standardise on the device, then compute.

Shapes: B batch, C channels, H height, W width, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limpid.errors import ModelError
from limpid.spec import DataSpec


class InputScale(nn.Module):
    """Standardise the first input with the training split's statistics.

        z = (x - mean) / std        x of uint8 counts as x / 255
        z R                         on flattened samples, where the spec has a rotation R

    The result is float32, or bfloat16 under a bfloat16 autocast, so that no later layer has to cast it again. The
    memory format stays what it was. Without statistics in the spec a float input passes unchanged.
    """

    mean: Tensor
    inv_std: Tensor
    byte_gain: Tensor
    byte_shift: Tensor
    rotation: Tensor | None

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        pictures = spec.kind in ("image", "captions")
        self.enabled = bool(spec.scale_mean) or pictures
        per_channel = len(spec.scale_mean) in (0, 1, spec.input_shape[0])
        shape = (-1,) if not pictures else (-1, 1, 1) if per_channel else spec.input_shape
        std = torch.tensor(spec.scale_std or (1.0,)).reshape(shape)
        self.register_buffer("mean", torch.tensor(spec.scale_mean or (0.0,)).reshape(shape))
        self.register_buffer("inv_std", torch.where(std > 0, 1 / std, 1.0))
        # Bytes take two passes, x * gain + shift, with the division by 255 folded in.
        self.register_buffer("byte_gain", self.inv_std / 255, persistent=False)
        self.register_buffer("byte_shift", -self.mean * self.inv_std, persistent=False)
        self.register_buffer("rotation", torch.tensor(spec.scale_rotation) if spec.scale_rotation else None)
        self.shape_before, self.shape_behind = spec.input_shape, spec.scaled_shape or spec.input_shape

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.byte_gain.copy_(self.inv_std / 255)
        self.byte_shift.copy_(-self.mean * self.inv_std)

    def forward(self, x: Tensor) -> Tensor:
        if not self.enabled:
            return x
        if x.dtype is torch.uint8:
            z = x.float().mul_(self.byte_gain).add_(self.byte_shift)
        else:  # subtract first: a mean far larger than the deviation must not cost precision
            z = torch.sub(x, self.mean).mul_(self.inv_std)
        if self.rotation is not None:
            with torch.autocast(z.device.type, enabled=False):
                z = (z.float().flatten(1) @ self.rotation).view(-1, *self.shape_behind)
        device = z.device.type
        if device == "meta":  # shapes alone, which have no arithmetic
            return z.float()
        if torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) is torch.bfloat16:
            return z.bfloat16()
        return z.float()

    def inverse(self, z: Tensor) -> Tensor:
        """The samples behind z, as floats (bytes as 0 to 1); with fewer directions than values, the nearest ones."""
        if not self.enabled:
            return z
        x = z.double()
        if self.rotation is not None:
            x = (x.flatten(1) @ torch.linalg.pinv(self.rotation.double())).view(-1, *self.shape_before)
        return (x / self.inv_std + self.mean).float()

    def extra_repr(self) -> str:
        turned = "" if self.rotation is None else f", turned to {self.rotation.shape[1]} directions"
        return f"{self.mean.numel()} statistics{turned}" if self.enabled else "identity"


class Network(nn.Module):
    """`body` behind the scaling of its first input; further inputs (category codes) pass as they are.

    The outputs have shape (B, num_outputs): logits, or for regression values in units of the standardised target.
    """

    def __init__(self, spec: DataSpec, body: nn.Module) -> None:
        super().__init__()
        self.scale = InputScale(spec)
        self.body = body

    def forward(self, x: Tensor, *rest: Tensor) -> Tensor:
        return self.body(self.scale(x), *rest)


def example_inputs(spec: DataSpec, batch: int, *, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
    """Inputs of the form that the spec promises, all zero: what a probe of shapes or costs needs."""
    shape = (batch, *spec.input_shape)
    if spec.kind in ("series", "text", "pairs"):
        first = torch.zeros(shape, dtype=torch.float32 if spec.kind == "series" else torch.int64, device=device)
        lengths_B = torch.full((batch,), spec.input_shape[0], dtype=torch.int64, device=device)
        if spec.kind != "pairs":
            return first, lengths_B
        return first, lengths_B, torch.zeros((batch, *spec.output_shape), dtype=torch.int64, device=device)
    first = torch.zeros(
        shape, dtype=torch.uint8 if spec.kind in ("image", "captions") else torch.float32, device=device
    )
    if spec.kind == "captions":
        return first, torch.zeros((batch, *spec.output_shape), dtype=torch.int64, device=device)
    if not spec.cardinalities:
        return (first,)
    return first, torch.zeros((batch, len(spec.cardinalities)), dtype=torch.int64, device=device)


def wrap_module(module: nn.Module, spec: DataSpec) -> Network:
    """Put any module behind the input scaling, after trying it on a batch of two.

    Raises ModelError when the module refuses such a batch or answers with another shape than (B, num_outputs).
    """
    network = module if isinstance(module, Network) else Network(spec, module)
    check_output(network, spec, name=type(module).__name__)
    return network


def check_output(network: Network, spec: DataSpec, *, name: str) -> None:
    """Run a batch of two in evaluation mode. Raises ModelError unless it gives (2, num_outputs) floats."""
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    inputs = example_inputs(spec, 2, device=device)
    given = ", ".join(f"{tuple(x.shape)} {str(x.dtype).removeprefix('torch.')}" for x in inputs)
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            outputs = _forward(network, inputs, spec)
    except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
        raise ModelError(
            f"{name} cannot take a batch of this data, {given}: {str(error).rstrip('.')}. "
            + ("Set data.image_size to a side that it takes" if spec.kind == "image" else "Change the first layer")
            + ", or use another model."
        ) from error
    finally:
        for module, training in modes.items():
            module.training = training
    places = (spec.output_shape or spec.input_shape[:1]) if spec.task == "tokens" else ()
    expected = (2, *places, spec.num_outputs)
    if not isinstance(outputs, Tensor) or tuple(outputs.shape) != expected or not outputs.is_floating_point():
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ModelError(
            f"{name}: expected outputs of shape {expected} for a batch of 2, got {got}. "
            f"The last layer must give one column per output ({spec.task}: {spec.num_outputs})."
        )


def _forward(network: Network, inputs: tuple[Tensor, ...], spec: DataSpec) -> Tensor:
    if spec.kind != "array":
        return network(*inputs)
    try:
        return network(*inputs)
    except (RuntimeError, IndexError):  # arrays may hold tokens, whose layers take integers only
        try:
            return network(inputs[0].long(), *inputs[1:])
        except (RuntimeError, IndexError):
            pass
        raise
