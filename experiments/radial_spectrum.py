"""Pictures in rings of the frequency plane: how much power each ring has, and pictures whose rings are weighted.

The ring of the frequency (v, u), in whole cycles over N samples a side, is sqrt(v^2 + u^2) rounded; the last one, of the corner
(N/2, N/2), is N / sqrt(2) rounded. With X the orthonormal DFT of a picture and n_r the coefficients in the ring r,

    power(r) = sum over the ring of |X|^2 / n_r,        sum over r of n_r power(r) = sum of the squares of the samples (Parseval)
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from dctnet.nn.spectrum_masks import frequency_order, multiplicity


@lru_cache
def rings(size: int) -> tuple[Tensor, Tensor]:
    """The ring of each coefficient of ``torch.fft.rfft2`` of ``size`` samples a side, and how many coefficients it stands for."""
    ring = np.rint(np.sqrt(frequency_order((size, size), "radial"))).astype(np.int64)
    return torch.from_numpy(ring), torch.from_numpy(np.broadcast_to(multiplicity(size), ring.shape).copy())


def counts(size: int) -> Tensor:
    """n_r, the coefficients in each ring, of ``size`` ** 2 in all; float64."""
    ring, weight = rings(size)
    return torch.bincount(ring.flatten(), weight.flatten().double())


def power(pictures: Tensor) -> Tensor:
    """The power of a coefficient of each ring, float64: the mean over the ring and over all leading axes of (..., N, N)."""
    size = pictures.shape[-1]
    ring, weight = rings(size)
    squares = torch.fft.rfft2(pictures, norm="ortho").abs().square().double()
    mean = squares.flatten(end_dim=-3).mean(0) * weight
    return torch.bincount(ring.flatten(), mean.flatten()) / counts(size)


def weighted(pictures: Tensor, gain: Tensor) -> Tensor:
    """The pictures (..., N, N) with each ring's coefficients multiplied by its ``gain`` (rings,)."""
    size = pictures.shape[-1]
    return torch.fft.irfft2(torch.fft.rfft2(pictures) * gain.to(pictures.dtype)[rings(size)[0]], s=(size, size))


def passed(size: int, radius: int, high: bool = False) -> Tensor:
    """Gains that keep the rings up to ``radius``, or with ``high`` those above it; the two add up to the picture."""
    low = torch.arange(len(counts(size))) <= radius
    return (~low if high else low).double()


def tilted(spectrum: Tensor, size: int, tilt: float) -> Tensor:
    """Gains that turn pictures of this power into pictures of power ** (1 - tilt), of the same sum of squares.

    0 leaves them as they are, 1 makes all rings equally strong ("white"), 2 makes the strong ones weak.
    """
    gain = spectrum ** (-tilt / 2)
    share = (counts(size) * spectrum).sum() / (counts(size) * spectrum * gain**2).sum()
    return gain * share.sqrt()
