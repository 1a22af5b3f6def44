"""Coefficients rounded to multiples of quantization steps: what a JPEG file can hold of what a transform has made."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from dctnet.coefficients import Coefficients, Grid, infer_grid
from dctnet.jpeg.image import JPEGImage

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


def quantize(
    coefficients: Coefficients,
    size: tuple[int, int] | None = None,
    *,
    quality: int | None = None,
    quantization: Tensor | None = None,
    grid: Grid | None = None,
    orientation: int = 1,
) -> JPEGImage:
    """The ``JPEGImage`` of raw integers ``round(X / step)``, for ``write_jpeg``, of planes X ``(64, H/8, W/8)`` in gray levels.

    The steps are those of ``quality``, or ``quantization`` (components, 64) row-major, as an image has it; one row makes a
    gray file of the luma plane. ``size`` (height, width) is the part of the planes that is picture, by default all;
    ``grid`` says it together with the chroma sampling, which is otherwise read off the shapes (4:2:0 for what a transform
    has made). Integers are clipped to baseline's, DC -1024..1023 and AC -1023..1023: what lies beyond belongs to no picture
    of 8 bits. The error of a coefficient is half a step at most, and of planes that are multiples of their steps 0.

    ValueError for planes of another block size or batch, values that are not finite, steps that are not in 1..65535,
    shapes that do not belong to ``size``, and where not exactly one of ``quality`` and ``quantization`` is given.

    >>> planes = Coefficients(*(torch.full((64, n, n), 11.0) for n in (4, 2, 2)))
    >>> image = quantize(planes, size=(30, 32), quality=50)
    >>> image.subsampling, image.coefficients.y[:3, 0, 0].tolist()
    ('4:2:0', [1, 1, 1])
    """
    if (quality is None) == (quantization is None):
        raise ValueError("give quality (1 to 100) or quantization (an image's own steps), one of the two")
    steps = quality_steps(quality) if quantization is None else torch.as_tensor(quantization)
    if steps.ndim != 2 or steps.shape[0] not in (1, 3) or steps.shape[1] != 64:
        raise ValueError(f"quantization has shape (3, 64), or (1, 64) for a gray file; got {tuple(steps.shape)}")
    steps = steps.to(torch.float64).cpu()
    if not bool(((steps >= 1) & (steps <= 65535) & (steps == steps.round())).all()):
        raise ValueError("quantization steps are whole numbers from 1 to 65535")
    for name, plane in zip(Coefficients._fields, coefficients, strict=True):
        if plane.ndim != 3 or plane.shape[0] != 64:
            raise ValueError(
                f"plane {name} of one picture in blocks of 8 has shape (64, H/8, W/8); got {tuple(plane.shape)}. "
                "Use Compose([...], block_size=8), and take pictures out of a batch one by one."
            )
    grid = grid or infer_grid(coefficients, size)
    planes = []
    for number, plane in enumerate(coefficients[: len(steps)]):
        blocks = plane.detach().cpu().permute(1, 2, 0).to(torch.float64)
        if not bool(blocks.isfinite().all()):
            raise ValueError(f"plane {Coefficients._fields[number]} holds values that are not finite")
        levels = (blocks / steps[number]).round_().clamp_(-1023, 1023)
        levels[..., 0] = (blocks[..., 0] / steps[number, 0]).round_().clamp_(-1024, 1023)
        planes.append(levels.to(torch.int16))
    if len(steps) == 1:
        sampling = ((1, 1),)
        planes += [torch.zeros(-(-grid.size[0] // 16), -(-grid.size[1] // 16), 64, dtype=torch.int16) for _ in range(2)]
    else:
        vertical, horizontal = (_factors([spacing[axis] for spacing in grid.spacing]) for axis in range(2))
        sampling = tuple(zip(vertical, horizontal, strict=True))
    return JPEGImage(
        coefficients=Coefficients(*(plane.permute(2, 0, 1) for plane in planes)),
        size=(int(grid.size[0]), int(grid.size[1])),
        sampling=sampling,
        quantization=steps.to(torch.int32).to(torch.uint16),
        dequantized=False,
        progressive=False,
        orientation=orientation,
        source="<coefficients>",
    )


def _factors(spacings: list[Fraction]) -> list[int]:
    """The smallest sampling factors that stand for the spacings along one axis."""
    for greatest in range(1, 5):
        factors = [Fraction(greatest) / spacing for spacing in spacings]
        if all(factor.denominator == 1 and 1 <= factor <= 4 for factor in factors):
            return [int(factor) for factor in factors]
    raise ValueError(f"no sampling factors of a JPEG file (1 to 4) give samples at distances of {spacings} pixels")
