"""The quantization of JPEG: the standard tables at a quality, and coefficients rounded to whole steps as libjpeg rounds."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

# Tables K.1 and K.2 of ITU-T T.81, row-major: the steps of quality 50.
LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
CHROMA_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99), (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)  # fmt: skip


def quality_steps(quality: int) -> Tensor:
    """The quantization (3, 64), uint16 row-major, that libjpeg and Pillow use for ``quality`` 1 to 100.

    >>> quality_steps(50)[0, :4].tolist(), quality_steps(90)[0, :4].tolist()
    ([16, 11, 10, 16], [3, 2, 2, 3])
    """
    if isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100:
        raise ValueError(f"the quality is a whole number from 1 to 100; got {quality!r}")
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    luma, chroma = (torch.tensor(steps).flatten() for steps in (LUMA_STEPS, CHROMA_STEPS))
    steps = (torch.stack([luma, chroma, chroma]) * percent + 50) // 100
    return steps.clamp(1, 255).to(torch.uint16)


@lru_cache(maxsize=1)
def all_quality_steps() -> Tensor:
    """``quality_steps`` of 1 to 100 in float32, (101, 3, 64); row 0 is empty.

    >>> all_quality_steps()[50, 0, :4].tolist()
    [16.0, 11.0, 10.0, 16.0]
    """
    table = torch.zeros(101, 3, 64)
    for quality in range(1, 101):
        table[quality] = quality_steps(quality).to(torch.float32)
    return table


def levels(blocks: Tensor, steps: Tensor) -> Tensor:
    """The integers that a JPEG file stores of coefficients ``(..., 64)``: X / step, rounded and clipped, still floats.

    Halves are rounded away from zero, as libjpeg's encoder does, and the result clipped to what baseline files of 8 bits
    hold, DC -1024..1023 and AC -1023..1023.

    >>> levels(torch.tensor([5.0, -5.0, 4.0, 99999.0]), torch.tensor(10.0)).tolist()
    [1.0, -1.0, 0.0, 1023.0]
    """
    ratio = blocks / steps
    whole = ratio.trunc()
    # The difference is exact, where ratio + 0.5 is not.
    rounded = whole + ((ratio - whole).abs() >= 0.5) * ratio.sign()
    dc = rounded[..., :1].clamp(-1024, 1023)
    return torch.cat([dc, rounded[..., 1:].clamp(-1023, 1023)], -1)
