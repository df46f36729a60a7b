"""How widely attention looks, head by head.

    entropy      H(softmax(Q K^T / sqrt(D))) as a share of ln(places that may be seen), mean over heads, rows and places
    narrow, even   shares of heads with an entropy below 0.2, and above 0.98

Shapes: B rows, H heads, T queries, S keys, D size of a head.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 16  # sequences whose weights are computed
NARROW, EVEN = 0.2, 0.98  # of the largest entropy: below, a head looks at a place or two; above, at all alike
ATTENTION: frozenset[Any] = frozenset((F.scaled_dot_product_attention, F.multi_head_attention_forward))
_WHOLE_LAYER = inspect.signature(F.multi_head_attention_forward)


@torch.no_grad()
def attention_spread(func: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """{kind, units (heads), entropy, narrow, even} of one call of one of the functions `ATTENTION`."""
    device = next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)).device.type
    with torch._C.DisableTorchFunction(), torch.autocast(device, enabled=False):
        weights_BHTS, seen = (
            _of_product(*args, **kwargs) if func is F.scaled_dot_product_attention else _of_layer(args, kwargs)
        )
        seen = seen.expand_as(weights_BHTS)
        entropy_BHT = -torch.xlogy(weights_BHTS, weights_BHTS).sum(dim=-1)
        places_BHT = seen.sum(dim=-1)
        free_BHT = places_BHT > 1  # where one place alone may be seen, nothing is chosen
        share_BHT = torch.where(free_BHT, entropy_BHT / places_BHT.clamp(min=2).log(), 0.0)
        heads_H = share_BHT.sum(dim=(0, 2)) / free_BHT.sum(dim=(0, 2)).clamp(min=1)
        return {
            "kind": "attention",
            "units": len(heads_H),
            "entropy": heads_H.mean(),
            "narrow": (heads_H < NARROW).float().mean(),
            "even": (heads_H > EVEN).float().mean(),
        }


def _of_product(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """Weights (B, H, T, S), and where they may be: what `scaled_dot_product_attention` computes on its way."""
    query, key = query[:ROWS].float(), key[:ROWS].float()
    if query.ndim == 3:
        query, key = query[:, None], key[:, None]
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
    if is_causal:
        seen = seen.tril()
    if attn_mask is not None:
        mask = attn_mask[:ROWS] if attn_mask.ndim == scores.ndim else attn_mask
        seen = seen & (mask if mask.dtype is torch.bool else torch.isfinite(mask))
        scores = scores if mask.dtype is torch.bool else scores + mask
    return scores.masked_fill(~seen, -math.inf).softmax(dim=-1).nan_to_num(), seen


def _of_layer(args: Any, kwargs: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """The same of torch's whole attention layer: its inputs are (T, B, W), its masks are True where nothing is seen."""
    given = _WHOLE_LAYER.bind(*args, **kwargs)
    options = given.arguments
    if options["query"].ndim == 2:
        options.update({name: options[name][:, None] for name in ("query", "key", "value")})
    options.update({name: options[name][:, :ROWS].float() for name in ("query", "key", "value")})
    options.update(training=False, need_weights=True, average_attn_weights=False)
    batch, heads = options["query"].shape[1], options["num_heads"]
    padding, mask = options.get("key_padding_mask"), options.get("attn_mask")
    if padding is not None:
        options["key_padding_mask"] = padding = padding[:ROWS].reshape(batch, -1)
    if mask is not None and mask.ndim == 3:
        options["attn_mask"] = mask = mask[: batch * heads]
    weights_BHTS = F.multi_head_attention_forward(*given.args, **given.kwargs)[1]
    assert weights_BHTS is not None
    seen = torch.ones(weights_BHTS.shape[-2:], dtype=torch.bool, device=weights_BHTS.device)
    if mask is not None:
        hidden = mask if mask.dtype is torch.bool else ~torch.isfinite(mask)
        seen = seen & ~(hidden.view(batch, heads, *hidden.shape[1:]) if hidden.ndim == 3 else hidden)
    if padding is not None:
        hidden = padding if padding.dtype is torch.bool else ~torch.isfinite(padding)
        seen = seen & ~hidden[:, None, None, :]
    return weights_BHTS.nan_to_num(), seen
