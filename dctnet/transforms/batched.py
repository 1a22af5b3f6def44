"""A chain of transforms applied to a batch of pictures of different sizes in one go, on any device.

``Compose`` builds the operators of one picture and applies them to it. Here those of n pictures are built and applied
together, with as many tensor operations for one picture as for a thousand:

    Z[i] = A_v[i] X[i],   Y[i] = Z[i] A_h[i]',    A[i] = T_c R[i] T_b'      (i = 1..n)

A block of the output depends on a run of K input blocks that begins at ``first``, K the longest run in the batch; so
A[i] is a tensor (P, c, K b), P the number of output blocks. Its weights are the triangles of ``resampling.Resampling``,
evaluated for all n x P x c x K b pairs of an output and an input sample at once. The input is what the operators read
of each plane, no more: a window of whole blocks, the windows of a batch one below the other in one tensor.

The work falls in three parts, so that a loader can do each where it costs least: ``plan`` draws the parameters (on the
host, picture by picture, as ``Compose`` draws them), ``Plan.pack`` copies the windows, ``Plan.apply`` computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dctnet.coefficients import Coefficients, Grid, block_size, grid_420, infer_grid
from dctnet.dct import basis
from dctnet.transforms.compose import Compose
from dctnet.transforms.frequency import SelectBands
from dctnet.transforms.geometric import Geometric, Reblock
from dctnet.transforms.normalize import Normalize
from dctnet.transforms.photometric import Photometric
from dctnet.transforms.steps import Drawn


class Stage(NamedTuple):
    """``resampling.Resampling`` along one axis for n pictures: arrays ``(n,)`` of float64, ``low`` and ``high`` whole."""

    origin: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def centres(self, outputs: np.ndarray) -> np.ndarray:
        """Where in the input the outputs ``(n, O, R)`` are centred."""
        origin, scale, low, high = (value[:, None, None] for value in self)
        return (origin + (outputs + 0.5) * scale).clip(low, high)

    def support(self) -> np.ndarray:
        """Half the width of the triangle, ``(n,)``."""
        return np.maximum(np.abs(self.scale), 1)

    def taps(self) -> np.ndarray:
        """How many consecutive samples can have a weight, ``(n,)``."""
        return np.minimum(np.ceil(2 * self.support() - 1e-9), self.high - self.low)

    def starts(self, centres: np.ndarray) -> np.ndarray:
        """The first of them for each centre ``(n, O, R)``."""
        support, low, last = (value[:, None, None] for value in (self.support(), self.low, self.high - self.taps()))
        return np.floor(centres - support + 0.5).clip(low, last)

    def inputs(self, outputs: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Samples ``(n, O, R)`` of the output with weights, as samples ``(n, O, R*taps)`` of the input with theirs."""
        centres = self.centres(outputs)
        if (self.scale**2 == 1).all() and ((self.origin + self.scale / 2) % 1 == 0.5).all():  # shifts by whole samples
            return np.floor(centres).clip(self.low[:, None, None], self.high[:, None, None] - 1), weights
        samples = self.starts(centres)[..., None] + np.arange(self.taps().max())
        support, high = (value[:, None, None, None] for value in (self.support(), self.high))
        triangle = np.maximum(1 - np.abs(samples + 0.5 - centres[..., None]) / support, 0) * (samples < high)
        triangle /= triangle.sum(-1, keepdims=True)
        shape = (*outputs.shape[:2], -1)
        return samples.reshape(shape), (weights[..., None] * triangle).reshape(shape)


class Axis(NamedTuple):
    """What the operators of n pictures along one axis of a plane read, and with which weights, block by block of the output.

    ``first`` (n, P) int64: the input block where the run of an output block begins, counted from ``low``. ``whole``,
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


class Plan:
    """What a chain of transforms does to n pictures; made by ``plan``.

    ``windows[p][i]`` is (top, bottom, left, right) in blocks of plane p of picture i: what ``pack`` takes of it.
    """

    def __init__(
        self,
        axes: tuple[tuple[Axis, Axis], ...],
        blocks_in: tuple[int, int],
        blocks_out: tuple[int, int],
        photometric: Sequence[Photometric],
    ):
        self.axes, self.photometric = axes, photometric
        self.blocks_in = (blocks_in[0], blocks_in[1], blocks_in[1])
        self.blocks_out = (blocks_out[0], blocks_out[1], blocks_out[1])
        self.windows = [list(zip(v.low, v.high, h.low, h.high, strict=True)) for v, h in axes]

    def packed_shape(self, number: int) -> tuple[int, int, int]:
        """(rows of all pictures, widest, b*b) of plane ``number`` packed."""
        windows, b = self.windows[number], self.blocks_in[number]
        rows = sum(bottom - top for top, bottom, _, _ in windows)
        return rows, max(right - left for _, _, left, right in windows), b * b

    def places(self) -> list[list[tuple[int, int, int, int, int]]]:
        """For each picture and plane its window, and the row of the packed plane where it goes."""
        planes = []
        for windows in self.windows:
            rows = accumulate((bottom - top for top, bottom, _, _ in windows), initial=0)
            planes.append([(*window, row) for window, row in zip(windows, rows, strict=False)])
        return [list(three) for three in zip(*planes, strict=True)]

    def pack(self, pictures: Sequence[Coefficients], empty: Callable[..., Tensor] = torch.empty) -> Coefficients:
        """The windows of the pictures, one below the other: for each plane ``(rows of all, widest, b*b)``, dtype as read.

        What lies to the right of a narrower window is not used. ``empty(shape, dtype=...)`` gives the memory.
        """
        packed = []
        for number, windows in enumerate(self.windows):
            planes = [picture[number] for picture in pictures]
            out = empty(self.packed_shape(number), dtype=planes[0].dtype)
            if out.is_floating_point():
                out.zero_()  # a NaN times a weight of zero is not nothing
            array, row = out.numpy(), 0  # copying views is quicker in numpy
            for plane, (top, bottom, left, right) in zip(planes, windows, strict=True):
                window = plane.movedim(0, -1).numpy()[top:bottom, left:right]
                array[row : row + bottom - top, : right - left] = window
                row += bottom - top
            packed.append(out)
        return Coefficients(*packed)

    def apply(self, packed: Coefficients, dtype: torch.dtype = torch.float32) -> Coefficients:
        """The transformed batch ``(n, c*c, P, Q)`` of ``dtype``, on the device of ``packed``, blocks contiguous.

        Computed in float32 and rounded once at the end. On CUDA the products are as exact as
        ``torch.set_float32_matmul_precision`` asks for.
        """
        made: dict[int, tuple[Axis, Tensor]] = {}
        planes = []
        for rows, axes, b in zip(packed, self.axes, self.blocks_in, strict=True):
            for axis in axes:
                if id(axis) not in made:
                    there = axis.to(rows.device)
                    made[id(axis)] = there, there.operators(b)
            (vertical, down), (horizontal, across) = (made[id(axis)] for axis in axes)
            planes.append(_apply(rows, vertical, down, horizontal, across, b, None if self.photometric else dtype))
        result = Coefficients(*planes)
        for transform in self.photometric:
            result = transform(result)
        return result.to(dtype) if self.photometric else result


def _apply(
    rows: Tensor, vertical: Axis, down: Tensor, horizontal: Axis, across: Tensor, b: int, dtype: torch.dtype | None
) -> Tensor:
    """A_v X A_h' of one plane of all pictures."""
    device, columns = rows.device, rows.shape[1] * b
    # Row i*b + v and column j*b + u of this matrix hold the coefficient (v, u) of block (i, j).
    matrix = rows.unflatten(-1, (b, b)).transpose(1, 2).to(torch.float32).reshape(-1, columns)
    heights = torch.tensor([0, *(high - low for low, high in zip(vertical.low, vertical.high, strict=True))])
    tops = heights.cumsum(0)[:-1].to(device, non_blocking=True)
    count, blocks, c, taps = down.shape
    # A run may reach past its window: the weights are zero there, whatever the samples.
    index = ((tops[:, None] + vertical.first) * b)[..., None] + torch.arange(taps, device=device)
    gathered = matrix.index_select(0, index.clamp_(max=len(matrix) - 1).flatten()).view(-1, taps, columns)
    middle = torch.bmm(down.view(-1, c, taps), gathered).view(count, blocks * c, columns)
    middle = middle.transpose(1, 2).reshape(-1, blocks * c)
    _, blocks_across, _, taps = across.shape
    index = (horizontal.first * b)[..., None] + torch.arange(taps, device=device)
    index = index.clamp_(max=columns - 1) + (torch.arange(count, device=device) * columns)[:, None, None]
    gathered = middle.index_select(0, index.flatten()).view(-1, taps, blocks * c)
    result = torch.bmm(across.view(-1, c, taps), gathered).view(count, blocks_across, c, blocks, c)
    result = result.permute(0, 3, 1, 4, 2)
    result = result.to(dtype or torch.float32, memory_format=torch.contiguous_format)
    return result.contiguous().view(count, blocks, blocks_across, c * c).permute(0, 3, 1, 2)


def plan(transform: Compose, images: Sequence, generators: Sequence[torch.Generator | None]) -> Plan:
    """What ``transform`` does to each of ``images`` with its generator: the same draws as ``transform(image, generator=g)``.

    Images have ``.coefficients`` and ``.grid``, or are ``Coefficients`` that are all picture. ValueError where there are
    none, where they come out in different sizes, where block sizes differ among them, and for a chain that is not
    geometric transforms with, at its end, ``Normalize`` and ``SelectBands``.

    >>> from dctnet.transforms.geometric import RandomHorizontalFlip, RandomResizedCrop
    >>> chain = Compose([RandomResizedCrop(32), RandomHorizontalFlip()], block_size=8)
    >>> images = [Coefficients(*(torch.rand(64, *s) for s in ((h, 9), (h // 2, 5), (h // 2, 5)))) for h in (8, 20)]
    >>> seeded = lambda: [torch.Generator().manual_seed(i) for i in range(2)]
    >>> made = plan(chain, images, seeded())
    >>> batch = made.apply(made.pack(images))
    >>> alone = [chain(image, generator=g) for image, g in zip(images, seeded())]
    >>> all(torch.allclose(batch.y[i], alone[i].y, atol=1e-5) for i in range(2))
    True
    """
    coefficients = [image if isinstance(image, Coefficients) else image.coefficients for image in images]
    grids = [infer_grid(image) if isinstance(image, Coefficients) else image.grid for image in images]
    sizes = {(plane.y.shape[-3], plane.cb.shape[-3], plane.cr.shape[-3]) for plane in coefficients}
    if len(sizes) > 1:
        raise ValueError(f"a batch at once needs pictures in blocks of one size; got planes of {sorted(sizes)} bands")
    blocks = (block_size(coefficients[0].y), block_size(coefficients[0].cb)) if coefficients else (8, 8)
    return plan_grids(transform, grids, generators, blocks)


def plan_grids(
    transform: Compose,
    grids: Sequence[Grid],
    generators: Sequence[torch.Generator | None],
    blocks_in: tuple[int, int] = (8, 8),
) -> Plan:
    """``plan`` for pictures of which only the grids are known yet, in blocks of ``blocks_in`` (luma, chroma)."""
    count = next((i for i, t in enumerate(transform.transforms) if not isinstance(t, Geometric)), None)
    geometric, rest = transform.transforms[:count], [] if count is None else transform.transforms[count:]
    if not all(isinstance(t, (Normalize, SelectBands)) for t in rest):
        raise ValueError(
            f"a batch at once goes through geometric transforms, then Normalize and SelectBands; got {transform}"
        )
    if not grids:
        raise ValueError("there are no images in this batch")
    blocks_out = next((t.block_size for t in reversed(geometric) if isinstance(t, Reblock)), transform.block_size)
    blocks_out = blocks_out or blocks_in
    drawn = [_draw(geometric, grid.size, generator) for grid, generator in zip(grids, generators, strict=True)]
    size = one_shape({chain[-1].size for chain in drawn})
    numbers = [[(*step[:4], *step.size, step.mirror) for step in chain] for chain in drawn]
    steps = list(np.array(numbers, dtype=np.float64).swapaxes(0, 1))
    made: dict[tuple, Axis] = {}

    def axis(plane: int, number: int) -> Axis:
        spacings = tuple(float(grid.spacing[plane][number]) for grid in grids)
        b, c = (blocks[min(plane, 1)] for blocks in (blocks_in, blocks_out))
        spacing_out = float(grid_420(size).spacing[plane][number])
        key = (number, spacings, spacing_out, b, c)
        if key not in made:
            pictures = np.array([grid.size[number] for grid in grids], dtype=np.float64)
            made[key] = _axis(steps, number, pictures, np.array(spacings), spacing_out, b, c)
        return made[key]

    axes = tuple((axis(plane, 0), axis(plane, 1)) for plane in range(3))
    return Plan(axes, blocks_in, blocks_out, rest)


def one_shape(sizes: set[tuple[int, int]]) -> tuple[int, int]:
    """The size that all pictures come to; ValueError where they are several."""
    if len(sizes) != 1:
        raise ValueError(
            f"a batch needs samples of one shape; got {len(sizes)} different sizes, such as {sorted(sizes)[:2]}. "
            "Resize or crop the pictures to one size first."
        )
    return next(iter(sizes))


def _draw(geometric: Sequence[Geometric], size: tuple[int, int], generator: torch.Generator | None) -> list[Drawn]:
    chain = []
    for transform in geometric:
        chain.append(transform.draw(size, generator))
        size = chain[-1].size
    return chain or [Drawn(0, 0, *size, size)]


def _axis(
    steps: list[np.ndarray],
    number: int,
    pictures: np.ndarray,
    spacing: np.ndarray,
    spacing_out: float,
    b: int,
    c: int,
) -> Axis:
    """One axis (0: down, 1: across) of one plane: ``separable.box_to_size`` and ``resampling.compose`` for n pictures.

    ``steps`` hold (top, left, height, width, rows, columns, mirror) of each picture. In numpy: the arrays are small.
    """
    stages = []
    for step in steps:
        start, length, size = step[:, number], step[:, 2 + number], step[:, 4 + number]
        low, high = start / spacing, (start + length) / spacing
        scale = length * spacing_out / (spacing * size)
        backwards = step[:, 6] * number == 1
        first, last = (
            np.maximum(np.floor(low + 1e-9), 0),
            np.minimum(np.ceil(high - 1e-9), np.ceil(pictures / spacing - 1e-9)),
        )
        stages.append(Stage(np.where(backwards, high, low), np.where(backwards, -scale, scale), first, last))
        pictures, spacing = size, np.full_like(spacing, spacing_out)
    count, outputs = len(pictures), int(-(-int(pictures[0]) // spacing_out))
    blocks = -(-outputs // c)
    # What does not fill the last block repeats the last sample.
    samples = np.broadcast_to(np.minimum(np.arange(blocks * c), outputs - 1.0)[:, None], (count, blocks * c, 1))
    weights = np.ones_like(samples)
    for stage in reversed(stages[1:]):
        samples, weights = stage.inputs(samples, weights)
    stage = stages[0]
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
        tensor(first - first.min(1, keepdims=True), np.int64),
        tensor(whole - origin[..., None, None]),
        tensor(centres - whole),
        tensor(weights.reshape(count, blocks, c, -1)),
        tensor(np.stack([stage.low[:, None] - origin, stage.high[:, None] - origin])),
        tensor(stage.support()),
        int((last - first).max()),
        first.min(1).astype(int).tolist(),
        last.max(1).astype(int).tolist(),
    )
