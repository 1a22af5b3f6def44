"""Memory for the packed batches of a loader that reads ahead."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dctnet.jpeg import _native


class Slot:
    """Memory for one batch; it grows to the largest that it has held."""

    def __init__(self, pin_memory: bool):
        self.planes: list[Tensor] = []
        self.pin_memory, self.used = pin_memory, 0

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Memory for the next plane of the batch."""
        place, size = self.used, math.prod(shape) * dtype.itemsize
        self.used += 1
        if place == len(self.planes):
            self.planes.append(torch.empty(0, dtype=torch.uint8))
        if len(self.planes[place]) < size:
            room = size + size // 4
            self.planes[place] = (
                torch.empty(room, dtype=torch.uint8, pin_memory=True)
                if self.pin_memory
                else torch.from_numpy(_native.memory(room))
            )
        return self.planes[place][:size].view(dtype).view(shape)


class Slots:
    """Slots to use again, the one given back last before the others: it may still be in the cache.

    Fresh memory costs more than what is written to it. As many slots come into being as were ever in use at a time.
    """

    def __init__(self, pin_memory: bool):
        self.pin_memory = pin_memory
        self.free: list[Slot] = []

    def take(self) -> Slot:
        """A slot for one batch."""
        slot = self.free.pop() if self.free else Slot(self.pin_memory)
        slot.used = 0
        return slot

    def give_back(self, slot: Slot) -> None:
        """What lies in ``slot`` is not used any more."""
        self.free.append(slot)
