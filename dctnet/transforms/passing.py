"""A picture on its way through a chain of transforms: its coefficients, and the operator that is still to be applied to them."""

from __future__ import annotations

import torch
from torch import Tensor

from dctnet.coefficients import Coefficients, Grid, check_all_bands, grid_420
from dctnet.transforms.affine import warp
from dctnet.transforms.photometric import Photometric
from dctnet.transforms.samples import moved, reblocked, whole_blocks
from dctnet.transforms.separable import Separable, after, lifted, whole
from dctnet.transforms.steps import Placed, Step, Warped


class Passing:
    """Steps are gathered in one separable operator, which is lifted and applied once, when values are asked for.

    ``coefficients`` count only after ``settle``. ``blocks``: the block sizes (luma, chroma) that ``settle`` brings them to.
    ``grid``: that of the picture after the steps so far. Half precision is computed in float32 and rounded once, by ``result``.
    """

    def __init__(self, coefficients: Coefficients, grid: Grid, blocks: tuple[int, int]):
        check_all_bands(coefficients)
        self.coefficients, self.grid, self.blocks = coefficients.map(_wide), grid, blocks
        self._came = [plane.dtype if plane.is_floating_point() else torch.float32 for plane in coefficients]
        self._pending: Separable | None = None
        # Their blocks, where the coefficients lie on the 4:2:0 grid, and what is behind the picture repeats its edge.
        self._settled: tuple[int, int] | None = whole_blocks(coefficients, grid)

    def move(self, step: Step) -> None:
        """Add a step."""
        if isinstance(step, Warped):
            self.settle((1, 1))
            matrix = torch.tensor(step.matrix, dtype=torch.float64)
            self.coefficients = warp(self.coefficients, matrix, self.grid.size, step.size, step.fill)
            self.grid = grid_420(step.size)
            return
        if isinstance(step, Placed) and step.mode == "constant" and self._pending is None and self._settled:
            # To move samples is cheaper than to multiply coefficients, where nothing else waits to be multiplied.
            self.settle((1, 1))
            self.coefficients, self.grid = moved(self.coefficients, step, self.grid.size), grid_420(step.size)
            return
        operators = step.on(self.grid)
        if self._pending is not None and self._pending.fill and operators.fill not in (None, self._pending.fill):
            self.settle()  # one operator fills with one colour
        self._pending = operators if self._pending is None else after(operators, self._pending)
        self.grid = grid_420(operators.size)

    def result(self, dtype: torch.dtype | None = None) -> Coefficients:
        """``settle``d coefficients, rounded to ``dtype``; default: that in which each plane came, float32 of integers."""
        self.settle()
        planes = zip(self.coefficients, self._came, strict=True)
        return type(self.coefficients)(*(plane.to(dtype or came) for plane, came in planes))

    def settle_for(self, transform: Photometric) -> None:
        """``settle`` in the blocks that cost ``transform`` least."""
        kept = self._settled if transform.any_blocks and self._pending is None else None
        luma, chroma = (1 if on else b for on, b in zip(transform.on_samples, kept or self.blocks, strict=True))
        self.settle((luma, chroma))

    @property
    def pending(self) -> bool:
        """Whether an operator waits to be applied."""
        return self._pending is not None

    def settle(self, blocks: tuple[int, int] | None = None, ending: Coefficients | None = None) -> None:
        """Apply what is pending: ``coefficients`` become floats on the 4:2:0 grid, in ``blocks`` (default: the chain's).

        ``ending``: see ``separable.lifted``; only where something is pending.
        """
        blocks = blocks or self.blocks
        if self._pending is None and self._settled:
            floats = self.coefficients.map(lambda p: p if p.is_floating_point() else p.to(torch.float32))
            self.coefficients = floats if blocks == self._settled else reblocked(floats, self.grid.size, blocks)
            self._settled = blocks
            return
        operators = whole(self.grid) if self._pending is None else self._pending
        self.coefficients = lifted(self.coefficients, operators, blocks, ending)
        self.grid, self._pending, self._settled = grid_420(self.grid.size), None, blocks


def _wide(plane: Tensor) -> Tensor:
    """Floats of half precision in float32; all else as it is, since the operators read integers themselves."""
    return plane.to(torch.promote_types(plane.dtype, torch.float32)) if plane.is_floating_point() else plane
