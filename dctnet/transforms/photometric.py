"""Transforms that change values and leave every sample in its place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from dctnet.coefficients import Coefficients
from dctnet.transforms.functional import normalize


class Photometric(ABC):
    """A transform of the coefficients of each block by itself."""

    @abstractmethod
    def __call__(self, coefficients: Coefficients, generator: torch.Generator | None = None) -> Coefficients:
        """The planes changed, parameters drawn from ``generator`` (None: torch's own)."""


class Normalize(Photometric):
    """(X - mean) / std with one mean and deviation for each band of Y, Cb and Cr.

    ``mean`` and ``std`` are three sequences, of as many values as the planes have bands.
    """

    def __init__(self, mean: Sequence[Sequence[float]], std: Sequence[Sequence[float]]):
        self.mean = Coefficients(*(torch.as_tensor(values, dtype=torch.float32) for values in mean))
        self.std = Coefficients(*(torch.as_tensor(values, dtype=torch.float32) for values in std))

    def __call__(self, coefficients: Coefficients, generator: torch.Generator | None = None) -> Coefficients:
        return normalize(coefficients, self.mean, self.std)

    def __repr__(self) -> str:
        return f"Normalize({len(self.mean.y)} luma bands, {len(self.mean.cb)} chroma bands)"
