"""Convolutions whose filters are mixed from the two-dimensional DCT basis of their own size.

With d_k the basis pictures of a kh x kw block (row-major bands kw*v + u, orthonormal), a filter from input i to output o is

    w_oi = sum_k m_oik d_k          over the bands k with v + u < level

and m, the mixing, is what is learned. Source: M. Ulicny, V. A. Krylov and R. Dahyot, "Harmonic convolutional networks based on
discrete cosine transform", Pattern Recognition 2022 (first as "Harmonic networks for image classification", BMVC 2019).

There are two forms. The plain one composes w and convolves once: the cost of a Conv2d, and at full level the same function.
The paper's, with ``use_bn``, normalises the responses of each input to each d_k before they are mixed:

    y_o = sum_ik m_oik BN(d_k * x_i) + bias_o

which needs them all in memory, and costs kh*kw multiply-adds for each response on top of the mixing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dctnet.arguments import flag, several, whole
from dctnet.dct import cosines
from dctnet.nn.composed_conv import ComposedConv2d
from dctnet.nn.layer_arguments import arguments_of


class HarmonicConv2d(nn.Module):
    """In place of ``torch.nn.Conv2d``: its arguments, and ``level`` and ``use_bn``.

    ``level`` L is 1 to kh + kw - 1, or None for that: the bands with v + u < L are used. Of a 3x3 filter these are 1, 3, 6, 8
    and 9 of 9, and ``mixing``, ``(out, in / groups, bands)``, is so many times as large as a Conv2d's weight. ``use_bn``
    normalises the responses, without scale and shift, as the mixing has them. ``weight`` are the composed filters, ``(out, in /
    groups, kh, kw)``.

    It starts as a Conv2d does: uniform numbers of variance 1 / (3 * in / groups * bands). They are the coefficients of the
    filters in an orthonormal basis, so weight decay and learning rate mean what they mean for a Conv2d.
    ValueError for a level out of range.

    >>> layer = HarmonicConv2d(16, 32, 3, padding=1, level=3)
    >>> layer(torch.zeros(1, 16, 8, 8)).shape, layer.mixing.shape
    (torch.Size([1, 32, 8, 8]), torch.Size([32, 16, 6]))
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
        *,
        level: int | None = None,
        use_bn: bool = False,
    ):
        super().__init__()
        channels, place = (in_channels, out_channels), {"device": device, "dtype": dtype}
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "padding_mode": padding_mode}
        sides = several("kernel_size", kernel_size, (1, 2), 1, of_whole=True)
        kernel = (sides[0], sides[-1])
        self.level = sum(kernel) - 1 if level is None else whole("level", level, 1, sum(kernel) - 1)
        self.use_bn = flag("use_bn", use_bn)
        bands = basis_pictures(kernel, self.level)
        if use_bn:
            count = in_channels * len(bands)
            self.responses = nn.Conv2d(in_channels, count, kernel, groups=in_channels, bias=False, **geometry, **place)
            pictures = bands.repeat(in_channels, 1, 1)[:, None].to(self.responses.weight)
            del self.responses.weight  # it is no parameter: the pictures stay as they are
            self.responses.register_buffer("weight", pictures, persistent=False)
            self.norm = nn.BatchNorm2d(count, affine=False, **place)
            self.mix = nn.Conv2d(count, out_channels, 1, groups=groups, bias=bias, **place)
        else:
            self.convolution = ComposedConv2d(bands, *channels, kernel, groups=groups, bias=bias, **geometry, **place)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.norm(self.responses(x))) if self.use_bn else self.convolution(x)

    @property
    def mixing(self) -> Tensor:
        """m: the learned numbers ``(out, in / groups, bands)``."""
        if not self.use_bn:
            return self.convolution.mixing
        count = self.responses.out_channels // self.responses.in_channels
        return self.mix.weight[..., 0, 0].unflatten(1, (-1, count))

    @property
    def bias(self) -> Tensor | None:
        return (self.mix if self.use_bn else self.convolution).bias

    @property
    def weight(self) -> Tensor:
        """The filters that m makes of the basis, ``(out, in / groups, kh, kw)``; with ``use_bn`` without the normalisation."""
        if not self.use_bn:
            return self.convolution.composed()
        pictures = self.responses.weight[: self.mixing.shape[2], 0]
        return torch.einsum("oik,khw->oihw", self.mixing, pictures)

    @classmethod
    def from_conv(cls, convolution: nn.Conv2d, level: int | None = None, use_bn: bool = False) -> HarmonicConv2d:
        """The layer with the weights of a Conv2d in the DCT basis: the same function at full level, else its projection.

        With ``use_bn`` this holds in evaluation, where the running statistics are still 0 and 1; in training the responses are
        normalised, and the network has to get used to it.
        """
        weight = convolution.weight.detach()
        layer = cls(
            *arguments_of(convolution),
            weight.device,
            weight.dtype,
            level=level,
            use_bn=use_bn,
        )
        pictures = basis_pictures(convolution.kernel_size, layer.level).to(weight.device)
        mixing = torch.einsum("oihw,khw->oik", weight.double(), pictures)
        with torch.no_grad():
            layer.mixing.copy_(mixing * (1 + layer.norm.eps) ** 0.5 if use_bn else mixing)
            if layer.bias is not None:
                layer.bias.copy_(convolution.bias)
        return layer.train(convolution.training)

    def to_conv(self) -> nn.Conv2d:
        """The Conv2d that does the same; of the normalisation, what it does in evaluation."""
        source = self.responses if self.use_bn else self.convolution
        last = self.mix if self.use_bn else self.convolution
        mixing, bias = self.mixing.detach().double(), None if last.bias is None else last.bias.detach().double()
        if self.use_bn:
            # BN is r / deviation - mean / deviation, for each input and band; a filter reads those of its group.
            deviation = (self.norm.running_var.double() + self.norm.eps).sqrt()
            means = (self.norm.running_mean.double() / deviation).view(last.groups, 1, *mixing.shape[1:])
            grouped = mixing.unflatten(0, (last.groups, -1))
            shift = (grouped * means).sum((2, 3)).flatten()
            bias = -shift if bias is None else bias - shift
            mixing = (grouped / deviation.view(last.groups, 1, *mixing.shape[1:])).flatten(0, 1)
        pictures = basis_pictures(source.kernel_size, self.level).to(mixing.device)
        convolution = nn.Conv2d(
            source.in_channels,
            last.out_channels,
            source.kernel_size,
            source.stride,
            source.padding,
            source.dilation,
            last.groups,
            bias is not None,
            source.padding_mode,
            self.mixing.device,
            self.mixing.dtype,
        )
        with torch.no_grad():
            convolution.weight.copy_(torch.einsum("oik,khw->oihw", mixing, pictures))
            if bias is not None:
                convolution.bias.copy_(bias)
        return convolution.train(self.training)

    def extra_repr(self) -> str:
        return f"level={self.level}, use_bn={self.use_bn}"


def basis_pictures(kernel: tuple[int, int], level: int) -> Tensor:
    """d_k for the bands with v + u < level, row-major, ``(bands, kh, kw)``, float64.

    >>> [len(basis_pictures((3, 3), level)) for level in (1, 2, 3, 4, 5)]
    [1, 3, 6, 8, 9]
    """
    pictures = torch.einsum("vy,ux->vuyx", cosines(kernel[0]), cosines(kernel[1]))
    low = torch.arange(kernel[0])[:, None] + torch.arange(kernel[1]) < level
    return pictures[low]
