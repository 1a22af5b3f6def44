"""Rounded values with a gradient that rounding has not: the values are the rounded ones, only the gradient is another's."""

from __future__ import annotations

import torch
from torch import Tensor

from dctnet.kernels.tensors import is_tracked


def straight_through(values: Tensor, rounded: Tensor) -> Tensor:
    """``rounded`` with the gradient of ``values``, as if nothing had been rounded.

    Source: Y. Bengio, N. Léonard and A. Courville, "Estimating or propagating gradients through stochastic neurons", 2013.

    >>> x = torch.tensor([1.2, 2.6], requires_grad=True)
    >>> straight_through(x, x.round()).sum().backward()
    >>> x.grad
    tensor([1., 1.])
    """
    return rounded.detach() + (values - values.detach()) if is_tracked(values) else rounded


def smooth(values: Tensor, rounded: Tensor) -> Tensor:
    """``rounded`` with the gradient of r + (x - r)^3, r = ``rounded`` and x = ``values``: 3 (x - r)^2.

    It is zero at the whole numbers and 3/4 half-way between them, where a small change of x changes r most likely.

    Source: R. Shin and D. Song, "JPEG-resistant adversarial images", NeurIPS workshop on machine learning and computer
    security, 2017.

    >>> x = torch.tensor([1.0, 2.25], requires_grad=True)
    >>> smooth(x, x.round()).sum().backward()
    >>> x.grad
    tensor([0.0000, 0.1875])
    """
    return straight_through((values - rounded.detach()) ** 3, rounded) if is_tracked(values) else rounded


def floored(values: Tensor) -> Tensor:
    """The whole number below, with the gradient of ``values``."""
    return straight_through(values, torch.floor(values))


SURROGATES = {"straight_through": straight_through, "smooth": smooth}
