"""The compiled block transform as a function of torch: values, gradients of either mode, ``torch.func``.

For float32 in ordinary memory (``tensors.is_plain``). Blocks lie one after the other, ``(..., H/b, W/b, b*b)``; ``dct`` says what
is computed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dctnet.kernels import _native
from dctnet.kernels.tensors import as_array, is_tracked


def to_blocks(samples: Tensor, b: int) -> Tensor:
    """Samples ``(..., H, W)``, whole blocks, to the coefficients of blocks ``(..., H/b, W/b, b*b)``."""
    return _Orthonormal.apply(samples, b, False) if is_tracked(samples) else _forward(samples, b)


def to_samples(blocks: Tensor, b: int) -> Tensor:
    """The inverse: blocks ``(..., P, Q, b*b)`` to samples ``(..., P*b, Q*b)``."""
    return _Orthonormal.apply(blocks, b, True) if is_tracked(blocks) else _inverse(blocks, b)


def to_ended_blocks(samples: Tensor, b: int, ending: Tensor) -> Tensor:
    """``gain * to_blocks(samples, b) + shift`` in one pass, ``ending`` (2, b*b) the gain and the shift; without gradient."""
    return _forward(samples, b, ending.to(torch.float32))


def _forward(samples: Tensor, b: int, ending: Tensor | None = None) -> Tensor:
    height, width = samples.shape[-2:]
    blocks = torch.empty(*samples.shape[:-2], height // b, width // b, b * b, dtype=torch.float32)
    affine = None if ending is None else ending.numpy()
    _native.block_dct(as_array(samples, 2), as_array(blocks, 3), b, torch.get_num_threads(), affine)
    return blocks


def _inverse(blocks: Tensor, b: int) -> Tensor:
    rows, columns = blocks.shape[-3:-1]
    samples = torch.empty(*blocks.shape[:-3], rows * b, columns * b, dtype=torch.float32)
    _native.block_idct(as_array(blocks, 3), as_array(samples, 2), b, torch.get_num_threads())
    return samples


class _Orthonormal(torch.autograd.Function):
    """Either way; the gradient of an orthonormal transform is its inverse, the other way."""

    @staticmethod
    def forward(values: Tensor, b: int, inverse: bool) -> Tensor:
        return _inverse(values, b) if inverse else _forward(values, b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int, bool], output: Tensor) -> None:
        _, ctx.b, ctx.inverse = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Orthonormal.apply(gradient, ctx.b, not ctx.inverse), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        return _Orthonormal.apply(tangent, ctx.b, ctx.inverse)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int, None, None], values: Tensor, b: int, inverse: bool) -> tuple[Tensor, int]:
        return _Orthonormal.apply(values.movedim(in_dims[0], 0), b, inverse), 0
