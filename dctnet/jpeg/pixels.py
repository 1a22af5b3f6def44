"""The way to pixels and back: what a JPEG decoder shows, and coefficients for files that hold none that we can read.

``to_pixels`` follows libjpeg: its integer inverse DCT, "fancy" triangle upsampling of chroma in integers, the JFIF colour
conversion, each rounded. ``image_through_pixels`` is the other direction, for CMYK, arithmetic
coding, 12 bits, PNG under a JPEG name and whatever else Pillow can read: pixels, then an exact forward DCT.
"""

from __future__ import annotations

import io
import math
import warnings
from fractions import Fraction

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from dctnet.coefficients import Coefficients, Grid, infer_grid
from dctnet.dct import block_dct, block_idct
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.integer_idct import integer_idct

# JFIF 1.02 (ITU-T T.871): R, G, B from Y, Cb - 128, Cr - 128, and back.
RGB_FROM_YCC = torch.tensor(
    [[1.0, 0.0, 1.402], [1.0, -0.344136286, -0.714136286], [1.0, 1.772, 0.0]], dtype=torch.float64
)
YCC_FROM_RGB = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], dtype=torch.float64
)


def to_pixels(coefficients: Coefficients, size: tuple[int, int] | None = None, grid: Grid | None = None) -> Tensor:
    """RGB pixels, uint8 ``(..., 3, H, W)``, as libjpeg-turbo decodes the same coefficients.

    ``size`` (height, width) is the part of the planes that is picture, by default all; ``grid`` (``image.grid``) says it
    together with the chroma sampling, and is needed only for pictures of at most one block that are not 4:2:0.
    ValueError where the planes do not belong to a picture of that size.

    >>> flat = Coefficients(*(torch.zeros(64, n, n) for n in (2, 1, 1)))
    >>> to_pixels(flat, size=(12, 9)).unique()        # zero is the middle gray
    tensor([128], dtype=torch.uint8)
    """
    grid = grid or infer_grid(coefficients, size)
    height, width = grid.size
    samples = []
    for number, plane in enumerate(coefficients):
        rows, columns = grid.samples(number)
        levels = _levels(plane)[..., :rows, :columns]
        samples.append(_upsample(levels, grid.spacing[number])[..., :height, :width] - 128)
    y, cb, cr = (plane.to(torch.float64) for plane in samples)
    red = y + torch.floor(1.402 * cr + 0.5)
    green = y + torch.floor(-0.34414 * cb - 0.71414 * cr + 0.5)  # five digits, as in libjpeg
    blue = y + torch.floor(1.772 * cb + 0.5)
    return (torch.stack([red, green, blue], dim=-3) + 128).clamp(0, 255).to(torch.uint8)


def _levels(plane: Tensor) -> Tensor:
    """Samples 0..255, int32: of a file's integers as libjpeg rounds them, of anything else the nearest level."""
    if not plane.is_floating_point() and plane.shape[-3] == 64:
        return integer_idct(plane)
    plane = plane if plane.is_floating_point() else plane.to(torch.float32)
    return torch.floor(block_idct(plane) + 128.5).clamp(0, 255).to(torch.int32)


def _upsample(samples: Tensor, spacing: tuple[Fraction, Fraction]) -> Tensor:
    """Integer samples at ``spacing`` to one a pixel, as libjpeg-turbo chooses: triangle filters for 2, else repetition.

    The biases alternate as in its h2v1, h1v2 and h2v2 "fancy" routines, so that roundings do not add up.
    """
    vertical, horizontal = spacing
    wide = samples.shape[-1] > 2  # libjpeg repeats narrower planes
    if (vertical, horizontal) == (2, 2) and wide:
        return _triangle(_triangle(samples, -2, (0, 0), 0), -1, (8, 7), 4)
    if (vertical, horizontal) == (1, 2) and wide:
        return _triangle(samples, -1, (1, 2), 2)
    if (vertical, horizontal) == (2, 1):
        return _triangle(samples, -2, (1, 2), 2)
    for dim, factor in ((-2, vertical), (-1, horizontal)):
        if factor != 1:
            centres = (torch.arange(math.floor(samples.shape[dim] * factor)) + 0.5) / float(factor)
            samples = samples.index_select(dim, centres.long().to(samples.device))
    return samples


def _triangle(samples: Tensor, dim: int, bias: tuple[int, int], shift: int) -> Tensor:
    """Twice the samples along ``dim``: (3 x near + far + bias) >> shift, the edge repeated, biases alternating."""
    count = samples.shape[dim]
    index = torch.arange(count, device=samples.device)
    before = samples.index_select(dim, (index - 1).clamp(min=0))
    after = samples.index_select(dim, (index + 1).clamp(max=count - 1))
    even, odd = (3 * samples + before + bias[0]) >> shift, (3 * samples + after + bias[1]) >> shift
    return torch.stack([even, odd], dim).flatten(dim - 1, dim)


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
    planes = torch.einsum("pc,...chw->...phw", YCC_FROM_RGB.to(pixels), pixels)
    planes[..., 0, :, :] -= 128
    return Coefficients(*(block_dct(_fill_blocks(planes[..., i, :, :], block_size), block_size) for i in range(3)))


def _fill_blocks(samples: Tensor, b: int) -> Tensor:
    """The last row and column repeated up to whole blocks."""
    for dim in (-2, -1):
        count = samples.shape[dim]
        index = torch.arange(-(-count // b) * b, device=samples.device).clamp(max=count - 1)
        samples = samples.index_select(dim, index)
    return samples


def image_through_pixels(data: bytes, source: str, reason: str, max_pixels: int) -> dict:
    """The fields of a ``JPEGImage`` for a file that Pillow can read and we cannot: its first frame as RGB, or gray.

    The coefficients are rounded to int16 (an error of at most 1/2 each), so the quantization table is all ones. ``reason``
    says why the file comes this way. JPEGError where Pillow cannot read it either, or it has over ``max_pixels`` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's advice on odd metadata; errors still raise
            image = Image.open(io.BytesIO(data))
            if image.width * image.height > max_pixels:
                raise JPEGError(
                    source, None, f"{image.width}x{image.height} pixels are more than max_pixels={max_pixels}; raise it"
                )
            orientation = image.getexif().get(0x0112, 1)
            gray, levels = _eight_bits(image)
    except JPEGError:
        raise
    except UnidentifiedImageError as error:
        raise JPEGError(source, 0, f"{reason}, and Pillow does not recognise the file either") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError and more
        raise JPEGError(source, None, f"{reason}, and Pillow cannot decode it: {error}") from error
    height, width = levels.shape[:2]
    if gray:
        luma = block_dct(_fill_blocks(torch.from_numpy(levels).to(torch.float64) - 128, 8))
        chroma = torch.zeros(64, -(-height // 16), -(-width // 16))
        planes = Coefficients(luma, chroma, chroma.clone())
    else:
        planes = from_pixels(torch.from_numpy(levels).movedim(-1, 0))
    components = 1 if gray else 3
    return {
        "coefficients": planes.map(lambda plane: plane.round().to(torch.int16)),
        "size": (height, width),
        "sampling": ((1, 1),) * components,
        "quantization": torch.ones(components, 64, dtype=torch.uint16),
        "orientation": orientation if orientation in range(1, 9) else 1,
    }


def _eight_bits(image: Image.Image) -> tuple[bool, np.ndarray]:
    """(is it gray, its levels 0..255 as an array H x W or H x W x 3)."""
    if image.mode.startswith("I;16"):
        return True, (np.asarray(image) >> 8).astype(np.uint8)
    if image.mode in ("1", "L", "I", "F"):
        return True, np.array(image.convert("L"))
    if image.mode in ("P", "PA", "LA", "La"):
        image = image.convert("RGBA")
    return False, np.array(image.convert("RGB"))
