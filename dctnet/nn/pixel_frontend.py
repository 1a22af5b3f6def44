"""Pixels from coefficients as one differentiable linear layer, for networks that want pixels.

    pixels = D (M [Y, up(Cb), up(Cr)] + shift) + offset

Each plane passes the inverse block DCT; up doubles the chroma with libjpeg's triangle filter ("fancy upsampling", JFIF's
centred siting); M and shift are JFIF's conversion; D and offset scale and normalise. M, shift, D and offset are one 3 x 3
matrix and a vector, multiplied out when the layer is made.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.coefficients import Coefficients, block_sizes
from dctnet.dct import basis
from dctnet.nn.planes import check_planes
from dctnet.precision import full_precision

# JFIF 1.02: from (Y, Cb - 128, Cr - 128) to (R, G, B); follows from the luma weights 0.299, 0.587, 0.114 of BT.601.
_TO_RGB = (
    (1.0, 0.0, 1.402),
    (1.0, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587),
    (1.0, 1.772, 0.0),
)


class PixelFrontend(nn.Module):
    """Coefficients to pixels ``(n, 3, H, W)``, H x W the samples of the luma plane.

    The output is ``(scale / 255 * v - mean) / std`` per channel, v the value in gray levels 0..255 of R, G, B
    (``color="rgb"``) or of Y, Cb, Cr as JPEG stores them (``color="ycbcr"``): ``scale=1`` gives 0..1, ``scale=255`` gray
    levels; ``mean`` and ``std`` are measured on that scale. ``mean=(128, 128, 128), scale=255, color="ycbcr"`` gives the
    samples of which the coefficients are the DCT.

    ``block_size`` is one number, or (luma, chroma). Chroma is doubled along each axis where the luma plane has twice its
    samples, and taken as it is where it has as many; a plane of one block, where both would fit, counts as subsampled.
    Samples of chroma beyond the luma plane are cut off. Other relations, and planes of other block sizes, raise ValueError.

    Nothing is rounded or clamped, so gradients pass everywhere. A JPEG decoder rounds to integers after the inverse DCT,
    after upsampling and after the colour conversion, 0.5 each: chroma errors are multiplied by at most 1.772, so its
    pixels differ by less than 3 levels, as long as every sample and every pixel lies in 0..255; where they do not, the
    decoder clamps, and the difference is by how much they overshoot. ``clamp=True`` clamps the pixels at the end.

    The arithmetic is done in ``dtype``, whatever autocast says: eight bits of a pixel do not fit the eight of bfloat16.

    >>> gray = PixelFrontend(scale=255.0)
    >>> y, chroma = torch.zeros(1, 64, 2, 2), torch.zeros(1, 64, 1, 1)
    >>> y[:, 0] = 8 * 72.0                                     # DC is 8 times the mean, shifted by -128
    >>> gray(Coefficients(y, chroma, chroma))[0, :, 5, 5].tolist()
    [200.0, 200.0, 200.0]
    """

    def __init__(
        self,
        block_size: int | tuple[int, int] = 8,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        color: str = "rgb",
        scale: float = 1.0,
        clamp: bool = False,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        if color not in ("rgb", "ycbcr"):
            raise ValueError(f'color is "rgb" or "ycbcr"; got {color!r}')
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"mean and std are three numbers each, std positive; got mean={mean!r}, std={std!r}")
        self.block_size = block_sizes(block_size)
        self.clamp = clamp

        luma, chroma = (torch.kron(basis(b), basis(b)).T[:, :, None, None] for b in self.block_size)
        mean, std = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
        matrix = torch.tensor(_TO_RGB, dtype=torch.float64) if color == "rgb" else torch.eye(3, dtype=torch.float64)
        constants = {
            "luma_idct": luma,
            "chroma_idct": chroma.repeat(2, 1, 1, 1),
            "matrix": (scale / 255 * matrix / std[:, None])[:, :, None, None],
            "offset": (scale / 255 * 128 - mean) / std,
            "black": (-mean / std)[:, None, None],
            "white": ((scale - mean) / std)[:, None, None],
        }
        for name, value in constants.items():
            self.register_buffer(name, value.to(dtype), persistent=False)

    def extra_repr(self) -> str:
        return f"block_size={self.block_size}, clamp={self.clamp}"

    def forward(self, coefficients: Coefficients) -> Tensor:
        check_planes(coefficients, self.block_size)
        y, cb, cr = coefficients
        dtype = self.matrix.dtype
        with full_precision(y.device):
            luma = F.pixel_shuffle(F.conv2d(y.to(dtype), self.luma_idct), self.block_size[0])
            planes = torch.cat([cb.to(dtype), cr.to(dtype)], 1)
            chroma = F.pixel_shuffle(F.conv2d(planes, self.chroma_idct, groups=2), self.block_size[1])
            chroma = _spread(chroma, luma.shape[-2:], self.block_size)
            pixels = F.conv2d(torch.cat([luma, chroma], 1), self.matrix, self.offset)
            if self.clamp:
                pixels = torch.maximum(torch.minimum(pixels, self.white), self.black)
        return pixels


def _blocks(length: int, size: int) -> int:
    return -(-length // size)


def _spread(chroma: Tensor, size: tuple[int, int], sizes: tuple[int, int]) -> Tensor:
    """Chroma samples ``(n, 2, h, w)`` on the luma samples' grid of ``size``."""
    factors = []
    for length, samples in zip(size, chroma.shape[-2:], strict=True):
        # Fits: where chroma samples that cover `factor` luma samples each fill as many blocks as there are.
        fits = [factor for factor in (2, 1) if _blocks(_blocks(length, factor), sizes[1]) * sizes[1] == samples]
        if not fits:
            raise ValueError(
                f"chroma has the samples of luma, or half of them, along each axis; got chroma "
                f"{tuple(chroma.shape[-2:])} for luma {tuple(size)}. Resize or crop the picture first: "
                "every transform writes chroma at half the resolution of luma."
            )
        factors.append(fits[0])
    if factors != [1, 1]:
        spread = (chroma.shape[-2] * factors[0], chroma.shape[-1] * factors[1])
        chroma = F.interpolate(chroma, size=spread, mode="bilinear", align_corners=False)
    return chroma[..., : size[0], : size[1]]
