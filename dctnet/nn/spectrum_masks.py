"""Which coefficients of a real Fourier spectrum are kept: those of the lowest frequencies, in one of four orders.

On a grid of N_1 x ... x N_d samples (here N x M) the order of the frequency (v, u), whole cycles a side, |v| <= N/2, |u| <=
M/2, is

    mask          order                               what is kept
    square        max(|v| / N, |u| / M)               the low corner; an L is dropped of each quarter
    triangle      |v| / N + |u| / M
    radial        (v / N)^2 + (u / M)^2               all cycles up to one length, whatever their direction
    hyperbolic    (1 + |v|) (1 + |u|)                 the axes longest

Frequencies of one order are kept or dropped together. (v, u) and (-v, -u) are of one order, so what is left is the spectrum
of a real signal: conjugate symmetric, and real where a frequency is its own negative (0 and the Nyquist frequencies).

Spectra are those of ``torch.fft.rfftn``: the last axis holds u = 0 ... M/2 alone, the others 0, 1, ..., -1. The other half is
conjugate to it, and counts: a share of the spectrum is a share of all N * M coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np
import torch
from torch import Tensor

from dctnet.arguments import finite, flag, several

MASKS = ("square", "triangle", "radial", "hyperbolic")
ALMOST_ONE = math.nextafter(1.0, 0.0)


@dataclass(frozen=True, eq=False)
class Kept:
    """Coefficients of a half spectrum: a box of low frequencies around them, and their places in it.

    ``reach`` says for each axis the highest frequency of the box, which is N // 2 where nothing is cut; ``index``, int64, is
    where the kept ones lie in the flattened box (rows 0 ... reach, -reach ... -1), or None for the whole box. ``dropped`` is
    the share of the whole spectrum that is not kept.
    """

    reach: tuple[int, ...]
    index: np.ndarray | None
    dropped: float


def spectrum_mask(
    size: int | Sequence[int], compression: float = 0.0, mask: str = "square", inverse: bool = False
) -> Tensor:
    """True where ``torch.fft.rfftn`` of a signal of that size is kept, so that the share ``compression`` of it is dropped.

    ``compression`` is of [0, 1). As frequencies of one order stay together, the share is the nearest that there is, of two
    equally near ones the smaller; ``dropped_fraction`` tells it. The mean, the lowest frequency, is always kept.
    ``inverse`` keeps the high frequencies in place of the low ones: the highest order always, the mean only at compression 0.
    ValueError for a size, compression or mask that is none.

    >>> spectrum_mask((5, 6), 0.5).int()
    tensor([[1, 1, 1, 0],
            [1, 1, 1, 0],
            [0, 0, 0, 0],
            [0, 0, 0, 0],
            [1, 1, 1, 0]], dtype=torch.int32)
    >>> dropped_fraction(spectrum_mask((5, 6), 0.5), (5, 6))
    0.5
    """
    return torch.from_numpy(_mask(_size(size), compression, mask, inverse))


def dropped_fraction(mask: Tensor, size: int | Sequence[int]) -> float:
    """The share of all coefficients of the grid ``size`` that a mask of their half spectrum drops."""
    size = _size(size)
    half = (*size[:-1], size[-1] // 2 + 1)
    if tuple(mask.shape) != half:
        raise ValueError(f"the half spectrum of a grid {size} has the shape {half}; got a mask {tuple(mask.shape)}")
    return _dropped(mask.cpu().numpy(), size)


def frequency_order(size: Sequence[int], mask: str = "square") -> np.ndarray:
    """The order as whole numbers, N and M in units of their least common multiple, in the layout of ``torch.fft.rfftn``.

    >>> frequency_order((4, 4), "triangle")
    array([[0, 1, 2],
           [1, 2, 3],
           [2, 3, 4],
           [1, 2, 3]])
    """
    if mask not in MASKS:
        raise ValueError(f"mask is one of {', '.join(MASKS)}; got {mask!r}")
    common, last = math.lcm(*size), len(size) - 1
    axes = []
    for axis, n in enumerate(size):
        cycles = np.minimum(np.arange(n), n - np.arange(n))[: None if axis < last else n // 2 + 1]
        axes.append(cycles + 1 if mask == "hyperbolic" else cycles * (common // n))
    if mask == "radial":
        axes = [cycles**2 for cycles in axes]
    combine = {"square": np.maximum, "hyperbolic": np.multiply}.get(mask, np.add)
    return reduce(combine, np.ix_(*axes))


def multiplicity(n: int) -> np.ndarray:
    """How many coefficients of a spectrum of n each of its half stands for: 1 for f = 0 and n / 2, else 2."""
    count = np.full(n // 2 + 1, 2)
    count[0] = 1
    if n % 2 == 0:
        count[-1] = 1
    return count


@lru_cache(maxsize=256)
def kept(size: tuple[int, ...], compression: float = 0.0, mask: str = "square", inverse: bool = False) -> Kept:
    """What ``spectrum_mask`` keeps, as a box and places in it.

    >>> kept((32, 32), 0.5).reach, kept((32, 32), 0.5).dropped
    ((11, 11), 0.4833984375)
    """
    return boxed(_mask(size, compression, mask, inverse), size)


def boxed(mask: np.ndarray, size: tuple[int, ...]) -> Kept:
    """A mask of the half spectrum as ``Kept``: the smallest box of low frequencies that holds what is kept."""
    places = np.nonzero(mask)
    reach = tuple(int(np.minimum(place, n - place).max()) for place, n in zip(places, size, strict=True))
    rows = [frequencies(n, r) % n for n, r in zip(size[:-1], reach[:-1], strict=True)]
    box = mask[np.ix_(*rows, np.arange(reach[-1] + 1))]
    return Kept(reach, None if box.all() else np.flatnonzero(box), _dropped(mask, size))


def frequencies(n: int, reach: int) -> np.ndarray:
    """The frequencies |f| <= reach of n samples in the order of ``torch.fft.fft``: 0 ... reach, -reach ... -1, each once.

    >>> frequencies(8, 2), frequencies(4, 2)
    (array([ 0,  1,  2, -2, -1]), array([ 0,  1,  2, -1]))
    """
    return np.concatenate([np.arange(reach + 1), np.arange(-min(reach, (n - 1) // 2), 0)])


def _mask(size: tuple[int, ...], compression: float, mask: str, inverse: bool) -> np.ndarray:
    finite("compression", compression, 0, ALMOST_ONE)
    order = frequency_order(size, mask)
    if flag("inverse", inverse):
        order = -order
    if compression == 0:
        return np.ones(order.shape, bool)
    levels, place = np.unique(order, return_inverse=True)
    counts = np.bincount(place.ravel(), np.broadcast_to(multiplicity(size[-1]), order.shape).ravel())
    distance = np.abs(1 - counts.cumsum() / math.prod(size) - compression)  # by how many levels are kept
    nearest = np.flatnonzero(distance <= distance.min() + 1e-12)[-1]
    return order <= levels[nearest]


def _dropped(mask: np.ndarray, size: tuple[int, ...]) -> float:
    return 1 - int((mask * multiplicity(size[-1])).sum()) / math.prod(size)


def _size(size: int | Sequence[int]) -> tuple[int, ...]:
    count = len(size) if isinstance(size, Sequence) else 1
    return several("size", size, (max(count, 1),), 1, of_whole=True)
