"""The operators of n pictures on the coefficients of a plane, and their application to a batch; see ``batched``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dctnet.coefficients import Coefficients, Grid, grid_420
from dctnet.dct import basis
from dctnet.precision import full_precision
from dctnet.transforms.separable import Fill
from dctnet.transforms.stages import Canvas, Stage, stages
from dctnet.transforms.steps import Step


class Axis(NamedTuple):
    """What the operators of n pictures along one axis of a plane read, and with which weights, block by block of the output.

    ``first`` (n, P) int64: the input block where the run of an output block begins. ``whole``,
    ``rest`` and ``weights`` (n, P, c, R) float32: an output sample is the sum of R triangles of these weights, centred on
    ``whole`` + ``rest`` (its integer and its fraction), counted in samples from the start of the run. ``inside`` (2, n, P)
    float32: the samples of the run that may be used, from and to. ``support`` (n,) float32. ``run``: K blocks. ``low``,
    ``high``: for each picture the range of input blocks that are read at all.
    """

    first: Tensor
    whole: Tensor
    rest: Tensor
    weights: Tensor
    inside: Tensor
    support: Tensor
    run: int
    low: list[int]
    high: list[int]

    def to(self, device: torch.device) -> Axis:
        """The tensors on ``device``."""
        return Axis(*(part.to(device, non_blocking=True) if isinstance(part, Tensor) else part for part in self))

    def operators(self, b: int) -> Tensor:
        """A = T_c R T_b' as ``(n, P, c, K*b)`` float32, on the device of the tensors.

        The distance of a sample from a centre is taken from integers and a fraction, so float32 is exact to 1e-7.
        """
        device = self.whole.device
        samples = torch.arange(self.run * b, dtype=torch.float32, device=device)
        distance = (samples - self.whole[..., None]) + (0.5 - self.rest[..., None])
        low, high = self.inside[..., None]
        inside = ((samples >= low) & (samples < high))[:, :, None, None]
        triangle = (1 - distance.abs() / self.support.view(-1, 1, 1, 1, 1)).clamp(min=0) * inside
        rows = (triangle * (self.weights / triangle.sum(-1))[..., None]).sum(3)
        count, blocks, c, _ = rows.shape
        blocked = rows.view(count, blocks, c, self.run, b) @ basis(b, torch.float32, device).T
        return basis(c, torch.float32, device) @ blocked.flatten(3)


def axis(made: list[Stage | Canvas], samples: np.ndarray, outputs: int, b: int, c: int) -> Axis:
    """The product of the stages (at least one) as an ``Axis``: ``outputs`` samples in blocks of c from blocks of b.

    ``samples`` (n,): how many each picture has along the axis.
    """
    if not isinstance(made[0], Stage):
        count = len(samples)
        made = [Stage(np.zeros(count), np.ones(count), np.zeros(count), samples), *made]
    count = len(samples)
    blocks = -(-outputs // c)
    # What does not fill the last block repeats the last sample.
    samples = np.broadcast_to(np.minimum(np.arange(blocks * c), outputs - 1.0)[:, None], (count, blocks * c, 1))
    weights = np.ones_like(samples)
    for stage in reversed(made[1:]):
        samples, weights = stage.inputs(samples, weights)
    stage = made[0]
    centres = stage.centres(samples)
    starts = stage.starts(centres).reshape(count, blocks, -1)
    first = np.floor(starts.min(2) / b)
    last = np.ceil((starts.max(2) + stage.taps()[:, None]) / b)
    origin = first * b
    centres = centres.reshape(count, blocks, c, -1)
    whole = np.floor(centres)

    def tensor(values: np.ndarray, dtype: type = np.float32) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype))

    return Axis(
        tensor(first, np.int64),
        tensor(whole - origin[..., None, None]),
        tensor(centres - whole),
        tensor(weights.reshape(count, blocks, c, -1)),
        tensor(np.stack([stage.low[:, None] - origin, stage.high[:, None] - origin])),
        tensor(stage.support()),
        int((last - first).max()),
        first.min(1).astype(int).tolist(),
        last.max(1).astype(int).tolist(),
    )


def axes_of(
    slots: Sequence[Sequence[Step]],
    grids: Sequence[Grid],
    size: tuple[int, int],
    blocks_in: tuple[int, int],
    blocks_out: tuple[int, int],
) -> tuple[tuple[Axis, Axis], ...]:
    """(vertical, horizontal) for Y, Cb and Cr of steps that bring pictures on ``grids`` to ``size``.

    ``slots[k]`` holds the k-th step of each picture, all ``Drawn``, or all ``Placed`` in one mode. Blocks: (luma, chroma).
    """
    made: dict[tuple[Any, ...], Axis] = {}

    def one(plane: int, number: int) -> Axis:
        spacings = tuple(float(grid.spacing[plane][number]) for grid in grids)
        b, c = (blocks[min(plane, 1)] for blocks in (blocks_in, blocks_out))
        spacing_out = float(grid_420(size).spacing[plane][number])
        key = (number, spacings, spacing_out, b, c)
        if key not in made:
            pictures, spacing = (
                np.array(v, dtype=np.float64) for v in ([grid.size[number] for grid in grids], spacings)
            )
            chain = stages(slots, number, pictures, spacing, spacing_out)
            samples = np.ceil(pictures / spacing - 1e-9)
            made[key] = axis(chain, samples, int(-(-size[number] // spacing_out)), b, c)
        return made[key]

    return tuple((one(plane, 0), one(plane, 1)) for plane in range(3))


def apply_axes(
    packed: Coefficients,
    axes: tuple[tuple[Axis, Axis], ...],
    corners: Sequence[tuple[Tensor, Tensor]],
    blocks_in: tuple[int, int],
    fill: Fill | None,
    dtype: torch.dtype,
) -> Coefficients:
    """A_v (X - fill) A_h' + fill of all pictures: planes ``(n, c*c, P, Q)`` of ``dtype``, blocks contiguous.

    ``packed``: for each plane blocks ``(rows, columns, b*b)``, the pictures one below the other; ``corners`` for each plane
    the row and the column (n,) of block 0 of each picture, before which there may be others' blocks.
    """
    made: dict[int, tuple[Axis, Tensor]] = {}
    planes = []
    fills = fill or (0.0, 0.0, 0.0)
    sizes = (blocks_in[0], blocks_in[1], blocks_in[1])
    with full_precision(packed.y.device):
        for rows, pair, corner, b, colour in zip(packed, axes, corners, sizes, fills, strict=True):
            for part in pair:
                if id(part) not in made:
                    there = part.to(rows.device)
                    made[id(part)] = there, there.operators(b)
            (vertical, down), (horizontal, across) = (made[id(part)] for part in pair)
            planes.append(_apply(rows, vertical, down, horizontal, across, corner, b, colour, dtype))
    return Coefficients(*planes)


def _apply(
    rows: Tensor,
    vertical: Axis,
    down: Tensor,
    horizontal: Axis,
    across: Tensor,
    corner: tuple[Tensor, Tensor],
    b: int,
    fill: float,
    dtype: torch.dtype,
) -> Tensor:
    device, columns = rows.device, rows.shape[1] * b
    top, left = (place.to(device, non_blocking=True)[:, None] for place in corner)
    # Row i*b + v and column j*b + u of this matrix hold the coefficient (v, u) of block (i, j).
    rows = rows.to(torch.float32)
    if fill:
        rows = torch.cat([rows[..., :1] - fill * b, rows[..., 1:]], -1)
    matrix = rows.unflatten(-1, (b, b)).transpose(1, 2).reshape(-1, columns)
    count, blocks, c, taps = down.shape
    # A run may reach past its window: the weights are zero there, whatever the samples.
    index = ((top + vertical.first) * b)[..., None] + torch.arange(taps, device=device)
    gathered = matrix.index_select(0, index.clamp_(max=len(matrix) - 1).flatten()).view(-1, taps, columns)
    middle = torch.bmm(down.view(-1, c, taps), gathered).view(count, blocks * c, columns)
    middle = middle.transpose(1, 2).reshape(-1, blocks * c)
    _, blocks_across, _, taps = across.shape
    index = ((left + horizontal.first) * b)[..., None] + torch.arange(taps, device=device)
    index = index.clamp_(max=columns - 1) + (torch.arange(count, device=device) * columns)[:, None, None]
    gathered = middle.index_select(0, index.flatten()).view(-1, taps, blocks * c)
    result = torch.bmm(across.view(-1, c, taps), gathered).view(count, blocks_across, c, blocks, c)
    result = result.permute(0, 3, 1, 4, 2).reshape(count, blocks, blocks_across, c * c)
    if fill:
        result = torch.cat([result[..., :1] + fill * c, result[..., 1:]], -1)
    return result.to(dtype).contiguous().permute(0, 3, 1, 2)
