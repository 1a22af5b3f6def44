"""A batch of pictures of one size on its way through a chain of transforms, each with parameters of its own.

Whatever is drawn, the number of tensor operations depends on the chain and on how many different transforms a policy chose
among the pictures, not on the number of pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from dctnet.coefficients import Coefficients, grid_420
from dctnet.transforms.affine import warp
from dctnet.transforms.axes import apply_axes, axes_of
from dctnet.transforms.geometric import Geometric, Reblock
from dctnet.transforms.photometric import Photometric
from dctnet.transforms.policy import Transform
from dctnet.transforms.samples import reblocked
from dctnet.transforms.separable import transpose
from dctnet.transforms.steps import Drawn, Placed, Step, Turned, Warped


class Together:
    """``passing.Passing`` for n pictures: ``planes`` (n, b*b, P, Q) float, all of ``size``, on the 4:2:0 grid.

    ``blocks``: the block sizes (luma, chroma) that ``settle`` brings them to. One generator a picture.
    """

    def __init__(
        self,
        planes: Coefficients,
        size: tuple[int, int],
        blocks: tuple[int, int],
        generators: Sequence[torch.Generator | None],
    ):
        self.planes, self.size, self.blocks, self.generators = planes, size, blocks, list(generators)
        self._settled = blocks
        self._slots: list[list[Step]] = []

    def go_through(self, transforms: Sequence[Transform]) -> None:
        """Each picture through all transforms, drawn from its generator."""
        for transform in transforms:
            self._pass([transform] * len(self.generators))

    def _pass(self, chosen: Sequence[Transform]) -> None:
        """One transform for each picture, all of one kind (see ``_kinds``)."""
        first = chosen[0]
        if isinstance(first, Geometric):
            self.move(
                [t.draw(self._next_size(i), g) for i, (t, g) in enumerate(zip(chosen, self.generators, strict=True))]
            )
            self.blocks = first.block_size if isinstance(first, Reblock) else self.blocks
        elif isinstance(first, Photometric):
            self.settle_for(first)
            drawn = [t.draw(self.size, g) for t, g in zip(chosen, self.generators, strict=True)]
            parameters = torch.tensor(drawn, dtype=torch.float64, device=self.planes.y.device)
            self.planes = first.apply(self.planes, parameters, self.size)
        else:
            self.settle()
            choices = [t.choose(self.size, g) for t, g in zip(chosen, self.generators, strict=True)]
            if first.keeps_size:  # step by step, all pictures whose next step is of one kind
                for depth in range(max(map(len, choices))):
                    here = [choice[depth : depth + 1] for choice in choices]
                    self._split(
                        [_kinds(few) for few in here], lambda part, indices, here=here: part._follow(here, indices)
                    )
            else:
                self._split(
                    [_kinds(choice) for choice in choices], lambda part, indices: part._follow(choices, indices)
                )

    def _follow(self, choices: Sequence[Sequence[Transform]], indices: Sequence[int]) -> None:
        """What is chosen for each picture of this part, step by step."""
        for transforms in zip(*(choices[i] for i in indices), strict=True):
            self._pass(transforms)

    def _next_size(self, number: int) -> tuple[int, int]:
        return self._slots[-1][number].size if self._slots else self.size

    def move(self, steps: Sequence[Step]) -> None:
        """Add a step for each picture. ValueError where they come out in different sizes."""
        kinds = [(type(step), *(_same(step))) for step in steps]
        if len(set(kinds)) > 1:
            self._split(kinds, lambda part, indices: part.move([steps[i] for i in indices]))
        elif isinstance(steps[0], Warped):
            self.settle((1, 1))
            matrices = torch.tensor([step.matrix for step in steps], dtype=torch.float64)
            size = one_shape({step.size for step in steps})
            self.planes, self.size = warp(self.planes, matrices, self.size, size, steps[0].fill), size
        elif isinstance(steps[0], Turned):
            self.settle()
            quarters = steps[0].quarters % 4
            if quarters % 2:
                self.planes, self.size = self.planes.map(transpose), self.size[::-1]
            self._slots = [[Drawn(0, 0, *self.size, self.size, quarters in (2, 3), quarters in (1, 2))] * len(steps)]
        else:
            fills = {slot[0].fill for slot in [*self._slots, steps] if isinstance(slot[0], Placed)}
            if len(fills) > 1:
                self.settle()  # one operator fills with one colour
            self._slots.append(list(steps))

    def settle_for(self, transform: Photometric) -> None:
        """``settle`` in the blocks that cost ``transform`` least."""
        kept = self._settled if transform.any_blocks and not self._slots else self.blocks
        luma, chroma = (1 if on else b for on, b in zip(transform.on_samples, kept, strict=True))
        self.settle((luma, chroma))

    def settle(self, blocks: tuple[int, int] | None = None) -> None:
        """Apply the steps that are pending; ``planes`` come to ``blocks`` (default: the chain's)."""
        blocks = blocks or self.blocks
        if not self._slots and self._settled == blocks:
            return
        if not self._slots:
            self.planes, self._settled = reblocked(self.planes, self.size, blocks), blocks
            return
        count, slots = len(self.generators), self._slots
        size = one_shape({step.size for step in slots[-1]})
        axes = axes_of(slots, [grid_420(self.size)] * count, size, self._settled, blocks)
        fill = next(
            (slot[0].fill for slot in slots if isinstance(slot[0], Placed) and slot[0].mode == "constant"), None
        )
        packed = self.planes.map(lambda plane: plane.permute(0, 2, 3, 1).flatten(0, 1))
        corners = [
            (torch.arange(count) * plane.shape[-2], torch.zeros(count, dtype=torch.int64)) for plane in self.planes
        ]
        self.planes = apply_axes(packed, axes, corners, self._settled, fill, self.planes.y.dtype)
        self.size, self._slots, self._settled = size, [], blocks

    def _split(self, kinds: Sequence[Hashable], act: Callable[[Together, list[int]], None]) -> None:
        """Let the pictures of each kind go their way together, and bring all back into one batch, in order."""
        self.settle()
        groups: dict[Hashable, list[int]] = {}
        for number, kind in enumerate(kinds):
            groups.setdefault(kind, []).append(number)
        parts = []
        for indices in groups.values():
            chosen = torch.tensor(indices, device=self.planes.y.device)
            planes = (
                self.planes if len(groups) == 1 else self.planes.map(lambda plane, c=chosen: plane.index_select(0, c))
            )
            part = Together(planes, self.size, self.blocks, [self.generators[i] for i in indices])
            act(part, indices)
            part.settle()
            parts.append(part)
        self.size, self.blocks = one_shape({part.size for part in parts}), parts[0].blocks
        self._settled = self.blocks
        if len(shapes := {tuple(tuple(plane.shape[1:]) for plane in part.planes) for part in parts}) > 1:
            raise ValueError(
                f"a batch needs samples of one shape; got {len(shapes)} different ones, such as {sorted(shapes)[:2]}. Do not "
                "leave it to chance in which blocks, or with which bands, a picture comes out."
            )
        back = torch.tensor([i for indices in groups.values() for i in indices]).argsort().to(self.planes.y.device)
        self.planes = type(parts[0].planes)(*(_gathered([part.planes[p] for part in parts], back) for p in range(3)))


def _kinds(transforms: Sequence[Transform]) -> Hashable:
    """Equal for choices of which ``_pass`` can take each in one call."""
    return tuple(
        Geometric
        if isinstance(transform, Geometric) and not isinstance(transform, Reblock)
        else transform.kind
        if isinstance(transform, Photometric)
        else id(transform)
        for transform in transforms
    )


def _same(step: Step) -> tuple[Any, ...]:
    """What has to be alike in steps that are applied in one call."""
    if isinstance(step, Placed):
        return step.mode, step.fill
    if isinstance(step, Warped):
        return (step.fill,)
    return (step.quarters % 4,) if isinstance(step, Turned) else ()


def _gathered(parts: list[Tensor], back: Tensor) -> Tensor:
    """The rows of the parts in the order of the pictures, blocks contiguous."""
    if len(parts) == 1:
        return parts[0]
    return torch.cat([part.movedim(-3, -1) for part in parts]).index_select(0, back).movedim(-1, -3)


def one_shape(sizes: set[tuple[int, int]]) -> tuple[int, int]:
    """The size that all pictures come to; ValueError where they are several."""
    if len(sizes) != 1:
        raise ValueError(
            f"a batch needs samples of one shape; got {len(sizes)} different sizes, such as {sorted(sizes)[:2]}. "
            "Resize or crop the pictures to one size first."
        )
    return next(iter(sizes))
