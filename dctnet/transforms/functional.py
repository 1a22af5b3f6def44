"""Transforms of ``Coefficients`` as pure functions, each equal to its pixel-domain namesake in torchvision.

The geometric functions take what a JPEG file holds, block size b, any chroma sampling, a picture that need not fill its
last blocks, and return 4:2:0 planes of float32 (float64 for float64 planes) in any block size. ``grid`` says where the
samples lie: ``image.grid`` of a ``JPEGImage``; left out, the planes are taken to be all picture, and the chroma sampling is
read off their shapes. Resampling is linear with antialiasing, on luma and chroma alike, without decoding to pixels: see
``dct.lift``. In the docstrings h x w is the picture's size, b the block size asked for.
"""

from __future__ import annotations

from dctnet.coefficients import Coefficients, Grid, block_size, infer_grid
from dctnet.transforms.boxes import Size, center_box, pair, resized_size
from dctnet.transforms.frequency import select_bands
from dctnet.transforms.normalize import normalize
from dctnet.transforms.separable import box_to_size, lifted

__all__ = [
    "center_crop",
    "chroma_to_420",
    "crop",
    "horizontal_flip",
    "normalize",
    "reblock",
    "resize",
    "resized_crop",
    "select_bands",
]


def _kept_blocks(coefficients: Coefficients) -> tuple[int, int]:
    return block_size(coefficients.y), block_size(coefficients.cb)


def resized_crop(
    coefficients: Coefficients,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Size,
    *,
    grid: Grid | None = None,
    block_size: Size | None = None,
) -> Coefficients:
    """The box at (top, left) of height x width pixels, at any offset, resampled to ``size``: planes ``(..., b*b, H/b, W/b)``.

    Equals ``torchvision.transforms.v2.functional.resized_crop(..., antialias=True)`` on the samples, to rounding.
    ValueError where the box is not inside the picture.

    >>> import torch
    >>> from dctnet import dct
    >>> pixels = torch.rand(1, 3, 48, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> planes = Coefficients(*(dct.block_dct(pixels[:, i]) for i in range(3)))
    >>> crop = resized_crop(planes, top=5, left=3, height=30, width=40, size=(32, 32))
    >>> from torchvision.transforms.v2.functional import resized_crop as pixel_crop
    >>> truth = pixel_crop(pixels, 5, 3, 30, 40, [32, 32], antialias=True)[:, 0]
    >>> torch.allclose(dct.block_idct(crop.y), truth)
    True
    """
    grid = grid or infer_grid(coefficients)
    operators = box_to_size(grid, top, left, height, width, pair(size))
    return lifted(coefficients, operators, block_size or _kept_blocks(coefficients))


def crop(
    coefficients: Coefficients,
    top: int,
    left: int,
    height: int,
    width: int,
    *,
    grid: Grid | None = None,
    block_size: Size | None = None,
) -> Coefficients:
    """The box at (top, left) of height x width pixels at its own size; an odd offset interpolates 4:2:0 chroma."""
    return resized_crop(coefficients, top, left, height, width, (height, width), grid=grid, block_size=block_size)


def resize(
    coefficients: Coefficients, size: Size, *, grid: Grid | None = None, block_size: Size | None = None
) -> Coefficients:
    """The whole picture resampled to ``size``; a single number is the new length of the shorter side.

    Equals ``torchvision.transforms.v2.functional.resize(..., antialias=True)`` on the samples, to rounding.
    """
    grid = grid or infer_grid(coefficients)
    return resized_crop(coefficients, 0, 0, *grid.size, resized_size(grid.size, size), grid=grid, block_size=block_size)


def center_crop(
    coefficients: Coefficients, output_size: Size, *, grid: Grid | None = None, block_size: Size | None = None
) -> Coefficients:
    """The central box of ``output_size`` pixels. Unlike torchvision's it does not pad: a smaller picture is a ValueError."""
    grid = grid or infer_grid(coefficients)
    return crop(coefficients, *center_box(grid.size, output_size), grid=grid, block_size=block_size)


def horizontal_flip(
    coefficients: Coefficients, *, grid: Grid | None = None, block_size: Size | None = None
) -> Coefficients:
    """The picture mirrored left to right. Of a 4:2:0 picture of odd width, chroma is interpolated to stay registered."""
    grid = grid or infer_grid(coefficients)
    operators = box_to_size(grid, 0, 0, *grid.size, grid.size, mirror=True)
    return lifted(coefficients, operators, block_size or _kept_blocks(coefficients))


def reblock(coefficients: Coefficients, block_size: Size, *, grid: Grid | None = None) -> Coefficients:
    """The same picture in blocks of another size, 1 for samples: exact. Chroma that is not 4:2:0 is brought to it.

    >>> import torch
    >>> from dctnet import dct
    >>> samples = torch.arange(256.0).view(16, 16)
    >>> planes = Coefficients(dct.block_dct(samples), *(dct.block_dct(samples[:8, :8]),) * 2)
    >>> torch.allclose(reblock(planes, 1).y[0], samples, atol=1e-3)
    True
    """
    grid = grid or infer_grid(coefficients)
    return lifted(coefficients, box_to_size(grid, 0, 0, *grid.size, grid.size), block_size)


def chroma_to_420(coefficients: Coefficients, *, grid: Grid | None = None) -> Coefficients:
    """Luma as it is, chroma at half the resolution on both axes whatever the file's sampling, block sizes kept."""
    return reblock(coefficients, _kept_blocks(coefficients), grid=grid)
