"""The device to compute on, tried before it is needed."""

from __future__ import annotations

import torch


def usable_device(name: str | None = None) -> torch.device:
    """The device called ``name``, by default a GPU if there is one. ValueError where it does not exist or does not work.

    >>> usable_device("cpu")
    device(type='cpu')
    """
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).add(1).item()
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).partition("\n")[0]
        raise ValueError(f"there is no usable device {name!r} here, try --device cpu: {reason}") from error
    return device
