"""Transforms that choose frequencies."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dctnet.bands import bands_of
from dctnet.coefficients import Coefficients
from dctnet.transforms.functional import select_bands
from dctnet.transforms.photometric import Photometric


class SelectBands(Photometric):
    """The chosen bands of 8x8 blocks: a static set by its size (24, say), or three lists of channels 8v + u.

    Nothing geometric can follow. A ``Normalize`` may come before (with 64 values a plane) or after (with those of the
    chosen bands).
    """

    def __init__(self, bands: int | Sequence[Sequence[int]]):
        self.bands = bands_of(bands)

    def __call__(self, coefficients: Coefficients, generator: torch.Generator | None = None) -> Coefficients:
        return select_bands(coefficients, self.bands)

    def __repr__(self) -> str:
        return f"SelectBands({'+'.join(str(len(plane)) for plane in self.bands)} bands)"
