"""Compression of a picture by the singular values of its colours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dctnet.arguments import finite
from dctnet.nn.spectrum_masks import ALMOST_ONE
from dctnet.robustness.channel import Channel


class SVDCompression(Channel):
    """The share ``strength``, of [0, 1), of the singular values of each colour, an h x w matrix, is dropped: the smallest.

    Of min(h, w) singular values the nearest whole number is kept, at least one (``kept``). The result is, before clamping, the
    nearest matrix of that rank in L2 (Eckart and Young). The gradient is that of ``low_rank``.

    >>> rows = torch.linspace(0, 1, 6)[:, None] * torch.linspace(0, 1, 4)                # of rank one
    >>> torch.allclose(SVDCompression(0.75)(rows[None, None]), rows, atol=1e-6)
    True
    """

    differentiable = True
    lossless = 0.0

    def __init__(self, strength: float = 0.5):
        super().__init__(finite("the share of the singular values that is dropped", strength, 0, ALMOST_ONE))

    def kept(self, size: tuple[int, int]) -> int:
        """How many singular values of a colour of ``size`` (height, width) are kept."""
        return max(1, round((1 - self.strength) * min(size)))

    def change(self, pixels: Tensor) -> Tensor:
        return low_rank(pixels, self.kept(pixels.shape[-2:]))

    def extra_repr(self) -> str:
        return f"dropped={self.strength:g}"


def low_rank(matrices: Tensor, rank: int) -> Tensor:
    """The nearest matrices of that rank, ``U_k S_k V_k'``, of ``(..., h, w)``; differentiable once.

    It is the gradient of half the sum of the k greatest squared singular values, so its own derivative is symmetric: of a
    direction G with the entries M = U' G V it keeps those of i, j <= k, drops those of i, j > k, and has in between

        i <= k < j:   (s_i^2 M_ij + s_i s_j M_ji) / (s_i^2 - s_j^2),   and likewise with i and j exchanged.

    Only the gap between kept and dropped values counts: unlike the derivative of U, S and V it does not fail where two kept or
    two dropped ones are equal, as in flat pictures. A gap below eps s_1^2 counts as so much.

    >>> low_rank(torch.diag(torch.tensor([3.0, 2.0, 1.0])), 2).diagonal()
    tensor([3., 2., 0.])
    """
    return _LowRank.apply(matrices, rank)


class _LowRank(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrices: Tensor, rank: int) -> Tensor:
        u, s, v = torch.linalg.svd(matrices, full_matrices=False)
        ctx.save_for_backward(u, s, v)
        ctx.rank = rank
        return (u[..., :rank] * s[..., None, :rank]) @ v[..., :rank, :]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (u, s, v), k = ctx.saved_tensors, ctx.rank
        rows, columns = u.mT @ gradient, gradient @ v.mT
        entries = rows @ v.mT
        kept, dropped = s[..., :k, None], s[..., None, k:]
        least = torch.finfo(s.dtype).eps * s[..., :1, None].square()
        gap = (kept.square() - dropped.square()).clamp(min=least.clamp(min=torch.finfo(s.dtype).tiny))
        upper, lower = entries[..., :k, k:], entries[..., k:, :k].mT
        across = (kept.square() * upper + kept * dropped * lower) / gap
        down = (kept.square() * lower + kept * dropped * upper) / gap
        inner = torch.zeros_like(entries)
        inner[..., :k, :k], inner[..., :k, k:], inner[..., k:, :k] = entries[..., :k, :k], across, down.mT
        # Beyond the singular vectors there are, where h and w differ, the singular values are zero.
        below = (columns - u @ entries)[..., :k] @ v[..., :k, :]
        beside = u[..., :k] @ (rows - entries @ v)[..., :k, :]
        return u @ inner @ v + below + beside, None
