"""A chain of transforms applied to a batch of pictures of different sizes in one go, on any device.

``Compose`` builds the operators of one picture and applies them to it. Here those of n pictures are built and applied
together, with as many tensor operations for one picture as for a thousand:

    Z[i] = A_v[i] X[i],   Y[i] = Z[i] A_h[i]',    A[i] = T_c R[i] T_b'      (i = 1..n)

A block of the output depends on a run of K input blocks that begins at ``first``, K the longest run in the batch; so
A[i] is a tensor (P, c, K b), P the number of output blocks. Its weights are the triangles of ``resampling.Resampling``,
evaluated for all n x P x c x K b pairs of an output and an input sample at once. The input is what the operators read
of each plane, no more: a window of whole blocks, the windows of a batch one below the other in one tensor.

The work falls in three parts, so that a loader can do each where it costs least: ``plan`` draws the parameters (on the
host, picture by picture, as ``Compose`` draws them), ``Plan.pack`` copies the windows, ``Plan.apply`` computes. What brings
the pictures to one size, the boxes and paddings that a chain begins with, is drawn by ``plan``; what follows them, of any kind,
is drawn and computed by ``apply`` (``together.Together``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from dctnet.coefficients import Coefficients, Grid, block_size, check_all_bands
from dctnet.transforms.axes import Axis, apply_axes, axes_of
from dctnet.transforms.compose import Compose, floating, planes_of
from dctnet.transforms.geometric import Geometric, Reblock
from dctnet.transforms.policy import Transform
from dctnet.transforms.separable import Fill
from dctnet.transforms.steps import Drawn, Step
from dctnet.transforms.together import Together, one_shape


class Plan:
    """What a chain of transforms does to n pictures; made by ``plan``.

    ``windows[p][i]`` is (top, bottom, left, right) in blocks of plane p of picture i: what ``pack`` takes of it. ``rest``: the
    transforms that follow, with ``generators`` to draw them from, and the ``size`` that the pictures have by then.
    """

    def __init__(
        self,
        axes: tuple[tuple[Axis, Axis], ...],
        blocks_in: tuple[int, int],
        blocks_out: tuple[int, int],
        size: tuple[int, int],
        fill: Fill | None = None,
        rest: Sequence[Transform] = (),
        generators: Sequence[torch.Generator | None] = (),
    ):
        self.axes, self.size, self.fill = axes, size, fill
        self.rest, self.generators = list(rest), list(generators)
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

    def pack(self, pictures: Sequence[Any], empty: Callable[..., Tensor] = torch.empty) -> Coefficients:
        """The windows of the pictures, one below the other: for each plane ``(rows of all, widest, b*b)``, dtype as read
        (float32 where pictures differ in it, or are bfloat16). Gradients pass. ``pictures`` are as many as the plan is made
        for, each ``Coefficients`` or an image that has ``.coefficients`` (ValueError).

        What lies to the right of a narrower window is not used. ``empty(shape, dtype=...)`` gives the memory, unless gradients
        pass.
        """
        pictures = [getattr(picture, "coefficients", picture) for picture in pictures]
        for picture in pictures:
            check_all_bands(picture)
        if len(pictures) != (count := len(self.windows[0])):
            raise ValueError(f"this is a plan for {count} pictures; got {len(pictures)}")
        packed = []
        for number, windows in enumerate(self.windows):
            planes = [picture[number] for picture in pictures]
            dtypes = {plane.dtype for plane in planes}
            if len(dtypes) > 1 or torch.bfloat16 in dtypes:  # which numpy does not know
                planes = [plane.to(torch.float32) for plane in planes]
            if torch.is_grad_enabled() and any(plane.requires_grad for plane in planes):
                packed.append(_joined(planes, windows))
                continue
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

        Computed in float32 and rounded once at the end; ValueError for a ``dtype`` of no floats. Where transforms follow the
        boxes, each call draws anew, from where the generators then are. On CUDA the products are as exact as
        ``torch.set_float32_matmul_precision`` asks for.
        """
        floating(dtype)
        corners = []
        for windows in self.windows:
            tops = accumulate((bottom - top for top, bottom, _, _ in windows), initial=0)
            # The operators count from the first block of the picture, the windows begin later.
            rows = [row - window[0] for row, window in zip(tops, windows, strict=False)]
            corners.append((torch.tensor(rows), torch.tensor([-left for _, _, left, _ in windows])))
        planes = apply_axes(
            packed, self.axes, corners, self.blocks_in[:2], self.fill, torch.float32 if self.rest else dtype
        )
        if not self.rest:
            return planes
        pictures = Together(planes, self.size, self.blocks_out[:2], self.generators)
        pictures.go_through(self.rest)
        pictures.settle()
        return pictures.planes.to(dtype)


def _joined(planes: Sequence[Tensor], windows: Sequence[tuple[int, int, int, int]]) -> Tensor:
    """What ``Plan.pack`` makes of one plane of the pictures, with gradients."""
    widest = max(right - left for _, _, left, right in windows)
    parts = []
    for plane, (top, bottom, left, right) in zip(planes, windows, strict=True):
        window = plane.movedim(0, -1)[top:bottom, left:right]
        parts.append(torch.nn.functional.pad(window, (0, 0, 0, widest - window.shape[1])))
    return torch.cat(parts)


def plan(transform: Compose, images: Sequence[Any], generators: Iterable[torch.Generator | None]) -> Plan:
    """What ``transform`` does to each of ``images`` with its generator: the same draws as ``transform(image, generator=g)``.

    Images have ``.coefficients`` and ``.grid``, or are ``Coefficients`` that are all picture. ValueError where there are
    none, where block sizes differ among them, and where the boxes and paddings that the chain begins with bring them to
    different sizes, and where there is not one generator of its own for each.

    Of None, torch's own generator draws, step by step for all pictures, not picture by picture as a loop would; draws of one
    generator for several pictures would be mixed up likewise, so that is a ValueError. ``Plan.apply`` draws what follows the
    boxes: for the draws of ``transform`` it is called once.

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
    known = [planes_of(image) for image in images]
    coefficients, grids = [planes for planes, _ in known], [grid for _, grid in known]
    sizes = {(plane.y.shape[-3], plane.cb.shape[-3], plane.cr.shape[-3]) for plane in coefficients}
    if len(sizes) > 1:
        raise ValueError(f"a batch at once needs pictures in blocks of one size; got planes of {sorted(sizes)} bands")
    blocks = (block_size(coefficients[0].y), block_size(coefficients[0].cb)) if coefficients else (8, 8)
    return plan_grids(transform, grids, generators, blocks)


def plan_grids(
    transform: Compose,
    grids: Sequence[Grid],
    generators: Iterable[torch.Generator | None],
    blocks_in: tuple[int, int] = (8, 8),
) -> Plan:
    """``plan`` for pictures of which only the grids are known yet, in blocks of ``blocks_in`` (luma, chroma)."""
    if not grids:
        raise ValueError("there are no images in this batch")
    blocks_out, generators = transform.block_size or blocks_in, list(generators)
    if len(generators) != len(grids):
        raise ValueError(f"there is one generator for each image; got {len(generators)} for {len(grids)} images")
    own = [id(generator) for generator in generators if generator is not None]
    if len(set(own)) < len(own):
        raise ValueError(f"each image has a generator of its own; got {len(set(own))} for {len(own)} images")
    slots: list[list[Step]] = []
    sizes, fill, rest = [grid.size for grid in grids], None, list(transform.transforms)
    while (
        rest and isinstance(rest[0], Geometric) and rest[0].steps and rest[0].filling in (None, fill or rest[0].filling)
    ):
        slots.append([rest[0].draw(size, generator) for size, generator in zip(sizes, generators, strict=True)])
        sizes, fill = [step.size for step in slots[-1]], fill or rest[0].filling
        blocks_out = rest[0].block_size if isinstance(rest[0], Reblock) else blocks_out
        rest = rest[1:]
    slots = slots or [[Drawn(0, 0, *size, size) for size in sizes]]
    size = one_shape(set(sizes))
    return Plan(axes_of(slots, grids, size, blocks_in, blocks_out), blocks_in, blocks_out, size, fill, rest, generators)
