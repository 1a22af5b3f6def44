"""Pixels from coefficients as one differentiable linear layer, for networks that want pixels.

    pixels = D (M [Y, up(Cb), up(Cr)] + shift) + offset

Each plane passes the inverse block DCT; up doubles the chroma with libjpeg's triangle filter ("fancy upsampling", JFIF's
centred siting); M and shift are JFIF's conversion; D and offset scale and normalise. M, shift, D and offset are one 3 x 3
matrix and a vector, multiplied out when the layer is made. The weights of up sum to one, so it commutes with colour:

    pixels = up(N [Cb, Cr] + n) + m Y

is the same, and the product with the two columns N is taken on a quarter of the samples. All of it as one transposed
convolution for each plane needs 64 multiplications for each sample and colour, and more for triangles that reach into the
next block: on a CPU that takes five to eight times as long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import choice, flag, several
from dctnet.coefficients import Coefficients, block_size, block_sizes
from dctnet.dct import basis, block_idct
from dctnet.kernels.tensors import is_plain
from dctnet.nn.planes import check_planes
from dctnet.precision import full_precision

# JFIF 1.02: from (Y, Cb - 128, Cr - 128) to (R, G, B); follows from the luma weights 0.299, 0.587, 0.114 of BT.601.
_TO_RGB = (
    (1.0, 0.0, 1.402),
    (1.0, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587),
    (1.0, 1.772, 0.0),
)


UPSAMPLING = {"fancy": {"mode": "bilinear", "align_corners": False}, "nearest": {"mode": "nearest"}}
REDUCTIONS = (1, 2, 4, 8)


class PixelFrontend(nn.Module):
    """Coefficients to pixels ``(n, 3, H, W)``, H x W the samples of the luma plane.

    The output is ``(scale / 255 * v - mean) / std`` per channel, v the value in gray levels 0..255 of R, G, B
    (``color="rgb"``) or of Y, Cb, Cr as JPEG stores them (``color="ycbcr"``): ``scale=1`` gives 0..1, ``scale=255`` gray
    levels; ``mean`` and ``std`` are measured on that scale. ``mean=(128, 128, 128), scale=255, color="ycbcr"`` gives the
    samples of which the coefficients are the DCT.

    ``block_size`` is one number, or (luma, chroma). Chroma is doubled along each axis where the luma plane has twice its
    samples, and taken as it is where it has as many; a plane of one block, where both would fit, counts as subsampled.
    Samples of chroma beyond the luma plane are cut off. Other relations, and planes of other block sizes, raise ValueError.
    ``chroma_upsampling="nearest"`` repeats the samples in place of the triangle filter, as libjpeg does when told to.

    ``reduce=2``, 4 or 8 gives pixels on a grid so many times coarser, ``(n, 3, H / reduce, W / reduce)``, from the low corner
    of each block divided by ``reduce``: the pixels of ``read_jpegs(scale=1 / reduce)``. Means of blocks are kept. libjpeg
    (Pillow's ``draft``) takes the mean of each 2x2, 4x4 or 8x8 samples in place of this low-pass, and reduces subsampled chroma
    half as much. On 38 photographs of ImageNet the two differ by 2.2, 2.2 and 1.6 gray levels in the mean (reduce = 2, 4, 8),
    by tens at sharp edges, where a low-pass overshoots, and in what is smooth by the rounding.

    Nothing is rounded or clamped, so gradients pass everywhere. A JPEG decoder rounds to integers after the inverse DCT,
    after upsampling and after the colour conversion, 0.5 each: chroma errors are multiplied by at most 1.772, so its
    pixels differ by less than 3 levels, as long as every sample and every pixel lies in 0..255; where they do not, the
    decoder clamps, and the difference is by how much they overshoot. ``clamp=True`` clamps the pixels at the end.
    ``rounded=True`` does what a decoder does: after each of the three steps values are rounded to integers within 0..255, the
    gradient passing as if they were not. Of photographs 0.1 to 0.4 % of the samples then differ, mostly by one level: libjpeg's
    constants have 13 bits, and at the right and lower border its triangles see no samples beyond the picture.

    The arithmetic is done in ``dtype``, whatever autocast says, and in float32 after ``.half()`` and ``.bfloat16()`` too: eight
    bits of a pixel do not fit the eight of bfloat16.

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
        chroma_upsampling: str = "fancy",
        reduce: int = 1,
        rounded: bool = False,
    ):
        super().__init__()
        choice("color", color, ("rgb", "ycbcr"))
        mean, std = several("mean", mean, (3,)), several("std", std, (3,), 0, open_low=True)
        self.block_size = block_sizes(block_size)
        self.reduce = choice("reduce", reduce, REDUCTIONS)
        if reduce > min(self.block_size):
            raise ValueError(f"reduce is no more than the block size {self.block_size}; got {reduce!r}")
        self.clamp, self.rounded = flag("clamp", clamp), flag("rounded", rounded)
        self.chroma_upsampling = choice("chroma_upsampling", chroma_upsampling, UPSAMPLING)

        luma, chroma = (torch.kron(basis(b), basis(b)).T[:, :, None, None] for b in self._reduced())
        exact = {"dtype": torch.float64, "device": "cpu"}
        mean, std = torch.tensor(mean, **exact), torch.tensor(std, **exact)
        matrix = torch.tensor(_TO_RGB, **exact) if color == "rgb" else torch.eye(3, **exact)
        self._constants = {
            "luma_idct": luma,
            "chroma_idct": chroma,
            "matrix": (scale / 255 * matrix / std[:, None])[:, :, None, None],
            "offset": (scale / 255 * 128 - mean) / std,
            "colors": matrix[:, :, None, None],
            "gain": (scale / 255 / std)[:, None, None],
            "black": (-mean / std)[:, None, None],
            "white": ((scale - mean) / std)[:, None, None],
        }
        for name, value in self._constants.items():
            self.register_buffer(name, value.to(dtype), persistent=False)

    def _apply(self, *args: Any, **kwargs: Any) -> nn.Module:
        """Moves to devices and casts to float64; half precision leaves float32, as pixels need more bits than it has."""
        super()._apply(*args, **kwargs)
        dtype = torch.promote_types(self.matrix.dtype, torch.float32)
        for name, value in self._constants.items():
            setattr(self, name, value.to(getattr(self, name).device, dtype))
        return self

    def extra_repr(self) -> str:
        return (
            f"block_size={self.block_size}, clamp={self.clamp}, chroma_upsampling={self.chroma_upsampling!r}, "
            f"reduce={self.reduce}, rounded={self.rounded}"
        )

    def forward(self, coefficients: Coefficients) -> Tensor:
        check_planes(coefficients, self.block_size)
        sizes = self._reduced()
        with full_precision(coefficients[0].device):
            y, cb, cr = (self._corner(plane.to(self.matrix.dtype)) for plane in coefficients)
            if self.rounded:
                return self._as_decoded(y, cb, cr)
            luma = samples_of(y, self.luma_idct, sizes[0])
            chroma = torch.cat([samples_of(plane, self.chroma_idct, sizes[1]) for plane in (cb, cr)], 1)
            chroma = F.conv2d(chroma, self.matrix[:, 1:], self.offset)
            chroma = spread_chroma(chroma, luma.shape[-2:], sizes, self.chroma_upsampling)
            pixels = torch.addcmul(chroma, luma, self.matrix[:, 0])
            if self.clamp:
                pixels = torch.maximum(torch.minimum(pixels, self.white), self.black)
        return pixels

    def _as_decoded(self, y: Tensor, cb: Tensor, cr: Tensor) -> Tensor:
        """The same of integers."""
        sizes = self._reduced()
        luma, *chroma = (levels(integer_samples(plane) + 128) for plane in (y, cb, cr))
        chroma = torch.cat(chroma, 1)
        spread = spread_chroma(chroma, luma.shape[-2:], sizes, self.chroma_upsampling)
        factors = chroma_factors(chroma.shape[-2:], luma.shape[-2:], sizes)
        chroma = passing(spread, (spread + tie_breaking(factors, spread)).floor())
        pixels = levels(F.conv2d(torch.cat([luma - 128, chroma - 128], 1), self.colors) + 128)
        return self.gain * pixels + self.black

    def _reduced(self) -> tuple[int, int]:
        """The samples along a side of a block of luma and of chroma."""
        return self.block_size[0] // self.reduce, self.block_size[1] // self.reduce

    def _corner(self, plane: Tensor) -> Tensor:
        """The coefficients of a plane ``reduce`` times as coarse."""
        if self.reduce == 1:
            return plane
        b = block_size(plane)
        low = plane.unflatten(1, (b, b))[:, : b // self.reduce, : b // self.reduce]
        return low.flatten(1, 2) / self.reduce


def samples_of(plane: Tensor, idct: Tensor, b: int) -> Tensor:
    """Samples ``(n, 1, H, W)``: by the compiled loop where it can be, else by operators of torch, for any device and export."""
    if b == 1:
        return plane
    return block_idct(plane)[:, None] if is_plain(plane) else F.pixel_shuffle(F.conv2d(plane, idct), b)


def integer_samples(plane: Tensor) -> Tensor:
    """Samples ``(n, 1, H, W)`` of a plane, not yet rounded; of blocks of 8 with the rounding between libjpeg's two passes.

    Its inverse DCT transforms columns first and keeps what comes of that, sqrt(8) times too large, in quarters.
    """
    b = block_size(plane)
    matrix, identity = basis(b, plane.dtype, plane.device), torch.eye(b, dtype=plane.dtype, device=plane.device)
    columns = F.conv2d(plane, torch.kron(matrix, identity).T[:, :, None, None])
    if b == 8:
        unit = 4 * math.sqrt(8)
        columns = passing(columns, (columns * unit).round() / unit)
    return F.pixel_shuffle(F.conv2d(columns, torch.kron(identity, matrix).T[:, :, None, None]), b)


def passing(values: Tensor, rounded: Tensor) -> Tensor:
    """``rounded`` with the gradient of ``values``."""
    return values + (rounded - values).detach()


def levels(values: Tensor) -> Tensor:
    """The nearest integers within 0..255; the gradient passes where the values lie within."""
    inside = values.clamp(0, 255)
    return passing(inside, (inside + 0.5).floor())


def tie_breaking(factors: tuple[int, int], chroma: Tensor) -> Tensor | float:
    """What libjpeg adds to chroma that was doubled along axes of factor 2, before it takes the integer below.

    Its triangles give sixteenths along both axes: it adds 8 and 7 of them in turn, from column to column. They give quarters
    along one axis: there it adds 1 and 2 of them.
    """
    if factors == (1, 1):
        return 0.5
    both = factors == (2, 2)
    pair = chroma.new_tensor([8 / 16, 7 / 16] if both else [1 / 4, 2 / 4])
    axis = -2 if factors == (2, 1) else -1
    length = chroma.shape[axis]
    run = pair.repeat(-(-length // 2))[:length]
    return run[:, None] if axis == -2 else run


def _blocks(length: int, size: int) -> int:
    return -(-length // size)


def chroma_factors(chroma: Sequence[int], size: Sequence[int], sizes: tuple[int, int]) -> tuple[int, int]:
    """How many luma samples, 2 or 1, one chroma sample covers along each axis; ValueError for other relations.

    ``chroma`` and ``size``: (rows, columns) of samples of chroma and of luma; ``sizes``: the samples of a block of luma and of
    chroma. Along an axis a factor fits where chroma samples that cover so many luma samples each fill as many blocks as
    there are; of two that fit it is 2.
    """
    factors = []
    for length, samples in zip(size, chroma, strict=True):
        fits = [factor for factor in (2, 1) if _blocks(_blocks(length, factor), sizes[1]) * sizes[1] == samples]
        if not fits:
            raise ValueError(
                f"chroma has the samples of luma, or half of them, along each axis; got chroma "
                f"{tuple(chroma)} for luma {tuple(size)}. Resize or crop the picture first: "
                "every transform writes chroma at half the resolution of luma."
            )
        factors.append(fits[0])
    return factors[0], factors[1]


def spread_chroma(chroma: Tensor, size: tuple[int, int], sizes: tuple[int, int], how: str) -> Tensor:
    """Chroma ``(n, c, h, w)`` on the grid of ``size`` luma samples, doubled as ``UPSAMPLING[how]`` says."""
    factors = chroma_factors(chroma.shape[-2:], size, sizes)
    if factors != (1, 1):
        spread = (chroma.shape[-2] * factors[0], chroma.shape[-1] * factors[1])
        chroma = F.interpolate(chroma, size=spread, **UPSAMPLING[how])
    return chroma[..., : size[0], : size[1]]
