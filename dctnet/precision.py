"""Arithmetic in the dtype of its operands, whatever autocast says: coefficients of 12 bits do not fit the 8 of bfloat16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """A context without autocast, on the devices that have autocast ("meta" has not)."""
    # Asked first, as that is quickest: among other work, even to ask a device for its type takes microseconds.
    if torch._C._is_any_autocast_enabled() and torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
