"""Memory for the packed batches of a loader that reads ahead."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Ring:
    """Memory for packed batches, used again after ``slots`` batches: fresh memory costs more than what is written to it."""

    def __init__(self, slots: int, pin_memory: bool):
        self.slots: list[list[Tensor]] = [[] for _ in range(slots)]
        self.pin_memory, self.turn, self.plane = pin_memory, -1, 0

    def next(self) -> None:
        """The next batch begins."""
        self.turn, self.plane = (self.turn + 1) % len(self.slots), 0

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Memory for the next plane of this batch."""
        slot, place, size = self.slots[self.turn], self.plane, math.prod(shape)
        self.plane += 1
        if place == len(slot):
            slot.append(torch.empty(0, dtype=dtype))
        if slot[place].numel() < size or slot[place].dtype != dtype:
            slot[place] = torch.empty(size + size // 4, dtype=dtype, pin_memory=self.pin_memory)
        return slot[place][:size].view(shape)
