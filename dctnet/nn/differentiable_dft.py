"""``partial_dft`` for gradients of gradients: two linear functions, each the adjoint of the other and so its gradient.

A gradient that is itself differentiated, as for a product of a Hessian and a vector, must be made of functions that autograd
follows. The transforms write into buffers, which it does not; here they are its nodes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dctnet.nn import partial_dft
from dctnet.nn.fast_dft import Side


def spectra(maps: Tensor, rows: Side, columns: Side) -> Tensor:
    """As ``partial_dft.spectra``; differentiable any number of times."""
    return _Spectra.apply(maps, rows, columns)


def samples(spectrum: Tensor, rows: Side, columns: Side) -> Tensor:
    """As ``partial_dft.samples``; differentiable any number of times."""
    return _Samples.apply(spectrum, rows, columns)


class _Spectra(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, rows: Side, columns: Side) -> Tensor:
        ctx.sides = rows, columns
        return partial_dft.spectra(maps, rows, columns)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return samples(gradient, *ctx.sides), None, None


class _Samples(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spectrum: Tensor, rows: Side, columns: Side) -> Tensor:
        ctx.sides = rows, columns
        return partial_dft.samples(spectrum, rows, columns)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return spectra(gradient, *ctx.sides), None, None
