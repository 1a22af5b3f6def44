"""Which tensors the compiled loops take, and how."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.forward_ad import unpack_dual


def is_watched() -> bool:
    """Whether torch follows its own operations: ``torch.compile``, ``torch.jit.trace``, ``make_fx``, ``FakeTensorMode``, ...

    A compiled loop is none of them: its result would be recorded as a constant, or read from memory that is not there.
    """
    # In this order: nothing behind the first could be compiled.
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or torch._C._len_torch_dispatch_stack() > 0


def is_transformed() -> bool:
    """Whether torch follows its own operations, or differentiates them forwards or by ``torch.func``: then only those will do
    that it knows, and none that write into a buffer.
    """
    return is_watched() or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def is_plain(values: Tensor) -> bool:
    """Whether the compiled loop takes these values: float32 in ordinary memory. ``torch.compile`` makes loops of its own."""
    return (
        not torch.compiler.is_compiling()  # first: what follows it could not trace
        and values.dtype == torch.float32
        and values.device.type == "cpu"
        and type(values) in (Tensor, torch.nn.Parameter)
        and not values.is_neg()
        and not is_watched()
    )


def is_tracked(values: Tensor) -> bool:
    """Whether somebody asks for more than the values: gradients of either mode, or ``torch.func``."""
    return (
        (values.requires_grad and torch.is_grad_enabled())
        or torch._C._are_functorch_transforms_active()
        or unpack_dual(values).tangent is not None
    )


def as_array(values: Tensor, axes: int) -> np.ndarray:
    """All but the last ``axes`` axes as one. Gradients that come by way of complex numbers may be negated in name only."""
    return values.detach().resolve_neg().numpy().reshape(math.prod(values.shape[:-axes]), *values.shape[-axes:])
