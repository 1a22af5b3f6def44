"""Coefficients rounded to multiples of quantization steps: what a JPEG file can hold of what a transform has made."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from dctnet.coefficients import Coefficients, Grid, infer_grid
from dctnet.jpeg.image import JPEGImage
from dctnet.quantization import levels, quality_steps


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

    Halves are rounded away from zero, as by libjpeg. The steps are those of ``quality``, or ``quantization`` (components, 64)
    row-major, as an image has it; one row makes a gray file of the luma plane. ``size`` (height, width) is the part of the
    planes that is picture, by default all; ``grid`` says it together with the chroma sampling, which is otherwise read off
    the shapes (4:2:0 for what a transform has made). Integers are clipped to baseline's, DC -1024..1023 and AC -1023..1023:
    what lies beyond belongs to no picture of 8 bits. The error of a coefficient is half a step at most, and of planes that
    are multiples of their steps 0.

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
        planes.append(levels(blocks, steps[number]).to(torch.int16))
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
