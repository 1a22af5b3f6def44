"""Sharpness and blur: sums of separable filters of a few taps, lifted to coefficients.

A filter P -> sum_d w_d F_d P of one axis, F_d the sum of the samples at distance d on both sides, has the operator
A = sum_d w_d T_b F_d T_b' on coefficients. The A_d = T_b F_d T_b' depend on the length of the axis alone and are kept; the
weights may be others for each picture of a batch. The filters act on the samples of each plane, so on a coarser plane a
distance of one sample is one of ``spacing`` pixels: both functions say what they make of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dctnet.arguments import finite, interval, several
from dctnet.coefficients import Coefficients, Grid, block_size, infer_grid
from dctnet.dct import Lifted, apply, block_dct, block_idct, lift
from dctnet.resampling import Banded, extend
from dctnet.transforms.chance import Chance
from dctnet.transforms.per_sample import Number, check_range, computed_wide, per_sample
from dctnet.transforms.photometric import Photometric


def _runs(samples: int, half: int) -> tuple[Tensor, int]:
    """Where the run of samples that row i of a filter can reach starts, and how long it is."""
    width = min(2 * half + 1, samples)
    return (torch.arange(samples) - half).clamp(0, samples - width), width


def _lift(start: Tensor, weights: Tensor, b: int) -> Lifted:
    samples = len(start)
    return lift(extend(Banded(start, weights, samples), -(-samples // b) * b), b, b)


@computed_wide
def adjust_sharpness(coefficients: Coefficients, sharpness_factor: Number, *, grid: Grid | None = None) -> Coefficients:
    """The distance of each sample from a smoothed one times the factor, at least 0 (ValueError); 0 smooths, 1 changes nothing.

    On luma torchvision's ``adjust_sharpness``, to rounding: the kernel [[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13, samples at
    the border left as they are. On chroma of half the resolution on both axes it is that of the factor 1 + (f - 1) / 4, which
    moves the same second moment in pixels; over 24 photographs of 224x224 in 4:2:0 this is nearer to torchvision's RGB than
    chroma with the factor itself, or left alone (2.06 gray levels off at 2, against 2.17 and 2.11). Nothing is clamped.
    """
    check_range("sharpness_factor", sharpness_factor, 0)
    grid = grid or infer_grid(coefficients)
    planes = []
    for number, plane in enumerate(coefficients):
        (rows, columns), (vertical, horizontal) = grid.samples(number), grid.spacing[number]
        if min(rows, columns) < 3:  # nothing but border
            planes.append(plane)
            continue
        samples = block_idct(plane)
        inside = samples[..., :rows, :columns]
        # Sums of three by three neighbours, for all samples but those at the border.
        three = (inside[..., :-2] + inside[..., 1:-1]).add_(inside[..., 2:])
        sums = (three[..., :-2, :] + three[..., 1:-1, :]).add_(three[..., 2:, :])
        factor = sharpness_factor
        if isinstance(factor, Tensor):
            factor = per_sample(factor, plane)[..., 0]
        amount = (1 - factor) / (13 * float(vertical * horizontal))
        change = amount * sums.sub_(inside[..., 1:-1, 1:-1], alpha=9)
        change = torch.nn.functional.pad(change, (1, samples.shape[-1] - columns + 1, 1, samples.shape[-2] - rows + 1))
        planes.append(plane + block_dct(change, block_size(plane)))
    return Coefficients(*planes)


@lru_cache(maxsize=64)
def _at_distances(samples: int, half: int, b: int) -> Lifted:
    """For each distance 0..half the sum of the samples there, mirrored at the ends: ``blocks`` (half + 1, P, b, K, b)."""
    start, width = _runs(samples, half)
    columns = start[:, None] + torch.arange(width)
    period = max(2 * samples - 2, 1)

    def reached(distance: int) -> Tensor:
        place = torch.remainder(torch.arange(samples) + distance, period)
        return (columns == torch.minimum(place, period - place if samples > 1 else place)[:, None]).to(torch.float64)

    filters = [_lift(start, reached(0), b)]
    filters += [_lift(start, reached(d) + reached(-d), b) for d in range(1, half + 1)]
    return filters[0]._replace(blocks=torch.stack([part.blocks for part in filters]))


def _blur(samples: int, b: int, taps: int, sigma: Tensor, spacing: float, plane: Tensor) -> Lifted:
    """The Gaussian of ``sigma`` (...) pixels along one axis of a plane: one operator for each."""
    half = math.ceil((taps - 1) / 2 / spacing - 1e-9)
    filters = _at_distances(samples, half, b)
    distance = torch.arange(half + 1, dtype=torch.float64, device=sigma.device)
    weights = torch.exp(-0.5 * (distance * spacing / sigma[..., None]) ** 2)
    weights = weights / (2 * weights.sum(-1, keepdim=True) - 1)
    weights = weights.to(plane.device, plane.dtype)
    blocks = torch.tensordot(weights, filters.blocks.to(plane.device, plane.dtype), 1)
    return filters._replace(blocks=blocks)


def _taps(kernel_size: int | Sequence[int]) -> tuple[int, int]:
    """The kernel along the rows and down the columns; ValueError where it has no middle."""
    taps = several("kernel_size", kernel_size, (1, 2), 1, of_whole=True)
    if any(k % 2 == 0 for k in taps):
        raise ValueError(f"kernel_size is an odd number of samples, or a pair of them; got {kernel_size!r}")
    return taps[0], taps[-1]


@computed_wide
def gaussian_blur(
    coefficients: Coefficients,
    kernel_size: int | Sequence[int],
    sigma: Number | Sequence[Number] | None = None,
    *,
    grid: Grid | None = None,
) -> Coefficients:
    """Luma through a Gaussian of ``sigma`` pixels over ``kernel_size`` samples, the ends mirrored: torchvision's, to rounding.

    Both are one value, or a pair (along the rows, down the columns) in the order of torchvision; ``sigma`` is
    0.15 kernel_size + 0.35 by default, and may be one for each picture, with gradient. On chroma, at its own resolution, it is
    torchvision's filter of sigma / spacing (half of sigma in 4:2:0) over as many samples as cover the kernel, 2
    ceil((kernel_size - 1) / 2 / spacing) + 1. Where the kernel is wider than the picture, it is mirrored again. ValueError
    where a kernel size is not odd and positive, or a sigma is not positive.
    """
    taps = _taps(kernel_size)
    sigma = tuple(0.15 * k + 0.35 for k in taps) if sigma is None else sigma
    sigmas = tuple(sigma) if isinstance(sigma, (tuple, list)) else (sigma, sigma)
    if len(sigmas) != 2:
        raise ValueError(f"sigma is one number, or a pair (along the rows, down the columns); got {sigma!r}")
    for value in sigmas:
        check_range("sigma", value, 0, open_low=True)
    grid = grid or infer_grid(coefficients)
    made: dict[tuple[Any, ...], Lifted] = {}
    planes = []
    for number, plane in enumerate(coefficients):
        b = block_size(plane)
        pair = []
        for axis, way in ((0, 1), (1, 0)):
            key = (axis, grid.samples(number)[axis], b, grid.spacing[number][axis])
            if key not in made:
                deviation = per_sample(sigmas[way], plane.double())[..., 0, 0, 0]
                spacing = float(grid.spacing[number][axis])
                made[key] = _blur(grid.samples(number)[axis], b, taps[way], deviation, spacing, plane)
            pair.append(made[key])
        planes.append(apply(plane, *pair))
    return Coefficients(*planes)


class RandomAdjustSharpness(Chance):
    """``adjust_sharpness`` by ``sharpness_factor`` with probability ``p``."""

    any_blocks = True
    on_samples = True, True

    def __init__(self, sharpness_factor: float, p: float = 0.5):
        super().__init__(p)
        self.sharpness_factor = finite("sharpness_factor", sharpness_factor, 0)

    def change(self, coefficients: Coefficients, size: tuple[int, int]) -> Coefficients:
        return adjust_sharpness(coefficients, self.sharpness_factor, grid=infer_grid(coefficients, size))


class GaussianBlur(Photometric):
    """``gaussian_blur`` of a ``sigma`` drawn from the range (low, high); a single number is always that. As torchvision draws."""

    any_blocks = True

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)):
        self.kernel_size = _taps(kernel_size)
        self.sigma = interval("sigma", sigma, 0, open_low=True, one=True)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        return (torch.empty(1).uniform_(*self.sigma, generator=generator).item(),)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        return gaussian_blur(coefficients, self.kernel_size, parameters[..., 0], grid=infer_grid(coefficients, size))

    def __repr__(self) -> str:
        return f"GaussianBlur(kernel_size={self.kernel_size}, sigma={self.sigma})"
