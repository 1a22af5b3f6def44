"""Transforms of ``Coefficients`` as pure functions, each equal to its pixel-domain namesake in torchvision.

The geometric functions take what a JPEG file holds, block size b, any chroma sampling, a picture that need not fill its
last blocks, and return 4:2:0 planes of float32 (float64 for float64 planes) in any block size. ``grid`` says where the
samples lie: ``image.grid`` of a ``JPEGImage``; left out, the planes are taken to be all picture, and the chroma sampling is
read off their shapes. Resampling is linear with antialiasing, on luma and chroma alike, without decoding to pixels: see
``dct.lift``. In the docstrings h x w is the picture's size, b the block size asked for.

Chosen bands (``SelectedBands``, what ``select_bands`` returns) are a ValueError for functions that need all the bands of a
block. Planes that were put together anew do not say that they are chosen, and may pass for smaller blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from dctnet.arguments import several
from dctnet.coefficients import Coefficients, Grid, block_size, block_sizes, check_all_bands, infer_grid
from dctnet.transforms.boxes import Size, center_box, checked_target, pair, resized_size
from dctnet.transforms.canvas import Pad
from dctnet.transforms.color import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    drop_chroma,
    invert,
    rgb_to_grayscale,
)
from dctnet.transforms.energy import keep_energy
from dctnet.transforms.frequency import select_bands
from dctnet.transforms.masking import box_mask, erase
from dctnet.transforms.mixing import cutmix, mixup
from dctnet.transforms.noise import gaussian_noise, laplace_noise, uniform_noise
from dctnet.transforms.normalize import normalize
from dctnet.transforms.passing import Passing
from dctnet.transforms.rotation import affined, rotated
from dctnet.transforms.rounding import jpeg_quality, quantize_int8
from dctnet.transforms.separable import box_to_size, fill_of, lifted
from dctnet.transforms.sharpness import adjust_sharpness, gaussian_blur
from dctnet.transforms.spectral import frequency_enhancement, mid_frequency_augmentation, spectral_sharpness
from dctnet.transforms.steps import Drawn, Step
from dctnet.transforms.tone import autocontrast, equalize, posterize, solarize

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine",
    "autocontrast",
    "box_mask",
    "center_crop",
    "chroma_to_420",
    "crop",
    "cutmix",
    "drop_chroma",
    "equalize",
    "erase",
    "frequency_enhancement",
    "gaussian_blur",
    "gaussian_noise",
    "horizontal_flip",
    "invert",
    "jpeg_quality",
    "keep_energy",
    "laplace_noise",
    "mid_frequency_augmentation",
    "mixup",
    "normalize",
    "pad",
    "posterize",
    "quantize_int8",
    "reblock",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "select_bands",
    "solarize",
    "spectral_sharpness",
    "uniform_noise",
    "vertical_flip",
]


def _kept_blocks(coefficients: Coefficients) -> tuple[int, int]:
    check_all_bands(coefficients)
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
    several("the box (top, left, height, width)", (top, left, height, width), (4,))
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
    size = resized_size(grid.size, checked_target(size))
    return resized_crop(coefficients, 0, 0, *grid.size, size, grid=grid, block_size=block_size)


def center_crop(
    coefficients: Coefficients, output_size: Size, *, grid: Grid | None = None, block_size: Size | None = None
) -> Coefficients:
    """The central box of ``output_size`` pixels. Unlike torchvision's it does not pad: a smaller picture is a ValueError."""
    grid = grid or infer_grid(coefficients)
    return crop(coefficients, *center_box(grid.size, pair(output_size)), grid=grid, block_size=block_size)


def horizontal_flip(
    coefficients: Coefficients, *, grid: Grid | None = None, block_size: Size | None = None
) -> Coefficients:
    """The picture mirrored left to right. Of a 4:2:0 picture of odd width, chroma is interpolated to stay registered."""
    grid = grid or infer_grid(coefficients)
    operators = box_to_size(grid, 0, 0, *grid.size, grid.size, mirror=True)
    return lifted(coefficients, operators, block_size or _kept_blocks(coefficients))


def vertical_flip(
    coefficients: Coefficients, *, grid: Grid | None = None, block_size: Size | None = None
) -> Coefficients:
    """The picture upside down. Of a 4:2:0 picture of odd height, chroma is interpolated to stay registered."""
    grid = grid or infer_grid(coefficients)
    return _moved(coefficients, Drawn(0, 0, *grid.size, grid.size, flip=True), grid, block_size)


def pad(
    coefficients: Coefficients,
    padding: int | Sequence[int],
    fill: float | Sequence[float] = 0,
    padding_mode: str = "constant",
    *,
    grid: Grid | None = None,
    block_size: Size | None = None,
) -> Coefficients:
    """The picture with pixels added around it, or taken away: one number, (left and right, top and bottom), or four.

    ``fill`` in gray levels from 0 to 255, one or (red, green, blue). Equals ``torchvision.transforms.v2.functional.pad`` on the
    samples of planes whose spacing divides the padding; else they are interpolated. ValueError for another ``padding_mode``
    than "constant", "edge", "reflect" and "symmetric".
    """
    grid = grid or infer_grid(coefficients)
    return _moved(coefficients, Pad(padding, fill, padding_mode).draw(grid.size, None), grid, block_size)


def rotate(
    coefficients: Coefficients,
    angle: float,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: float | Sequence[float] = 0,
    *,
    grid: Grid | None = None,
    block_size: Size | None = None,
) -> Coefficients:
    """The picture turned by ``angle`` degrees counter-clockwise: exact by quarters, else bilinear (see ``affine``).

    Quarters: 180 always, 90 and 270 where the picture is square or the canvas may ``expand``. Equals
    ``torchvision.transforms.v2.functional.rotate(..., BILINEAR)`` on the samples, to rounding.
    """
    grid = grid or infer_grid(coefficients)
    step = rotated(grid.size, angle, expand, center, fill_of(fill))
    return _moved(coefficients, step, grid, block_size)


def affine(
    coefficients: Coefficients,
    angle: float = 0.0,
    translate: Sequence[float] = (0, 0),
    scale: float = 1.0,
    shear: Sequence[float] = (0.0, 0.0),
    fill: float | Sequence[float] = 0,
    center: Sequence[float] | None = None,
    *,
    grid: Grid | None = None,
    block_size: Size | None = None,
) -> Coefficients:
    """The picture sheared, scaled, turned clockwise and moved (see ``affine.inverse_matrix``), its size kept, bilinear.

    Equals ``torchvision.transforms.v2.functional.affine(..., BILINEAR)`` on the samples, to rounding.
    """
    grid = grid or infer_grid(coefficients)
    step = affined(grid.size, angle, translate, scale, shear, center, fill_of(fill))
    return _moved(coefficients, step, grid, block_size)


def _moved(coefficients: Coefficients, step: Step, grid: Grid, block_size: Size | None) -> Coefficients:
    kept = _kept_blocks(coefficients) if block_size is None else block_sizes(block_size)
    picture = Passing(coefficients, grid, kept)
    picture.move(step)
    return picture.result()


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
