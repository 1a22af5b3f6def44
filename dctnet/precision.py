"""Arithmetic in the dtype of its operands, whatever autocast says: coefficients of 12 bits do not fit the 8 of bfloat16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager:
    """A context without autocast; where none is on, or could be ("meta" has none), one that does nothing and costs as much."""
    kind = device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()
