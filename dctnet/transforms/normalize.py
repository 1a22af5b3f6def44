"""Each band to mean zero and deviation one, with the figures of a data set."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Sequence

import torch
from torch import Tensor

from dctnet.bands import BandSet, values_of
from dctnet.coefficients import Coefficients, check_kind
from dctnet.statistics import read_statistics
from dctnet.transforms.photometric import Photometric


def normalize(coefficients: Coefficients, mean: Coefficients, std: Coefficients) -> Coefficients:
    """(X - mean) / std band by band: ``mean`` and ``std`` hold a vector (C,) for each plane.

    ValueError where C differs, and for other than finite numbers, std above 0.

    >>> planes = Coefficients(*(torch.full((1, 2, 2), 6.0) for _ in range(3)))
    >>> bands = lambda value: Coefficients(*(torch.tensor([value]) for _ in range(3)))
    >>> normalize(planes, bands(2.0), bands(4.0)).y[0, 0]
    tensor([1., 1.])
    """
    check_kind(coefficients)
    planes = []
    for name, plane, centre, scale in zip(Coefficients._fields, coefficients, mean, std, strict=True):
        if not (centre.shape == scale.shape == plane.shape[-3:-2]):
            raise ValueError(
                f"plane {name} has {plane.shape[-3]} bands; mean and std need one value a band, got "
                f"{tuple(centre.shape)} and {tuple(scale.shape)}. Were they measured at another block size?"
            )
        if not bool(((scale > 0) & (centre + scale).isfinite()).all()):
            check_values("mean", name, centre)
            check_values("std", name, scale, positive=True)
        dtype = plane.dtype if plane.is_floating_point() else torch.float32
        centre, scale = (value.to(plane.device, dtype)[:, None, None] for value in (centre, scale))
        planes.append((plane.to(dtype) - centre) / scale)
    return type(coefficients)(*planes)


def band_values(name: str, values: Sequence[Sequence[float]], *, positive: bool = False) -> Coefficients:
    """Three vectors (C,) float32 of one finite number a band of Y, Cb and Cr; ValueError for anything else.

    >>> band_values("mean", [[1, 2], [3], [4]]).y
    tensor([1., 2.])
    """
    try:
        vectors = [torch.as_tensor(plane, dtype=torch.float32) for plane in values]
    except (TypeError, ValueError, RuntimeError):
        vectors = []
    if len(vectors) != 3 or any(vector.ndim != 1 or not len(vector) for vector in vectors):
        raise ValueError(f"{name} is three lists of numbers, one a band of Y, Cb and Cr; got {reprlib.repr(values)}")
    for plane, vector in zip(Coefficients._fields, vectors, strict=True):
        check_values(name, plane, vector, positive=positive)
    return Coefficients(*vectors)


def check_values(name: str, plane: str, vector: Tensor, *, positive: bool = False) -> None:
    """ValueError where a vector (C,) holds another than finite numbers, above 0 if ``positive``."""
    wrong = vector[~(vector.isfinite() & ((vector > 0) | (not positive)))]
    if len(wrong):
        kind = "finite numbers greater than 0" if positive else "finite numbers"
        raise ValueError(f"plane {plane} of {name} holds {kind}, one a band; got {wrong[0].item()}")


class Normalize(Photometric):
    """(X - mean) / std with one mean and deviation for each band of Y, Cb and Cr.

    ``mean`` and ``std`` are three sequences, of as many values as the planes have bands.
    """

    in_gray_levels = False

    def __init__(self, mean: Sequence[Sequence[float]], std: Sequence[Sequence[float]]):
        self.mean, self.std = band_values("mean", mean), band_values("std", std, positive=True)
        if (counts := [len(v) for v in self.mean]) != (others := [len(v) for v in self.std]):
            raise ValueError(f"mean and std have as many values; got {counts} and {others} of Y, Cb and Cr")

    @classmethod
    def from_card(cls, card: str | os.PathLike[str], bands: BandSet = None) -> Normalize:
        """The figures of a card of ``dctnet stats``: the path of one, or a name such as "cifar10" that comes with dctnet.

        Of the chosen ``bands``, for use after ``SelectBands(bands)``; without it of all, before. A band that never varied,
        as the chroma of gray pictures, keeps its scale.

        >>> Normalize.from_card("cifar10")
        Normalize(64 luma bands, 64 chroma bands)
        >>> Normalize.from_card("imagenet_samples", bands=24)
        Normalize(16 luma bands, 4 chroma bands)
        """
        statistics = read_statistics(card)
        std = [[value or 1.0 for value in plane] for plane in values_of(statistics.std, bands)]
        return cls(values_of(statistics.mean, bands), std)

    def ending(self, blocks: tuple[int, int]) -> Coefficients | None:
        """Gain and shift (2, C) float64 of each plane in ``blocks`` (luma, chroma), for ``separable.lifted``; None for others."""
        luma, chroma = blocks
        if [len(values) for values in self.mean] != [luma**2, chroma**2, chroma**2]:
            return None
        pairs = zip(self.mean.to(torch.float64), self.std.to(torch.float64), strict=True)
        return Coefficients(*(torch.stack([1 / std, -mean / std]) for mean, std in pairs))

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        return normalize(coefficients, self.mean, self.std)

    def __repr__(self) -> str:
        return f"Normalize({len(self.mean.y)} luma bands, {len(self.mean.cb)} chroma bands)"
