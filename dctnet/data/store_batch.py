"""A batch straight from the records of a store: one call of C++ from stored integers to what the network reads.

Nothing of the size of a picture is made between: the integers of a record are scaled, lifted (``dct.lift``), normalised and
written into their place in the batch. Only the bands that are stored are read, and only those asked for are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from dctnet.bands import Bands
from dctnet.coefficients import Coefficients, Grid, grid_420
from dctnet.data.store_format import Record
from dctnet.jpeg import _native
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import Geometric, Reblock
from dctnet.transforms.photometric import Normalize
from dctnet.transforms.separable import Separable, after


class Chain(NamedTuple):
    """A ``Compose`` that one call can do: geometric transforms, then maybe a ``Normalize``; the block sizes that it writes."""

    geometric: list[Geometric]
    normalize: Normalize | None
    blocks: tuple[int, int]

    def operators(self, grid: Grid, generator: torch.Generator) -> Separable:
        """The product of the operators of a picture, drawn in the order in which ``Compose`` draws."""
        product = None
        for transform in self.geometric:
            operators = transform.operators(grid, generator)
            product = operators if product is None else after(operators, product)
            grid = grid_420(operators.size)
        return product


def chain(transform: object) -> Chain | None:
    """``transform`` as a ``Chain``; None where it is something else."""
    if not isinstance(transform, Compose):
        return None
    geometric = [step for step in transform.transforms if isinstance(step, Geometric)]
    rest = transform.transforms[len(geometric) :]
    if not geometric or transform.transforms[: len(geometric)] != geometric or len(rest) > 1:
        return None
    if rest and not isinstance(rest[0], Normalize):
        return None
    blocks = transform.block_size or (8, 8)
    for step in geometric:
        blocks = step.block_size if isinstance(step, Reblock) else blocks
    return Chain(geometric, rest[0] if rest else None, blocks)


def lift_batch(
    records: Sequence[Record], operators: Sequence[Separable], stored: Bands, steps: Chain, written: Bands | None
) -> Coefficients:
    """float32 planes ``(n, bands, H/b, W/b)`` in channels-last memory: what ``Compose`` makes of each record.

    ``written`` are the bands of 8x8 blocks to write; None for all of any block size. ValueError where the pictures have
    different sizes, or a ``Normalize`` other numbers of bands.
    """
    sizes = {product.size for product in operators}
    if len(sizes) != 1:
        raise ValueError(
            f"a batch needs pictures of one size; got {sorted(sizes)[:4]}. Resize or crop them to one size first."
        )
    grid = grid_420(sizes.pop())
    luma, chroma = steps.blocks
    outputs, formats = [], []
    for number, (own, b) in enumerate(zip(stored, (luma, chroma, chroma), strict=True)):
        bands = range(b * b) if written is None else written[number]
        gain, shift = _gain_and_shift(steps.normalize, number, bands)
        formats.append(_native.PlaneFormat(own, [], b, bands, gain, shift))
        outputs.append(torch.empty(len(records), *(-(-length // b) for length in grid.samples(number)), len(bands)))
    planes = [tuple(zip(record.planes, record.scales, strict=True)) for record in records]
    _native.lift_planes(planes, operators, formats, outputs, 1)
    return Coefficients(*(output.movedim(-1, -3) for output in outputs))


def _gain_and_shift(normalize: Normalize | None, number: int, bands: Sequence[int]) -> tuple[list[float], list[float]]:
    """(X - mean) / std as gain * X + shift."""
    if normalize is None:
        return [], []
    mean, std = normalize.mean[number], normalize.std[number]
    if not len(mean) == len(std) == len(bands):
        raise ValueError(f"Normalize has {len(mean)} and {len(std)} values for a plane of {len(bands)} bands")
    if not bool((std > 0).all()):
        raise ValueError(f"std must be positive; its smallest value is {float(std.min())}")
    return (1 / std).tolist(), (-mean / std).tolist()
