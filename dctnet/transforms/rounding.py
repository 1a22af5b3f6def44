"""Coefficients rounded to whole steps: to eight bits with a scale a band, and to the quantization of a JPEG quality.

Rounding has no gradient: it is zero. With ``straight_through=True`` it is that of the identity instead (Bengio, Léonard and
Courville, "Estimating or propagating gradients through stochastic neurons", 2013).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from dctnet.arguments import flag
from dctnet.bands import BandSet, values_of
from dctnet.coefficients import Coefficients, check_all_bands, check_kind
from dctnet.quantization import all_quality_steps, levels, quality_steps
from dctnet.statistics import read_statistics
from dctnet.transforms.normalize import band_values, check_values
from dctnet.transforms.per_sample import check_whole, per_sample
from dctnet.transforms.photometric import Photometric

LIMIT = 127  # of an int8, alike on both sides


def quantize_int8(
    coefficients: Coefficients, scales: Sequence[Tensor] | None = None, straight_through: bool = False
) -> Coefficients:
    """``scale * clip(round(X / scale), -127, 127)``, the values that int8 holds with one scale a band, as floats.

    ``scales``: three vectors (C,). None takes those of each picture, max|x| / 127 over the band (1 where it is all zero), as
    a packed store has them. The error is half a scale at most, where |x| is at most 127.5 scales; beyond, x is clipped.
    ValueError where the numbers of bands differ, and for scales that are not finite numbers above 0.

    >>> planes = Coefficients(*(torch.tensor([[[254.0, 3.2]]]) for _ in range(3)))
    >>> quantize_int8(planes).y.tolist()
    [[[254.0, 4.0]]]
    """
    check_kind(coefficients)
    if scales is not None and len(scales) != 3:
        raise ValueError(f"scales are three vectors, for Y, Cb and Cr; got {len(scales)}")
    made = []
    for number, plane in enumerate(coefficients):
        x = _floats(plane)
        if scales is None:
            peak = x.detach().abs().amax((-2, -1), keepdim=True)
            scale = torch.where(peak > 0, peak / LIMIT, 1.0)
        else:
            if scales[number].shape != x.shape[-3:-2]:
                raise ValueError(
                    f"plane {Coefficients._fields[number]} has {x.shape[-3]} bands; scales need one value a band, got "
                    f"{tuple(scales[number].shape)}. Were they measured at another block size, or for other bands?"
                )
            check_values("scales", Coefficients._fields[number], scales[number], positive=True)
            scale = scales[number].to(x.device, x.dtype)[:, None, None]
        rounded = (x / scale).round().clamp(-LIMIT, LIMIT) * scale
        made.append(_passed(rounded, x, straight_through).to(_dtype(plane)))
    return type(coefficients)(*made)


def jpeg_quality(coefficients: Coefficients, quality: int | Tensor, straight_through: bool = False) -> Coefficients:
    """Planes ``(..., 64, H/8, W/8)`` in gray levels as a JPEG file of ``quality`` would keep them: whole steps of its tables.

    ``quality`` is a whole number from 1 to 100, or a tensor of one for each picture of a batch. The integers are those that
    ``dctnet.jpeg.quantize`` stores and libjpeg stores of the same coefficients; the error is half a step at most. ValueError
    for another quality or block size.

    >>> planes = Coefficients(*(torch.full((64, 1, 1), 20.0) for _ in range(3)))
    >>> jpeg_quality(planes, 50).y[:4, 0, 0].tolist()                            # steps 16, 11, 10, 16
    [16.0, 22.0, 20.0, 16.0]
    """
    check_all_bands(coefficients)
    quality = quality.cpu() if isinstance(quality, Tensor) else quality
    check_whole("the quality", quality, 1, 100)
    tables = all_quality_steps()[per_sample(quality, coefficients.y)[..., 0, 0, 0].long().cpu()]
    made = []
    for number, plane in enumerate(coefficients):
        if plane.ndim < 3 or plane.shape[-3] != 64:
            raise ValueError(
                f"JPEG quantizes the 64 channels of 8x8 blocks; plane {Coefficients._fields[number]} has shape "
                f"{tuple(plane.shape)}. Put it before SelectBands, with blocks of 8."
            )
        x = _floats(plane)
        blocks = x.movedim(-3, -1)
        steps = tables[..., number, :].to(x.device, x.dtype)[..., None, None, :]
        made.append(_passed(levels(blocks, steps) * steps, blocks, straight_through).movedim(-1, -3).to(_dtype(plane)))
    return Coefficients(*made)


def _dtype(plane: Tensor) -> torch.dtype:
    return plane.dtype if plane.is_floating_point() else torch.float32


def _floats(plane: Tensor) -> Tensor:
    """In float32 at least: quotients of half precision would round to the wrong step."""
    return plane if plane.dtype == torch.float64 else plane.to(torch.float32)


def _passed(rounded: Tensor, x: Tensor, straight_through: bool) -> Tensor:
    """``rounded``, with its own gradient or that of x."""
    return rounded.detach() + (x - x.detach()) if flag("straight_through", straight_through) else rounded


class Quantize(Photometric):
    """Eight bits a coefficient: whole numbers of a scale for each band, -127 to 127, given back as floats.

    ``scales`` are three sequences of one positive number a band; None takes those of each picture, so that nothing is clipped
    (``quantize_int8``). The error is half a scale at most, where nothing is clipped. Stands anywhere: after
    ``Normalize`` and ``SelectBands`` the scales are those of what they made.
    """

    in_gray_levels = False

    def __init__(self, scales: Sequence[Sequence[float]] | None = None, straight_through: bool = False):
        self.straight_through = flag("straight_through", straight_through)
        self.scales = None if scales is None else band_values("scales", scales, positive=True)

    @classmethod
    def from_card(cls, card: str | os.PathLike[str], bands: BandSet = None, straight_through: bool = False) -> Quantize:
        """Scales peak / 127 of a card of ``dctnet stats``: no coefficient of the pictures it was measured on is clipped.

        Of the chosen ``bands``, for use after ``SelectBands(bands)``. A band that was always zero gets the scale 1.
        """
        peaks = values_of(read_statistics(card).peak, bands)
        return cls([[peak / LIMIT or 1.0 for peak in plane] for plane in peaks], straight_through)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        return quantize_int8(coefficients, self.scales, self.straight_through)

    def __repr__(self) -> str:
        through = ", straight_through=True" if self.straight_through else ""
        if self.scales is None:
            return f"Quantize(scales=None{through})"
        return f"Quantize({'+'.join(str(len(plane)) for plane in self.scales)} scales{through})"


class JPEGQuality(Photometric):
    """The coefficients as a JPEG file of ``quality`` (1 to 100) keeps them; see ``jpeg_quality``."""

    def __init__(self, quality: int, straight_through: bool = False):
        quality_steps(quality)
        self.quality, self.straight_through = quality, flag("straight_through", straight_through)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        return (float(self.quality),)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        return jpeg_quality(coefficients, parameters[..., 0], self.straight_through)

    def __repr__(self) -> str:
        return f"JPEGQuality({self.quality}{', straight_through=True' if self.straight_through else ''})"


class RandomJPEGQuality(Photometric):
    """As a JPEG file of a quality keeps the coefficients that is drawn from ``quality`` (from, to), both included."""

    def __init__(self, quality: tuple[int, int], straight_through: bool = False):
        if not isinstance(quality, Sequence) or len(quality) != 2:
            raise ValueError(f"quality is a pair (from, to) of whole numbers from 1 to 100; got {quality!r}")
        low, high = quality
        quality_steps(low), quality_steps(high)
        if low > high:
            raise ValueError(f"quality is a pair (from, to) with from <= to; got {quality!r}")
        self.quality, self.straight_through = (low, high), flag("straight_through", straight_through)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        low, high = self.quality
        return (float(torch.randint(low, high + 1, (), generator=generator)),)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        return jpeg_quality(coefficients, parameters[..., 0], self.straight_through)

    def __repr__(self) -> str:
        return f"RandomJPEGQuality({self.quality}{', straight_through=True' if self.straight_through else ''})"
