"""What a chain of transforms comes to: one separable operator, then one gain and one shift for each band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from dctnet.coefficients import Coefficients, Grid, grid_420
from dctnet.transforms.frequency import SelectBands
from dctnet.transforms.geometric import Geometric, Reblock, Streams
from dctnet.transforms.normalize import Normalize
from dctnet.transforms.photometric import Photometric
from dctnet.transforms.resamplings import product
from dctnet.transforms.separable import Separable, after, whole
from dctnet.transforms.steps import Drawn


class Reduced(NamedTuple):
    """``gain * X + shift`` on the kept ``bands`` of X, the lifted planes in blocks of ``block_size`` (luma, chroma).

    ``bands``: for Y, Cb and Cr the channels kept, ascending. ``gain`` and ``shift``: a float64 vector of as many values
    each, or None for both where the chain has no ``Normalize``.
    """

    geometric: tuple[Geometric, ...]
    block_size: tuple[int, int]
    bands: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    gain: Coefficients | None
    shift: Coefficients | None

    def operators(self, grid: Grid, generator: torch.Generator | None) -> Separable:
        """The operators for one picture, drawn as ``Compose`` draws them."""
        pending = None
        for transform in self.geometric:
            operators = transform.draw(grid.size, generator).on(grid)
            pending = operators if pending is None else after(operators, pending)
            grid = grid_420(operators.size)
        return whole(grid) if pending is None else pending

    def operators_of_many(
        self, sizes: np.ndarray, sampling: np.ndarray, streams: Streams
    ) -> tuple[np.ndarray, tuple[int, int]] | None:
        """``operators`` for n pictures as ``resamplings.product`` has them, and the one size that they come to.

        ``sizes`` (n, 2) int64; ``sampling`` (n, 3, 2). None where nothing is geometric, sizes come out different or there is
        no closed form. ValueError where a transform does not fit a picture.
        """
        steps, size = [], sizes
        for transform in self.geometric:
            drawn = transform.draw_many(size, streams)
            if drawn is None:
                return None
            steps.append(drawn)
            size = np.ascontiguousarray(steps[-1][:, 4:6])
        if not steps or (size != size[0]).any():
            return None
        operators = product(steps, sizes, sampling)
        return None if operators is None else (operators, tuple(size[0].tolist()))

    def blocks(self, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of blocks of Y, Cb and Cr that a picture of ``size`` becomes."""
        grid, (luma, chroma) = grid_420(size), self.block_size
        return tuple(
            tuple(-(-samples // b) for samples in grid.samples(plane)) for plane, b in enumerate((luma, chroma, chroma))
        )


def reduce(transforms: Sequence[Geometric | Photometric], block_size: tuple[int, int]) -> Reduced | None:
    """The chain in one; None where something geometric follows a change of values, or a change is not of our kinds."""
    count = next((i for i, transform in enumerate(transforms) if not isinstance(transform, Geometric)), len(transforms))
    geometric, photometric = tuple(transforms[:count]), transforms[count:]
    if not all(type(transform) in (Normalize, SelectBands) for transform in photometric):
        return None
    if not all(transform.steps is Drawn for transform in geometric):
        return None
    for transform in geometric:
        block_size = transform.block_size if isinstance(transform, Reblock) else block_size
    luma, chroma = block_size

    # Each change is affine in each band, so two probes, of zeros and of ones, tell all.
    def probe(value: float) -> Coefficients:
        return Coefficients(*(torch.full((b * b, 1, 1), value, dtype=torch.float64) for b in (luma, chroma, chroma)))

    bands = Coefficients(*(torch.arange(b * b)[:, None, None] for b in (luma, chroma, chroma)))
    zeros, ones = probe(0.0), probe(1.0)
    for transform in photometric:
        zeros, ones = transform(zeros), transform(ones)
        bands = transform(bands) if isinstance(transform, SelectBands) else bands
    shift = zeros.map(torch.flatten)
    gain = Coefficients(*(one.flatten() - zero for one, zero in zip(ones, shift, strict=True)))
    normalized = any(isinstance(transform, Normalize) for transform in photometric)
    return Reduced(
        geometric,
        block_size,
        tuple(tuple(plane.flatten().tolist()) for plane in bands),
        gain if normalized else None,
        shift if normalized else None,
    )
