"""The tensors of a convolution: map, filters and bias, and what they have to be."""

from __future__ import annotations

import torch
from torch import Tensor


def check_operands(x: Tensor, w: Tensor, bias: Tensor | None = None) -> None:
    """ValueError for numbers of axes, types, or a bias that do not go together; autocast takes any types.

    >>> check_operands(torch.zeros(1, 3, 8, 8), torch.zeros(4, 3, 3))
    Traceback (most recent call last):
    ValueError: maps are (n, c, h, w) with filters (o, c / groups, kh, kw), or (n, c, w) with (o, c / groups, kw), n may be left \
out; got (1, 3, 8, 8) and (4, 3, 3)
    """
    if w.dim() not in (3, 4) or x.dim() not in (w.dim(), w.dim() - 1):
        raise ValueError(
            "maps are (n, c, h, w) with filters (o, c / groups, kh, kw), or (n, c, w) with (o, c / groups, kw), n may be left "
            f"out; got {tuple(x.shape)} and {tuple(w.shape)}"
        )
    if bias is not None and bias.shape != w.shape[:1]:
        raise ValueError(f"bias has one number for each of {len(w)} outputs; got the shape {tuple(bias.shape)}")
    kinds = {t.dtype for t in (x, w, bias) if t is not None}
    if len(kinds) > 1 and not is_autocast(x):
        raise ValueError(
            f"map, filters and bias are of one type; got {', '.join(sorted(map(str, kinds)))}: convert with .to"
        )


def check_real(x: Tensor) -> None:
    """ValueError for maps that are no real floating-point numbers: ways that compute in float32 would give other numbers."""
    if not x.is_floating_point():
        raise ValueError(
            f"maps and filters are real floating-point numbers here; got {x.dtype}: convert them, or take the algorithm 'direct'"
        )


def as_autocast(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """The tensors in the type in which torch's own convolution would take them: under autocast its type, but float64 stays."""
    if not is_autocast(tensors[0]):
        return tensors
    kind = torch.get_autocast_dtype(tensors[0].device.type)
    return tuple(t if t is None or t.dtype == torch.float64 else t.to(kind) for t in tensors)


def is_autocast(x: Tensor) -> bool:
    """Whether autocast is on where this tensor is."""
    # Asked first, as that is quickest.
    return torch._C._is_any_autocast_enabled() and torch.is_autocast_enabled(x.device.type)
