"""Crops, mirrors, quarter turns and the way to gray on the integers of a JPEG file, without a generation loss.

With b = 8 and X the coefficients of a block of samples P: mirroring P left to right multiplies X[v, u] by (-1)^u, top to
bottom by (-1)^v; transposing P transposes X and the quantization table. Blocks then change places. The result is exact
where the picture is made of whole MCUs along a mirrored axis: of a 4:2:0 file, 16 pixels. What is left over at the far
edge would come to lie at the near one, where no JPEG file can have a part of a block: such a picture is refused, as by
``jpegtran -perfect``, or cut down to whole MCUs with ``trim=True``, as by ``jpegtran -trim``.

Each function takes a ``JPEGImage``, dequantized or raw, and gives one for ``write_jpeg``. They act on the stored picture and
leave its EXIF orientation alone; ``upright`` is the one that carries it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dctnet.coefficients import Coefficients
from dctnet.jpeg.image import JPEGImage


def mcu(image: JPEGImage) -> tuple[int, int]:
    """(height, width) in pixels of a minimal coded unit: 8 x the greatest sampling factor, 8 of a gray file."""
    if len(image.sampling) == 1:
        return 8, 8
    tallest, widest = (max(factors) for factors in zip(*image.sampling, strict=True))
    return 8 * tallest, 8 * widest


def crop(image: JPEGImage, top: int, left: int, height: int, width: int, *, trim: bool = False) -> JPEGImage:
    """The box at (top, left) of height x width pixels. ``top`` and ``left`` are multiples of the MCU, or the box is refused.

    With ``trim`` the box begins at the next MCU further down and right, and ends where it was asked to. ValueError where it
    leaves the picture, or nothing is left of it.
    """
    rows, columns = image.size
    if not (top >= 0 and left >= 0 and height >= 1 and width >= 1 and top + height <= rows and left + width <= columns):
        raise ValueError(
            f"the box at (top {top}, left {left}) of {height}x{width} is not inside the picture of {rows}x{columns} pixels"
        )
    unit = mcu(image)
    if trim:
        bottom, right = top + height, left + width
        top, left = (-(-start // length) * length for start, length in zip((top, left), unit, strict=True))
        height, width = bottom - top, right - left
        if height < 1 or width < 1:
            raise ValueError(f"nothing is left of the box behind its first whole MCU ({unit[0]}x{unit[1]} pixels)")
    if top % unit[0] or left % unit[1]:
        raise ValueError(
            f"a crop without loss begins at multiples of {unit[0]} rows and {unit[1]} columns; got (top {top}, left {left}). "
            "trim cuts the box down to the next ones."
        )

    def cut(blocks: Tensor, c: int) -> Tensor:
        v, h = (1, 1) if len(image.sampling) == 1 else image.sampling[c]
        first, start = top * v // unit[0], left * h // unit[1]
        return blocks[first : first - (-height * v // unit[0]), start : start - (-width * h // unit[1])]

    return _changed(image, cut, size=(height, width))


def horizontal_flip(image: JPEGImage, *, trim: bool = False) -> JPEGImage:
    """The picture mirrored left to right; its width is a multiple of the MCU's, or is refused, or trimmed."""
    image = _whole(image, 1, trim)
    signs = torch.tensor([1, -1], dtype=torch.int16).repeat(32)
    return _changed(image, lambda blocks, _: _negatable(blocks).flip(1) * signs)


def vertical_flip(image: JPEGImage, *, trim: bool = False) -> JPEGImage:
    """The picture mirrored top to bottom; its height is a multiple of the MCU's, or is refused, or trimmed."""
    image = _whole(image, 0, trim)
    signs = torch.tensor([1, -1], dtype=torch.int16).repeat_interleave(8).repeat(4)
    return _changed(image, lambda blocks, _: _negatable(blocks).flip(0) * signs)


def transpose(image: JPEGImage) -> JPEGImage:
    """The picture mirrored at its main diagonal, rows become columns: exact at any size."""
    order = torch.arange(64).view(8, 8).T.flatten()
    return _changed(
        image,
        lambda blocks, _: blocks.transpose(0, 1)[..., order],
        size=(image.size[1], image.size[0]),
        sampling=tuple((h, v) for v, h in image.sampling),
        quantization=torch.from_numpy(image.quantization.numpy()[:, order.numpy()]),
    )


def rotate(image: JPEGImage, degrees: int, *, trim: bool = False) -> JPEGImage:
    """The picture turned clockwise by 90, 180 or 270 degrees (0 leaves it); a side that comes first is whole MCUs."""
    if degrees % 360 == 0:
        return image
    if degrees % 90:
        raise ValueError(f"a turn without loss is by 90, 180 or 270 degrees; got {degrees}")
    turns = degrees % 360 // 90
    if turns == 1:
        return transpose(vertical_flip(image, trim=trim))
    if turns == 2:
        return vertical_flip(horizontal_flip(image, trim=trim), trim=trim)
    return transpose(horizontal_flip(image, trim=trim))


def grayscale(image: JPEGImage) -> JPEGImage:
    """Luma alone. ValueError where a chroma component has more samples than luma: the planes do not make a gray file."""
    vertical, horizontal = image.sampling[0]
    if len(image.sampling) > 1 and mcu(image) != (8 * vertical, 8 * horizontal):
        raise ValueError(f"luma has fewer samples than the picture has pixels (sampling {image.subsampling})")
    gray = replace(image, sampling=((1, 1),), quantization=image.quantization[:1])
    return _changed(gray, lambda blocks, _: blocks)


def upright(image: JPEGImage, *, trim: bool = False) -> JPEGImage:
    """The picture as its EXIF orientation asks that it be shown, with the orientation 1."""
    turned = {
        1: lambda: image,
        2: lambda: horizontal_flip(image, trim=trim),
        3: lambda: rotate(image, 180, trim=trim),
        4: lambda: vertical_flip(image, trim=trim),
        5: lambda: transpose(image),
        6: lambda: rotate(image, 90, trim=trim),
        7: lambda: transpose(rotate(image, 180, trim=trim)),
        8: lambda: rotate(image, 270, trim=trim),
    }[image.orientation]()
    return replace(turned, orientation=1)


def _whole(image: JPEGImage, axis: int, trim: bool) -> JPEGImage:
    """The image, its side along ``axis`` a multiple of the MCU's."""
    side, unit = image.size[axis], mcu(image)[axis]
    if side % unit == 0:
        return image
    name = ("height", "width")[axis]
    if not trim or side < unit:
        way = f"trim cuts it down to {side // unit * unit}." if side >= unit else "It has less than one."
        raise ValueError(f"without loss, a picture is mirrored in MCUs of {unit} pixels; its {name} is {side}. {way}")
    size = [*image.size]
    size[axis] = side // unit * unit
    return crop(image, 0, 0, *size)


def _negatable(blocks: Tensor) -> Tensor:
    if bool((blocks == -32768).any()):
        raise ValueError("a coefficient is -32768, at the end of int16, and cannot change its sign")
    return blocks


def _changed(image: JPEGImage, function: Callable[[Tensor, int], Tensor], **fields: Any) -> JPEGImage:
    """The image with ``function(blocks, component)`` for the (rows, columns, 64) blocks of each component in the file."""
    image_out = replace(image, **fields)
    count = len(image.sampling)
    planes = [function(plane.permute(1, 2, 0), c).contiguous() for c, plane in enumerate(image.coefficients[:count])]
    if count == 1:
        height, width = image_out.size
        planes += [torch.zeros(-(-height // 16), -(-width // 16), 64, dtype=planes[0].dtype) for _ in range(2)]
    return replace(image_out, coefficients=Coefficients(*(plane.permute(2, 0, 1) for plane in planes)))
