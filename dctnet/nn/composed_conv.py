"""Convolutions whose filters are sums of fixed pictures: only the weights of the pictures are learned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dctnet.precision import full_precision


class ComposedConv2d(nn.Conv2d):
    """A Conv2d whose weight is composed at each call, w_oi = sum_k m_oik d_k. It counts as the convolution that it is.

    ``pictures`` d is ``(bands, kh, kw)``, orthonormal; the parameter ``mixing`` m is ``(out, in / groups, bands)``, at first
    uniform numbers of variance 1 / (3 * in / groups * bands), as those of a Conv2d.
    """

    def __init__(self, pictures: Tensor, in_channels: int, out_channels: int, kernel: tuple[int, int], **options: Any):
        super().__init__(in_channels, out_channels, kernel, **options)
        like = self.weight
        del self.weight
        self.register_buffer("pictures", pictures.to(like), persistent=False)
        self.mixing = nn.Parameter(like.new_empty(*like.shape[:2], len(pictures)))
        bound = (like.shape[1] * len(pictures)) ** -0.5
        nn.init.uniform_(self.mixing, -bound, bound)

    def composed(self) -> Tensor:
        with full_precision(self.mixing.device):
            return torch.einsum("oik,khw->oihw", self.mixing, self.pictures)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.composed(), self.bias)
