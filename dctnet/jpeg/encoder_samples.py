"""From pixels to the samples that a JPEG encoder transforms, as libjpeg rounds them.

R, G and B become Y, Cb and Cr, each one sum of whole multiples of 2**-16, rounded once. Chroma is averaged over the pixels that
a sample covers, the halves rounded down and up from column to column. What does not fill the last blocks is filled by
repetition: to the right the pixels, before they are averaged; below the samples, after it. Nothing is smoothed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dctnet.jpeg.integer_dct import Floor

# In units of 2**-16, of five digits: Y, Cb and Cr of R, G and B.
_FACTORS = ((19595, 38470, 7471), (-11059, -21709, 32768), (32768, -27439, -5329))
# Halves of Y are rounded up, those of Cb and Cr down.
_OFFSETS = (2**15, 128 * 2**16 + 2**15 - 1, 128 * 2**16 + 2**15 - 1)
# What is added to the sums of two and of four, from column to column.
_BIASES = {(1, 2): (0, 1), (2, 2): (1, 2)}


def ycbcr_of_rgb(rgb: Tensor, floor: Floor = torch.floor) -> list[Tensor]:
    """Y, Cb and Cr ``(..., H, W)``, whole numbers of 0..255, of R, G and B ``(..., 3, H, W)``, whole numbers in float64.

    ``floor`` takes the place of ``torch.floor`` where the rounding is to have a gradient.

    >>> [plane.item() for plane in ycbcr_of_rgb(torch.tensor([255.0, 0, 0], dtype=torch.float64).view(3, 1, 1))]
    [76.0, 85.0, 255.0]
    """
    red, green, blue = rgb.unbind(-3)
    return [
        floor((r * red + g * green + b * blue + offset) / 2**16)
        for (r, g, b), offset in zip(_FACTORS, _OFFSETS, strict=True)
    ]


def encoder_samples(plane: Tensor, spacing: tuple[int, int] = (1, 1), floor: Floor = torch.floor) -> Tensor:
    """The samples at ``spacing`` (vertical, horizontal) of a plane ``(..., H, W)`` of float64, filled up to whole blocks of 8.

    ``spacing`` is (1, 1), (1, 2) or (2, 2): luma, and chroma of 4:2:2 and of 4:2:0.

    >>> encoder_samples(torch.tensor([[1.0, 2.0, 1.0, 2.0, 7.0]]).double(), (1, 2))[0].tolist()
    [1.0, 2.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0]
    """
    down, across = spacing
    rows, columns = (-(-side // step) for side, step in zip(plane.shape[-2:], spacing, strict=True))
    samples = filled(plane, rows * down, -(-columns // 8) * 8 * across)
    if spacing != (1, 1):
        sums = samples.unflatten(-2, (-1, down)).unflatten(-1, (-1, across)).sum((-3, -1))
        bias = sums.new_tensor(_BIASES[spacing]).repeat(sums.shape[-1] // 2)
        samples = floor((sums + bias) / (down * across))
    return whole_blocks(samples, 8)


def filled(samples: Tensor, rows: int, columns: int) -> Tensor:
    """Samples ``(..., H, W)`` with the last row and column repeated, up to so many."""
    for dim, wanted in ((-2, rows), (-1, columns)):
        count = samples.shape[dim]
        if count != wanted:
            index = torch.arange(wanted, device=samples.device).clamp(max=count - 1)
            samples = samples.index_select(dim, index)
    return samples


def whole_blocks(samples: Tensor, b: int) -> Tensor:
    """The last row and column repeated up to whole blocks of b."""
    return filled(samples, *(-(-side // b) * b for side in samples.shape[-2:]))
