"""JPEG compression of pixels as a function of torch: the pixels that libjpeg's encoder and decoder make, with gradients.

    p -> levels -> Y, Cb, Cr -> averaged chroma -> X = DCT -> q [X / q] -> inverse DCT -> spread chroma -> R, G, B

Every step rounds as libjpeg-turbo's accurate integer method does (``jpeg.encoder_samples``, ``jpeg.integer_dct``,
``jpeg.pixels``), whose settings are Pillow's: its tables of a quality, baseline steps of at most 255, "fancy" upsampling.
All numbers are whole or have few binary digits, so float64 holds them exactly, on any device.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dctnet.arguments import choice
from dctnet.jpeg.encoder_samples import encoder_samples, ycbcr_of_rgb
from dctnet.jpeg.integer_dct import forward_dct, inverse_dct
from dctnet.jpeg.pixels import rgb_of_samples, upsample
from dctnet.quantization import quality_steps
from dctnet.robustness.channel import Channel, whole_strength
from dctnet.robustness.surrogates import SURROGATES, floored, straight_through

SPACINGS = {"4:4:4": (1, 1), "4:2:2": (1, 2), "4:2:0": (2, 2)}  # of chroma, along columns and rows


class JPEGCompression(Channel):
    """A JPEG file of the quality ``strength``, 1 to 100, written and read again: the pixels that Pillow gives, divided by 255.

    Pixels are first rounded to 255ths, as a file needs them. Pictures have three colours, or one: a gray file.
    ``subsampling`` is "4:4:4", "4:2:2" or "4:2:0". No quality is lossless, 100 neither: it rounds pixels, colours and
    coefficients. So the lossless strength is infinity, at which the input comes back as it is.

    Rounding has no gradient. That of the coefficients to multiples of their steps has the one that ``rounding`` names:
    "straight_through", that of the identity, or "smooth" (``surrogates``). All other roundings, of half a level at most, have
    that of the identity; clamping to 0..255 has its own. The values are the true ones either way.

    ValueError for another quality, subsampling or rounding, and for pictures of another number of colours.

    >>> gray = torch.full((1, 1, 8, 8), 0.4)
    >>> (JPEGCompression(75)(gray) * 255).round().unique()
    tensor([102.])
    """

    differentiable = True
    lossless = math.inf

    def __init__(self, strength: float = 75, subsampling: str = "4:2:0", rounding: str = "straight_through"):
        quality = strength if strength == math.inf else whole_strength("the quality", strength, 1, 100)
        super().__init__(quality)
        self.subsampling = choice("subsampling", subsampling, SPACINGS)
        self.rounding = choice("rounding", rounding, SURROGATES)

    def change(self, pixels: Tensor) -> Tensor:
        if pixels.shape[1] not in (1, 3):
            raise ValueError(f"JPEG has pictures of three colours, or gray ones; got {pixels.shape[1]} channels")
        inside = (255 * pixels.to(torch.float64)).clamp(0, 255)
        levels = floored(inside + 0.5)
        spacing, rounding = SPACINGS[self.subsampling], SURROGATES[self.rounding]
        return (compressed(levels, int(self.strength), spacing, rounding) / 255).to(pixels.dtype)

    def extra_repr(self) -> str:
        return f"quality={self.strength:g}, subsampling={self.subsampling!r}, rounding={self.rounding!r}"


def compressed(
    levels: Tensor,
    quality: int,
    spacing: tuple[int, int] = (2, 2),
    rounding: Callable[[Tensor, Tensor], Tensor] = straight_through,
) -> Tensor:
    """Whole levels 0..255 in float64, ``(n, 3, h, w)`` or ``(n, 1, h, w)``, as a JPEG file gives them back."""
    height, width = levels.shape[-2:]
    planes = ycbcr_of_rgb(levels, floored) if levels.shape[1] == 3 else [levels[:, 0]]
    shown = []
    for number, plane in enumerate(planes):
        step = spacing if number else (1, 1)
        samples = encoder_samples(plane, step, floored)
        coefficients = quantized(forward_dct(samples, floored), quality_steps(quality)[number], rounding)
        samples = (inverse_dct(coefficients, floored) + 128).clamp(0, 255)
        samples = samples[..., : -(-height // step[0]), : -(-width // step[1])]
        shown.append(upsample(samples, step, _shifted)[..., :height, :width])
    return rgb_of_samples(*shown, floored) if len(shown) == 3 else shown[0][:, None]


def quantized(transformed: Tensor, steps: Tensor, rounding: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Coefficients, each the nearest multiple of its step, of what ``forward_dct`` gives; halves go away from zero.

    ``steps`` (64,) are row-major. Baseline's limits of +-1023 are not asked for: samples of 8 bits do not reach them.
    """
    steps = steps.to(transformed.device, transformed.dtype).view(8, 1, 8)
    ratio = transformed.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)) / (8 * steps)
    rounded = ratio.sign() * (ratio.abs() + 0.5).floor()  # ratios are 1 / (8 step) apart: none is almost a half
    return (rounding(ratio, rounded) * steps).flatten(-2).flatten(-3, -2)


def _shifted(values: Tensor, bits: int) -> Tensor:
    return floored(values / 2**bits)
