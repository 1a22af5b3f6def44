"""The way to pixels and back: what a JPEG decoder shows, and coefficients for files that hold none that we can read.

``to_pixels`` follows libjpeg: its integer inverse DCT, "fancy" triangle upsampling of chroma in integers, the JFIF colour
conversion, each rounded. ``image_through_pixels`` is the other direction, for CMYK, arithmetic
coding, PNG under a JPEG name and whatever else Pillow can read: pixels, then an exact forward DCT.
"""

from __future__ import annotations

import io
import math
import operator
import warnings
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from dctnet.coefficients import Coefficients, Grid, Pictured, check_all_bands, infer_grid
from dctnet.dct import block_dct, block_idct
from dctnet.jpeg.encoder_samples import whole_blocks
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.integer_dct import Floor, integer_idct
from dctnet.precision import full_precision

# JFIF 1.02 (ITU-T T.871): Y, Cb - 128, Cr - 128 from R, G, B.
YCC_FROM_RGB = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], dtype=torch.float64
)

_STRIP = 64  # rows at a time, whole blocks


def to_pixels(
    coefficients: Coefficients | Pictured, size: tuple[int, int] | None = None, grid: Grid | None = None
) -> Tensor:
    """RGB pixels, uint8 ``(..., 3, H, W)``, as libjpeg-turbo decodes the same coefficients.

    Of a ``JPEGImage``, or of ``Coefficients``: then ``size`` (height, width) is the part of the planes that is picture, by
    default all, and ``grid`` (``image.grid``) says it together with the chroma sampling, which is otherwise read off the
    shapes and can be mistaken on pictures of few blocks (``coefficients.infer_grid``). libjpeg's smoothing of progressive
    files whose last passes are missing is left out. ValueError where the planes do not belong to a picture of that size, and
    for ``SelectedBands``.

    >>> flat = Coefficients(*(torch.zeros(64, n, n) for n in (2, 1, 1)))
    >>> to_pixels(flat, size=(12, 9)).unique()        # zero is the middle gray
    tensor([128], dtype=torch.uint8)
    """
    if hasattr(coefficients, "coefficients"):
        coefficients, grid = coefficients.coefficients, coefficients.grid
    check_all_bands(coefficients)
    grid = grid or infer_grid(coefficients, size)
    height, width = grid.size
    samples = []
    for number, plane in enumerate(coefficients):
        rows, columns = grid.samples(number)
        levels = _levels(plane)[..., :rows, :columns]
        samples.append(upsample(levels, grid.spacing[number])[..., :height, :width])
    return rgb_of_samples(*(plane.to(torch.float64) for plane in samples)).to(torch.uint8)


def rgb_of_samples(y: Tensor, cb: Tensor, cr: Tensor, floor: Floor = torch.floor) -> Tensor:
    """RGB ``(..., 3, H, W)``, whole numbers of 0..255, of samples of 0..255 in float64 ``(..., H, W)``.

    As libjpeg rounds them: the four factors, of five digits, in units of 2**-16, and the sum of those of chroma. ``floor``
    takes the place of ``torch.floor`` where the rounding is to have a gradient.
    """
    cb, cr = cb - 128, cr - 128
    red = y + floor((_fixed(1.402) * cr + 2**15) / 2**16)
    green = y + floor((-_fixed(0.34414) * cb - _fixed(0.71414) * cr + 2**15) / 2**16)
    blue = y + floor((_fixed(1.772) * cb + 2**15) / 2**16)
    return torch.stack([red, green, blue], dim=-3).clamp(0, 255)


def _fixed(value: float) -> int:
    return math.floor(value * 2**16 + 0.5)


def _levels(plane: Tensor) -> Tensor:
    """Samples 0..255, int32: of a file's integers as libjpeg rounds them, of anything else the nearest level."""
    if not plane.is_floating_point() and plane.shape[-3] == 64:
        return integer_idct(plane)
    plane = plane if plane.is_floating_point() else plane.to(torch.float32)
    return torch.floor(block_idct(plane) + 128.5).clamp(0, 255).to(torch.int32)


def upsample(
    samples: Tensor,
    spacing: tuple[Fraction | int, Fraction | int],
    shift: Callable[[Tensor, int], Tensor] = operator.rshift,
) -> Tensor:
    """Integer samples at ``spacing`` to one a pixel, as libjpeg-turbo chooses: triangle filters for 2, else repetition.

    The biases alternate as in its h2v1, h1v2 and h2v2 "fancy" routines, so that roundings do not add up. For whole numbers
    held as floats ``shift(x, k)`` is the floor of x / 2**k.
    """
    vertical, horizontal = spacing
    wide = samples.shape[-1] > 2  # libjpeg repeats narrower planes
    if (vertical, horizontal) == (2, 2) and wide:
        return _triangle(_triangle(samples, -2), -1, (8, 7), lambda sums: shift(sums, 4))
    if (vertical, horizontal) == (1, 2) and wide:
        return _triangle(samples, -1, (1, 2), lambda sums: shift(sums, 2))
    if (vertical, horizontal) == (2, 1):
        return _triangle(samples, -2, (1, 2), lambda sums: shift(sums, 2))
    for dim, factor in ((-2, vertical), (-1, horizontal)):
        if factor != 1:
            centres = (torch.arange(math.floor(samples.shape[dim] * factor)) + 0.5) / float(factor)
            samples = samples.index_select(dim, centres.long().to(samples.device))
    return samples


def _triangle(
    samples: Tensor, dim: int, bias: tuple[int, int] = (0, 0), shift: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Twice the samples along ``dim``: ``shift(3 near + far + bias)``, the edge repeated, biases alternating."""
    count = samples.shape[dim]
    index = torch.arange(count, device=samples.device)
    before = samples.index_select(dim, (index - 1).clamp(min=0))
    after = samples.index_select(dim, (index + 1).clamp(max=count - 1))
    sums = 3 * samples + before + bias[0], 3 * samples + after + bias[1]
    return torch.stack([*map(shift, sums)] if shift else sums, dim).flatten(dim - 1, dim)


def from_pixels(pixels: Tensor, block_size: int = 8) -> Coefficients:
    """Coefficients of RGB pixels ``(..., 3, H, W)`` of 0..255: JFIF's YCbCr, shifted by -128, chroma at full resolution.

    An exact forward DCT in the dtype of ``pixels`` (float64 for integers); what does not fill a block repeats the edge.

    >>> pixels = torch.randint(0, 256, (3, 10, 13), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    >>> shown = to_pixels(from_pixels(pixels), size=(10, 13))
    >>> int((shown.int() - pixels.int()).abs().max())        # YCbCr rounded to 8 bits, as in any JPEG decoder
    1
    """
    if pixels.ndim < 3 or pixels.shape[-3] != 3:
        raise ValueError(f"RGB pixels have shape (..., 3, H, W); got {tuple(pixels.shape)}")
    pixels = pixels if pixels.is_floating_point() else pixels.to(torch.float64)
    with full_precision(pixels.device):
        planes = torch.einsum("pc,...chw->...phw", YCC_FROM_RGB.to(pixels), pixels)
    planes[..., 0, :, :] -= 128
    return Coefficients(*(block_dct(whole_blocks(planes[..., i, :, :], block_size), block_size) for i in range(3)))


def image_through_pixels(data: bytes, source: str, reason: str, max_pixels: int) -> dict[str, Any]:
    """The fields of a ``JPEGImage`` for a file that Pillow can read and we cannot: its first frame as RGB, or gray.

    The coefficients are rounded to int16 (an error of at most 1/2 each), so the quantization table is all ones. ``reason``
    says why the file comes this way. Needs about 20 bytes of memory a pixel at most. JPEGError where Pillow cannot read it
    either, or it has over ``max_pixels`` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's advice on odd metadata; errors still raise
            image = Image.open(io.BytesIO(data), formats=_formats())
            if image.width * image.height > max_pixels:
                raise JPEGError(
                    source, None, f"{image.width}x{image.height} pixels are more than max_pixels={max_pixels}; raise it"
                )
            orientation = image.getexif().get(0x0112, 1)
            levels = _eight_bits(image)
            del image
    except JPEGError:
        raise
    except UnidentifiedImageError as error:
        text = f"{reason}, and Pillow does not recognise the file either; convert it to an 8-bit JPEG first"
        raise JPEGError(source, 0, text) from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError and more
        raise JPEGError(source, None, f"{reason}, and Pillow cannot decode it: {error}") from error
    height, width = levels.shape[:2]
    components = 1 if levels.ndim == 2 else 3
    planes = [torch.empty(-(-height // 8), -(-width // 8), 64, dtype=torch.int16) for _ in range(components)]
    for top in range(0, height, _STRIP):  # a strip at a time: the arithmetic in float64 takes ten times the levels
        strip = torch.from_numpy(levels[top : top + _STRIP])
        if components == 1:
            made = [block_dct(whole_blocks(strip.to(torch.float64) - 128, 8))]
        else:
            made = from_pixels(strip.movedim(-1, 0))
        for plane, part in zip(planes, made, strict=True):
            plane[top // 8 : top // 8 + part.shape[-2]] = part.movedim(0, -1).round()
    if components == 1:
        planes += [torch.zeros(-(-height // 16), -(-width // 16), 64, dtype=torch.int16) for _ in range(2)]
    return {
        "coefficients": Coefficients(*(plane.permute(2, 0, 1) for plane in planes)),
        "size": (height, width),
        "sampling": ((1, 1),) * components,
        "quantization": torch.ones(components, 64, dtype=torch.uint16),
        "orientation": orientation if orientation in range(1, 9) else 1,
    }


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """All that Pillow reads by itself: EPS would be handed to Ghostscript, a program, from a file named .jpg."""
    Image.init()
    return tuple(name for name in Image.ID if name != "EPS")


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Levels 0..255, uint8: H x W of a gray image, H x W x 3 of any other."""
    if image.mode.startswith("I;16"):
        return (np.asarray(image) >> 8).astype(np.uint8)
    if image.mode in ("1", "L", "I", "F"):
        return np.array(image.convert("L"))
    if image.mode in ("P", "PA", "LA", "La"):
        image = image.convert("RGBA")
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))
