"""Transforms of ``Coefficients`` as pure functions, each equal to its pixel-domain namesake in torchvision.

The geometric functions take what a JPEG file holds, block size b, any chroma sampling, a picture that need not fill its
last blocks, and return 4:2:0 planes of float32 (float64 for float64 planes) in any block size. ``grid`` says where the
samples lie: ``image.grid`` of a ``JPEGImage``; left out, the planes are taken to be all picture, and the chroma sampling is
read off their shapes. Resampling is linear with antialiasing, on luma and chroma alike, without decoding to pixels: see
``dct.lift``. In the docstrings h x w is the picture's size, b the block size asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dctnet.bands import CHANNELS, bands_of
from dctnet.coefficients import Coefficients, Grid, block_size, infer_grid
from dctnet.transforms.separable import box_to_size, lifted

Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
    """(height, width) from a number or a pair."""
    height, width = (size, size) if isinstance(size, int) else tuple(size)
    return int(height), int(width)


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


def resized_size(size: tuple[int, int], target: Size) -> tuple[int, int]:
    """The size that ``resize`` makes of a picture: ``target``, or the shorter side at ``target``, the longer in proportion.

    >>> resized_size((375, 500), 256)
    (256, 341)
    """
    if not isinstance(target, int):
        return pair(target)
    if target < 1:
        raise ValueError(f"the output size is at least 1 pixel; got {target}")
    height, width = size
    return (target, int(target * width / height)) if height <= width else (int(target * height / width), target)


def resize(
    coefficients: Coefficients, size: Size, *, grid: Grid | None = None, block_size: Size | None = None
) -> Coefficients:
    """The whole picture resampled to ``size``; a single number is the new length of the shorter side.

    Equals ``torchvision.transforms.v2.functional.resize(..., antialias=True)`` on the samples, to rounding.
    """
    grid = grid or infer_grid(coefficients)
    return resized_crop(coefficients, 0, 0, *grid.size, resized_size(grid.size, size), grid=grid, block_size=block_size)


def center_box(size: tuple[int, int], output_size: Size) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the central box, placed as torchvision places it; ValueError where it does not fit.

    >>> center_box((256, 341), 224)
    (16, 58, 224, 224)
    """
    height, width = pair(output_size)
    if not (0 < height <= size[0] and 0 < width <= size[1]):
        raise ValueError(
            f"a central crop of {height}x{width} does not fit a picture of {size[0]}x{size[1]}; resize it first"
        )
    return round((size[0] - height) / 2.0), round((size[1] - width) / 2.0), height, width


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


def normalize(coefficients: Coefficients, mean: Coefficients, std: Coefficients) -> Coefficients:
    """(X - mean) / std band by band: ``mean`` and ``std`` hold a vector (C,) for each plane; ValueError where C differs.

    >>> planes = Coefficients(*(torch.full((1, 2, 2), 6.0) for _ in range(3)))
    >>> bands = lambda value: Coefficients(*(torch.tensor([value]) for _ in range(3)))
    >>> normalize(planes, bands(2.0), bands(4.0)).y[0, 0]
    tensor([1., 1.])
    """
    planes = []
    for name, plane, centre, scale in zip(Coefficients._fields, coefficients, mean, std, strict=True):
        if not (centre.shape == scale.shape == plane.shape[-3:-2]):
            raise ValueError(
                f"plane {name} has {plane.shape[-3]} bands; mean and std need one value a band, got "
                f"{tuple(centre.shape)} and {tuple(scale.shape)}. Were they measured at another block size?"
            )
        if not bool((scale > 0).all()):
            raise ValueError(f"std of plane {name} must be positive; its smallest value is {float(scale.min())}")
        dtype = plane.dtype if plane.is_floating_point() else torch.float32
        centre, scale = (value.to(plane.device, dtype)[:, None, None] for value in (centre, scale))
        planes.append((plane.to(dtype) - centre) / scale)
    return Coefficients(*planes)


def select_bands(coefficients: Coefficients, bands: int | Sequence[Sequence[int]] | None) -> Coefficients:
    """The channels ``bands`` of each plane: planes ``(..., k, H/8, W/8)``, of which nothing geometric can be made any more.

    ``bands`` is what ``dctnet.bands.bands_of`` takes: the size of a static set, or three lists of channels. ValueError
    where a plane is not in blocks of 8 with all its 64 channels.

    >>> planes = Coefficients(*(torch.arange(64.0)[:, None, None] for _ in range(3)))
    >>> select_bands(planes, 6).y.flatten().tolist()
    [0.0, 1.0, 8.0, 9.0]
    """
    kept = bands_of(bands)
    for name, plane in zip(Coefficients._fields, coefficients, strict=True):
        if plane.ndim < 3 or plane.shape[-3] != CHANNELS:
            raise ValueError(
                f"bands are selected from the {CHANNELS} channels of 8x8 blocks; plane {name} has shape "
                f"{tuple(plane.shape)}. Set block_size=8, and select once."
            )
    # Selected along the last axis of memory, so that blocks stay contiguous.
    return Coefficients(
        *(
            plane.movedim(-3, -1).index_select(-1, torch.tensor(channels, device=plane.device)).movedim(-1, -3)
            for plane, channels in zip(coefficients, kept, strict=True)
        )
    )
