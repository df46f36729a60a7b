"""Named tensors as bytes and back, in the safetensors format, which cannot hold code; and their digest.

Files that could run code when loaded (pickles, and the zip archives of `torch.save`) are refused by their first bytes,
whatever their names are. There is no other way in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from torch import Tensor

from limpid.errors import CheckpointError, RecordError
from limpid.record.checkpoints import Checkpoint
from limpid.record.strict_json import parse_json, read_regular

MODEL, BEST = "model.safetensors", "best.safetensors"

# Bytes. A header takes about 100 per tensor; this bounds what a hostile file can make us allocate.
LARGEST_HEADER = 16 * 2**20

_HOW_TO_CONVERT = (
    "Pickled weights are never loaded, because loading them can run any program. If you trust the file, convert it "
    "once: safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'weights.safetensors')."
)


def encode_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """The safetensors bytes of tensors of any device, memory layout and sharing; values and dtypes are exact."""
    seen: set[int] = set()
    plain = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage().data_ptr()
        plain[name] = tensor.clone() if storage in seen else tensor  # the format has no shared storage (tied weights)
        seen.add(storage)
    return safetensors_torch.save(plain)


def decode_tensors(data: bytes, origin: str) -> dict[str, Tensor]:
    """The tensors of safetensors bytes, on the CPU. Raises CheckpointError naming `origin`; runs nothing."""
    header_size = int.from_bytes(data[:8], "little")
    if data[8:9] != b"{" or header_size > min(len(data) - 8, LARGEST_HEADER):
        if data[:2] in (b"PK", b"\x1f\x8b") or data[:1] == b"\x80":  # alone, these may be the size of a header
            raise CheckpointError(f"{origin} is a pickle or an archive, expected safetensors. {_HOW_TO_CONVERT}")
        raise CheckpointError(f"{origin} is damaged or not a safetensors file: its header does not fit.")
    try:
        parse_json(data[8 : 8 + header_size], f"the header of {origin}")
        return safetensors_torch.load(data)
    except RecordError as error:
        raise CheckpointError(str(error)) from None
    except (SafetensorError, KeyError, ValueError, RuntimeError, AssertionError) as error:
        raise CheckpointError(f"{origin} is damaged or not a safetensors file: {error}.") from error


def load_weights(source: Checkpoint | str | Path) -> dict[str, Tensor]:
    """The weights to use: a checkpoint's best ones (else its last), or those of a .safetensors file.

    Raises CheckpointError for anything else, with advice for pickled files, which are never opened.
    """
    if isinstance(source, Checkpoint):
        name = BEST if BEST in source.files else MODEL
        return decode_tensors(source.read(name), str(source.path / name))
    path = Path(source)
    if path.suffix != ".safetensors":
        advice = _HOW_TO_CONVERT if path.suffix in (".pt", ".pth", ".bin", ".ckpt", ".pkl") else ""
        raise CheckpointError(f"{path}: expected a .safetensors file. {advice}".rstrip())
    try:
        return decode_tensors(read_regular(path), str(path))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file.") from None


def state_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hexadecimal, of names, dtypes, shapes and values; the order of names and the layout do not matter."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode() + b"\n")
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
