"""Transforms that choose frequencies."""

from __future__ import annotations

import torch
from torch import Tensor

from dctnet.bands import BAND_SETS, CHANNELS, BandSet, bands_of
from dctnet.coefficients import Coefficients, SelectedBands, check_kind
from dctnet.transforms.photometric import Photometric


def select_bands(coefficients: Coefficients, bands: BandSet) -> Coefficients:
    """The channels ``bands`` of each plane: ``SelectedBands`` ``(..., k, H/8, W/8)``, ``Coefficients`` where these are all.

    Nothing geometric can be made of a selection any more.

    ``bands`` is what ``dctnet.bands.bands_of`` takes: the size of a static set, "zigzag-16", and so on.
    ValueError where a plane is not in blocks of 8 with all its 64 channels.

    >>> planes = Coefficients(*(torch.arange(64.0)[:, None, None] for _ in range(3)))
    >>> select_bands(planes, 6).y.flatten().tolist()
    [0.0, 1.0, 8.0, 9.0]
    """
    check_kind(coefficients)
    kept = bands_of(bands)
    for name, plane in zip(Coefficients._fields, coefficients, strict=True):
        if plane.ndim < 3 or plane.shape[-3] != CHANNELS:
            raise ValueError(
                f"bands are selected from the {CHANNELS} channels of 8x8 blocks; plane {name} has shape "
                f"{tuple(plane.shape)}. Set block_size=8, and select once."
            )
    # Selected along the last axis of memory, so that blocks stay contiguous.
    chosen = Coefficients if kept == BAND_SETS[192] else SelectedBands
    return chosen(
        *(
            plane.movedim(-3, -1).index_select(-1, torch.tensor(channels, device=plane.device)).movedim(-1, -3)
            for plane, channels in zip(coefficients, kept, strict=True)
        )
    )


class SelectBands(Photometric):
    """The chosen bands of 8x8 blocks, in any form that ``dctnet.bands`` names.

    ``SelectBands(24)``, ``SelectBands("zigzag-16")``, ``SelectBands(("square-4", "square-2", [0]))``,
    ``SelectBands({"energy": "cifar10", "count": 24})``.

    Nothing geometric can follow. A ``Normalize`` may come before (with 64 values a plane) or after (with those of the
    chosen bands).
    """

    in_gray_levels = False

    def __init__(self, bands: BandSet):
        self.bands = bands_of(bands)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        return select_bands(coefficients, self.bands)

    def __repr__(self) -> str:
        return f"SelectBands({'+'.join(str(len(plane)) for plane in self.bands)} bands)"
