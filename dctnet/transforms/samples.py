"""Pictures on the 4:2:0 grid by way of their samples, where that costs less than an operator on coefficients."""

from __future__ import annotations

import torch

from dctnet.coefficients import SPACING_420, Coefficients, Grid, block_size
from dctnet.dct import block_dct, block_idct
from dctnet.transforms.steps import Placed


def whole_blocks(coefficients: Coefficients, grid: Grid) -> tuple[int, int] | None:
    """The block sizes of planes on the 4:2:0 grid that hold nothing but picture; None for others."""
    if grid.spacing != SPACING_420:
        return None
    luma, chroma = block_size(coefficients.y), block_size(coefficients.cb)
    for plane, b, (rows, columns) in zip(coefficients, (luma, chroma, chroma), samples_420(grid.size), strict=True):
        if (plane.shape[-2] * b, plane.shape[-1] * b) != (rows, columns):
            return None
    return luma, chroma


def samples_420(size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """(rows, columns) of samples of Y, Cb and Cr of a picture of ``size`` on the 4:2:0 grid, as ``Grid.samples`` has them."""
    half = -(-size[0] // 2), -(-size[1] // 2)
    return size, half, half


def reblocked(coefficients: Coefficients, size: tuple[int, int], blocks: tuple[int, int]) -> Coefficients:
    """Planes of a picture of ``size`` on the 4:2:0 grid in other blocks, by way of samples; the edge fills the last blocks."""
    planes = []
    sizes = (blocks[0], blocks[1], blocks[1])
    for plane, c, (rows, columns) in zip(coefficients, sizes, samples_420(size), strict=True):
        if block_size(plane) == c:
            planes.append(plane)
            continue
        samples = block_idct(plane)[..., :rows, :columns]
        if rows % c or columns % c:
            flat = samples.reshape(-1, 1, rows, columns)
            flat = torch.nn.functional.pad(flat, (0, -columns % c, 0, -rows % c), mode="replicate")
            samples = flat.reshape(*samples.shape[:-2], *flat.shape[-2:])
        planes.append(block_dct(samples, c))
    return Coefficients(*planes)


def moved(samples: Coefficients, step: Placed, size: tuple[int, int]) -> Coefficients:
    """Samples ``(..., 1, H, W)`` of a picture of ``size`` on the canvas of a ``step`` that fills it with a colour."""
    planes = []
    for number, (plane, spacing) in enumerate(zip(samples, (1, 2, 2), strict=True)):
        rows, columns, height, width = (-(-length // spacing) for length in (*size, *step.size))
        (top, odd), (left, odd_left) = divmod(step.top, spacing), divmod(step.left, spacing)
        plane, copies = plane[..., :rows, :columns], []
        # Between two samples of chroma lies their mean.
        for down in (0, 1) if odd else (0,):
            for along in (0, 1) if odd_left else (0,):
                # A picture that leaves the canvas stops beside it.
                before, above = (
                    min(max(at, -n), m) for at, n, m in ((left + along, columns, width), (top + down, rows, height))
                )
                around = (before, width - before - columns, above, height - above - rows)
                copies.append(torch.nn.functional.pad(plane, around, value=step.fill[number]))
        planes.append(copies[0] if len(copies) == 1 else sum(copies) / len(copies))
    return Coefficients(*planes)
