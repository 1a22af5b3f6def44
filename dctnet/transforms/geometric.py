"""Geometric transforms draw a step; ``compose.Compose`` lifts and applies it to a picture, ``batched.Plan`` to a batch.

Here are those that take a box of the picture.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

import numpy as np
import torch

from dctnet.arguments import finite, interval
from dctnet.coefficients import block_sizes
from dctnet.transforms.boxes import Size, center_box, checked_target, pair, resized_size
from dctnet.transforms.separable import Fill
from dctnet.transforms.steps import Drawn, Step


class Streams(Protocol):
    """The generators of n pictures, drawn from together; each gives the numbers that a ``torch.Generator`` of its seed gives."""

    def boxes(
        self,
        sizes: np.ndarray,
        scale: tuple[float, float],
        ratio: tuple[float, float],
        log_ratio: tuple[float, float],
    ) -> np.ndarray:
        """``RandomResizedCrop.box`` in pictures of ``sizes`` (n, 2): (n, 4) int64."""

    def uniform(self, low: float, high: float) -> np.ndarray:
        """A number of [low, high) for each, as float32 has it: (n, 1) float64."""


class Geometric(ABC):
    """A transform that moves samples, drawn at random or fixed.

    ``steps``: the kind of all steps that it draws, ``Drawn`` or ``Placed``; None where they differ or are of another kind.
    ``filling``: the colour that it shows outside of the picture, if one.
    """

    steps: type | None = None
    filling: Fill | None = None

    @abstractmethod
    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Step:
        """What to do to a picture of ``size``, its parameters drawn from ``generator`` (None: torch's own)."""

    def draw_many(self, sizes: np.ndarray, streams: Streams) -> np.ndarray | None:
        """``draw`` for n pictures of ``sizes`` (n, 2) int64, with the same numbers; None where that is not offered.

        (n, 8) int64, a row a ``Drawn``: top, left, height, width, rows, columns, mirror, flip.
        """
        return None


def _rows(drawn: Iterable[Drawn]) -> np.ndarray:
    """What ``draw_many`` gives, from what ``draw`` gives."""
    return np.array([(*one[:4], *one.size, one.mirror, one.flip) for one in drawn], dtype=np.int64)


class RandomResizedCrop(Geometric):
    """A random box of ``scale`` times the picture's area and of aspect ``ratio``, resampled to ``size``.

    The arguments and the distribution are those of ``torchvision.transforms.v2.RandomResizedCrop``: from one state of a
    generator both draw the same box. Antialiased linear interpolation, chroma registered with luma.
    """

    steps = Drawn

    def __init__(
        self, size: Size, scale: tuple[float, float] = (0.08, 1.0), ratio: tuple[float, float] = (3 / 4, 4 / 3)
    ):
        self.size = pair(size)
        self.scale, self.ratio = interval("scale", scale, 0, open_low=True), interval("ratio", ratio, 0, open_low=True)
        self._log_ratio = math.log(self.ratio[0]), math.log(self.ratio[1])

    def box(self, size: tuple[int, int], generator: torch.Generator | None = None) -> tuple[int, int, int, int]:
        """(top, left, height, width) of a random box in a picture of ``size``; after ten misses the central one."""
        height, width = size
        low, high = self._log_ratio
        number, place = torch.empty(1), torch.empty(1, dtype=torch.int64)
        for _ in range(10):
            area = height * width * number.uniform_(*self.scale, generator=generator).item()
            aspect = math.exp(number.uniform_(low, high, generator=generator).item())
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                top = place.random_(0, height - h + 1, generator=generator).item()
                left = place.random_(0, width - w + 1, generator=generator).item()
                return top, left, h, w
        w = min(width, round(height * self.ratio[1])) if width / height > self.ratio[1] else width
        h = min(height, round(width / self.ratio[0])) if width / height < self.ratio[0] else height
        return (height - h) // 2, (width - w) // 2, h, w

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Drawn:
        return Drawn(*self.box(size, generator), self.size)

    def draw_many(self, sizes: np.ndarray, streams: Streams) -> np.ndarray:
        rows = np.zeros((len(sizes), 8), dtype=np.int64)
        rows[:, :4] = streams.boxes(sizes, self.scale, self.ratio, self._log_ratio)
        rows[:, 4:6] = self.size
        return rows

    def __repr__(self) -> str:
        return f"RandomResizedCrop(size={self.size}, scale={self.scale}, ratio={self.ratio})"


class Resize(Geometric):
    """The whole picture at ``size``; a single number is the length of the shorter side."""

    steps = Drawn

    def __init__(self, size: Size):
        self.size = checked_target(size)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Drawn:
        return Drawn(0, 0, *size, resized_size(size, self.size))

    def draw_many(self, sizes: np.ndarray, streams: Streams) -> np.ndarray:
        return _rows(self.draw(tuple(size), None) for size in sizes.tolist())

    def __repr__(self) -> str:
        return f"Resize(size={self.size})"


class CenterCrop(Geometric):
    """The central box of ``size`` pixels; a smaller picture is a ValueError."""

    steps = Drawn

    def __init__(self, size: Size):
        self.size = pair(size)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Drawn:
        return Drawn(*center_box(size, self.size), self.size)

    def draw_many(self, sizes: np.ndarray, streams: Streams) -> np.ndarray:
        return _rows(self.draw(tuple(size), None) for size in sizes.tolist())

    def __repr__(self) -> str:
        return f"CenterCrop(size={self.size})"


class RandomFlip(Geometric):
    """The picture mirrored with probability ``p``."""

    steps = Drawn

    def __init__(self, p: float = 0.5):
        self.p = finite("p", p, 0, 1)
        self._threshold = torch.tensor(self.p).item()  # float32, as what is drawn

    def _drawn(self, generator: torch.Generator | None) -> bool:
        return torch.rand(1, generator=generator).item() < self._threshold

    def _rows(self, sizes: np.ndarray, streams: Streams, column: int) -> np.ndarray:
        rows = np.zeros((len(sizes), 8), dtype=np.int64)
        rows[:, 2:4] = rows[:, 4:6] = sizes
        rows[:, column] = streams.uniform(0, 1)[:, 0] < self._threshold
        return rows

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomHorizontalFlip(RandomFlip):
    """The picture mirrored left to right with probability ``p``."""

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Drawn:
        return Drawn(0, 0, *size, size, mirror=self._drawn(generator))

    def draw_many(self, sizes: np.ndarray, streams: Streams) -> np.ndarray:
        return self._rows(sizes, streams, 6)


class RandomVerticalFlip(RandomFlip):
    """The picture upside down with probability ``p``."""

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Drawn:
        return Drawn(0, 0, *size, size, flip=self._drawn(generator))

    def draw_many(self, sizes: np.ndarray, streams: Streams) -> np.ndarray:
        return self._rows(sizes, streams, 7)


class Reblock(Geometric):
    """The same picture in blocks of ``block_size``, a number or a pair (luma, chroma): exact; 1 gives samples."""

    steps = Drawn

    def __init__(self, block_size: int | tuple[int, int]):
        self.block_size = block_sizes(block_size)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> Drawn:
        return Drawn(0, 0, *size, size)

    def draw_many(self, sizes: np.ndarray, streams: Streams) -> np.ndarray:
        return _rows(self.draw(tuple(size), None) for size in sizes.tolist())

    def __repr__(self) -> str:
        return f"Reblock(block_size={self.block_size})"
