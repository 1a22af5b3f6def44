"""Convolutions whose filters are learned as Fourier coefficients.

The spectrum of a real filter w of kh x kw taps, F(v, u) = (kh kw)^(-1/2) sum_yx w(y, x) exp(-2 pi i (v y / kh + u x / kw)),
is conjugate symmetric, so half of it says all: where (v, u) is its own negative F is real and counts once, all others of the
half have a real and an imaginary part. These are kh kw numbers in all. Learned are

    Re F  where F is real,    sqrt(2) Re F and sqrt(2) Im F  elsewhere

the coefficients of w in an orthonormal basis. The filters are those that a Conv2d has. What differs is where an optimiser
that scales each number by itself, such as Adam, takes them: the scales are those of frequencies. A step of plain gradient
descent is the same in both, to rounding.

Source: O. Rippel, J. Snoek and R. P. Adams, "Spectral representations for convolutional neural networks", NeurIPS 2015.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dctnet.arguments import several
from dctnet.nn.composed_conv import ComposedConv2d
from dctnet.nn.layer_arguments import arguments_of


class SpectralConv2d(ComposedConv2d):
    """In place of ``torch.nn.Conv2d``, with its arguments: the filters are kept as their half spectra.

    ``mixing``, the parameter, ``(out, in / groups, kh * kw)``, holds the numbers at the top of this file in the order of
    ``fourier_pictures``; ``spectrum`` is the complex half spectrum F, ``(out, in / groups, kh, kw // 2 + 1)``, and
    ``composed()`` the filters. Fresh layers have the variance of a Conv2d.

    >>> layer = SpectralConv2d(16, 32, 3, padding=1)
    >>> layer(torch.zeros(1, 16, 8, 8)).shape, layer.mixing.shape, layer.spectrum.shape
    (torch.Size([1, 32, 8, 8]), torch.Size([32, 16, 9]), torch.Size([32, 16, 3, 2]))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        sides = several("kernel_size", kernel_size, (1, 2), 1, of_whole=True)
        kernel = (sides[0], sides[-1])
        super().__init__(
            fourier_pictures(kernel),
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
        )

    @property
    def spectrum(self) -> Tensor:
        """F, ``(out, in / groups, kh, kw // 2 + 1)``, as ``torch.fft.rfft2(filters, norm="ortho")`` has it."""
        filters = self.composed()
        return torch.fft.rfft2(filters.to(torch.promote_types(filters.dtype, torch.float32)), norm="ortho")

    @classmethod
    def from_conv(cls, convolution: nn.Conv2d) -> SpectralConv2d:
        """The layer with the filters of a Conv2d, copied: weights that several layers have in common come apart.

        ValueError for another layer.
        """
        if not isinstance(convolution, nn.Conv2d):
            raise ValueError(f"{cls.__name__} takes the filters of a Conv2d; got {type(convolution).__name__}")
        layer = cls(*arguments_of(convolution), convolution.weight.device, convolution.weight.dtype)
        pictures = fourier_pictures(convolution.kernel_size).to(convolution.weight.device)
        with torch.no_grad():
            layer.mixing.copy_(torch.einsum("oihw,khw->oik", convolution.weight.double(), pictures))
            if layer.bias is not None:
                layer.bias.copy_(convolution.bias)
                layer.bias.requires_grad_(convolution.bias.requires_grad)
        layer.mixing.requires_grad_(convolution.weight.requires_grad)
        return layer.train(convolution.training)

    def to_conv(self) -> nn.Conv2d:
        """The Conv2d with the filters of this layer."""
        convolution = nn.Conv2d(*arguments_of(self), self.mixing.device, self.mixing.dtype)
        pictures = fourier_pictures(self.kernel_size).to(self.mixing.device)
        with torch.no_grad():
            convolution.weight.copy_(torch.einsum("oik,khw->oihw", self.mixing.double(), pictures))
            if self.bias is not None:
                convolution.bias.copy_(self.bias)
                convolution.bias.requires_grad_(self.bias.requires_grad)
        convolution.weight.requires_grad_(self.mixing.requires_grad)
        return convolution.train(self.training)


def fourier_pictures(kernel: tuple[int, int]) -> Tensor:
    """The orthonormal real Fourier basis of kh x kw samples, ``(kh * kw, kh, kw)``, float64.

    For each frequency of the half spectrum that is not the negative of an earlier one, row-major: its cosine, and, if it is
    not its own negative, minus its sine.

    >>> (2 * fourier_pictures((1, 4))).round(decimals=2)[:, 0]
    tensor([[ 1.0000,  1.0000,  1.0000,  1.0000],
            [ 1.4100,  0.0000, -1.4100, -0.0000],
            [-0.0000, -1.4100, -0.0000,  1.4100],
            [ 1.0000, -1.0000,  1.0000, -1.0000]], dtype=torch.float64)
    """
    height, width = kernel
    y, x = torch.arange(height, dtype=torch.float64)[:, None], torch.arange(width, dtype=torch.float64)
    pictures, seen = [], set()
    for v in range(height):
        for u in range(width // 2 + 1):
            negative = (-v % height, -u % width)
            if negative in seen:
                continue
            seen.add((v, u))
            angle = 2 * math.pi * (v * y / height + u * x / width)
            real = negative == (v, u)
            pictures += [angle.cos()] if real else [math.sqrt(2) * angle.cos(), -math.sqrt(2) * angle.sin()]
    return torch.stack(pictures) / math.sqrt(height * width)
