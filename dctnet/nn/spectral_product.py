"""The products over channels of spectra at each frequency.

With f a frequency, n a picture, i and o channels, g the gradient,

    y    Y_fno = sum_i X_fni conj(W_foi)        the convolution
    x    X_fni = sum_o G_fno W_foi              its gradient for the maps
    w    W_foi = sum_n conj(G_fno) X_fni        and for the filters

All are ``(2, f, ., .)``, the real and the imaginary part; with groups, i of X and o are cut into groups, which do not mix.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dctnet.kernels.tensors import is_transformed


def product(kind: str, left: Tensor, right: Tensor, groups: int = 1) -> Tensor:
    """``kind`` "y": of X ``(2, f, n, in)`` and W ``(2, f, out, in / groups)``; "x": of G ``(2, f, n, out)`` and W; "w": of G
    and X."""
    if groups == 1:
        return _ungrouped(kind, left, right)
    f = left.shape[1]
    left = _grouped(left, groups)
    right = _grouped(right, groups) if kind == "w" else right.reshape(2, f * groups, -1, right.shape[-1])
    done = _ungrouped(kind, left, right)
    if kind == "w":
        return done.view(2, f, -1, done.shape[-1])
    return done.view(2, f, groups, *done.shape[2:]).transpose(2, 3).flatten(3)


def _ungrouped(kind: str, left: Tensor, right: Tensor) -> Tensor:
    # (a + ib)(c + id) with the signs of b and d as the conjugates want them
    left_sign, right_sign = {"y": (1, -1), "x": (1, 1), "w": (-1, 1)}[kind]
    if kind == "y":
        right = right.transpose(2, 3)
    elif kind == "w":
        left = left.transpose(2, 3)
    a, b, c, d = *left, *right
    followed = torch.is_grad_enabled() and (left.requires_grad or right.requires_grad)
    if is_transformed() or followed:  # what is recorded may be differentiated, and writes into nothing
        real = a @ c - left_sign * right_sign * (b @ d)
        return torch.stack([real, right_sign * (a @ d) + left_sign * (b @ c)])
    out = left.new_empty(2, left.shape[1], left.shape[2], right.shape[3])
    torch.bmm(a, c, out=out[0]).baddbmm_(b, d, alpha=-left_sign * right_sign)
    torch.bmm(a, d, out=out[1]).baddbmm_(b, c, beta=right_sign, alpha=left_sign)
    return out


def _grouped(spectrum: Tensor, groups: int) -> Tensor:
    """``(2, f, n, c)`` to ``(2, f * groups, n, c / groups)``."""
    two, f, n, c = spectrum.shape
    return spectrum.view(two, f, n, groups, c // groups).transpose(2, 3).reshape(two, f * groups, n, c // groups)
