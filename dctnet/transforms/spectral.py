"""The frequencies of luma blocks weighed: what only the DCT domain has. DC and chroma stay as they are.

Source: Park and Johnson, "RGB no more: Minimally-decoded JPEG Vision Transformers", CVPR 2023, section 5.1. The gain of
the coefficient (v, u) is w(v) w(u), but for frequency enhancement; of a block of b samples the frequencies go from 0 to b - 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dctnet.arguments import interval
from dctnet.coefficients import Coefficients, block_size
from dctnet.transforms.per_sample import Number, check_range, computed_wide, per_sample
from dctnet.transforms.photometric import Photometric


@computed_wide
def frequency_enhancement(coefficients: Coefficients, factor: Number) -> Coefficients:
    """All frequencies of luma but DC times ``factor``, at least 0 (ValueError): FreqEnhance of the paper.

    >>> planes = Coefficients(*(torch.ones(4, 1, 1) for _ in range(3)))
    >>> frequency_enhancement(planes, 1.5).y.flatten().tolist()
    [1.0, 1.5, 1.5, 1.5]
    """
    check_range("factor", factor, 0)
    return _weighed(coefficients, _but_dc(coefficients.y, per_sample(factor, coefficients.y)))


@computed_wide
def spectral_sharpness(coefficients: Coefficients, strength: Number) -> Coefficients:
    """A gain that grows with frequency, w(u) = max(1 + t u / (b - 1), 0), t the ``strength``: Sharpness of the paper.

    A positive strength sharpens, a negative one blurs, within each block. Blocks of 1 stay as they are.

    >>> planes = Coefficients(*(torch.ones(4, 1, 1) for _ in range(3)))
    >>> spectral_sharpness(planes, 0.5).y.flatten().tolist()
    [1.0, 1.5, 1.5, 2.25]
    """
    check_range("strength", strength, -math.inf)
    b = block_size(coefficients.y)
    return _weighed(
        coefficients, _separable(coefficients.y, strength, torch.arange(b, dtype=torch.float64) / max(b - 1, 1))
    )


@computed_wide
def mid_frequency_augmentation(coefficients: Coefficients, strength: Number) -> Coefficients:
    """A gain that is highest half way, w(u) = max(1 + t min(u, b - 1 - u) / (b/2 - 1), 0), t the ``strength``.

    MidfreqAug of the paper, which states where the gain peaks (u and v of 3 and 4 in blocks of 8) and no formula; this is that of
    its Sharpness, folded. Blocks of 1 and 2 have no middle and stay as they are.

    >>> planes = Coefficients(*(torch.ones(64, 1, 1) for _ in range(3)))
    >>> mid_frequency_augmentation(planes, 0.75).y[:8].flatten().tolist()
    [1.0, 1.25, 1.5, 1.75, 1.75, 1.5, 1.25, 1.0]
    """
    check_range("strength", strength, -math.inf)
    b = block_size(coefficients.y)
    frequency = torch.arange(b, dtype=torch.float64)
    hump = torch.minimum(frequency, b - 1 - frequency) / max(b / 2 - 1, 1)
    return _weighed(coefficients, _separable(coefficients.y, strength, hump))


def _separable(plane: Tensor, strength: Number, weights: Tensor) -> Tensor:
    """max(1 + t weights[v], 0) max(1 + t weights[u], 0), DC 1: ``(..., b*b, 1, 1)``."""
    axis = (1 + per_sample(strength, plane)[..., 0] * weights.to(plane.device, plane.dtype)).clamp(min=0)
    gain = (axis.transpose(-1, -2) * axis).flatten(-2)
    return gain[..., None, None]


def _but_dc(plane: Tensor, gain: Tensor) -> Tensor:
    channels = plane.shape[-3]
    return torch.cat([torch.ones_like(gain), gain.expand(*gain.shape[:-3], channels - 1, 1, 1)], -3)


def _weighed(coefficients: Coefficients, gain: Tensor) -> Coefficients:
    return coefficients._replace(y=coefficients.y * gain)


class _Spectral(Photometric):
    """One number drawn evenly from a range (low, high)."""

    limits: tuple[float, float]

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        return (torch.empty(1, dtype=torch.float64).uniform_(*self.limits, generator=generator).item(),)


class FrequencyEnhancement(_Spectral):
    """``frequency_enhancement`` by a factor from the range ``factor``."""

    def __init__(self, factor: float | Sequence[float] = (0.5, 1.5)):
        self.limits = interval("factor", factor, 0, one=True)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        return frequency_enhancement(coefficients, parameters[..., 0])

    def __repr__(self) -> str:
        return f"FrequencyEnhancement(factor={self.limits})"


class SpectralSharpness(_Spectral):
    """``spectral_sharpness`` of a strength from the range ``strength``."""

    def __init__(self, strength: float | Sequence[float] = (-0.3, 0.3)):
        self.limits = interval("strength", strength, one=True)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        return spectral_sharpness(coefficients, parameters[..., 0])

    def __repr__(self) -> str:
        return f"SpectralSharpness(strength={self.limits})"


class MidFrequencyAugmentation(_Spectral):
    """``mid_frequency_augmentation`` of a strength from the range ``strength``."""

    def __init__(self, strength: float | Sequence[float] = (-0.3, 0.3)):
        self.limits = interval("strength", strength, one=True)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        return mid_frequency_augmentation(coefficients, parameters[..., 0])

    def __repr__(self) -> str:
        return f"MidFrequencyAugmentation(strength={self.limits})"
