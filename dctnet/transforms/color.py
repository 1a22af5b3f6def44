"""Brightness, contrast, saturation, hue, grayscale and inversion: in YCbCr an affine map of each picture.

With Y in gray levels 0..255, m the mean of Y over the picture, and (Cb, Cr) centred on zero, the factors of brightness l,
contrast c and saturation s and the hue h give

    Y -> c l Y + (1 - c) l m,    (Cb, Cr) -> l c s R(2 pi h) (Cb, Cr),    R(a) the rotation by a

in any order of the four. Coefficients are multiplied alike; a constant adds b times itself to the DC of each b x b block.

Nothing is clamped to 0..255, on purpose: a clamp is not linear, would need every sample, and throws away what the next
transform may bring back. Over 24 photographs of 224x224 the missing clamp is
on average 1.0 gray levels at brightness 1.2 and 4.1 at 1.4, 0.8 and 2.9 at contrast 1.2 and 1.4, 0.2 and 0.6 at saturation;
factors below 1 make none, and clamped at the end the pictures are torchvision's to 0.005 (``tests/test_color.py`` prints it).
torchvision's gray weighs red by 0.2989 where JPEG has 0.299, so contrast, saturation and grayscale may differ from it by
0.0255 gray levels where red is at 255.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dctnet.arguments import finite, interval
from dctnet.coefficients import Coefficients, Grid, block_size, check_all_bands, infer_grid
from dctnet.dct import basis
from dctnet.transforms.chance import Chance
from dctnet.transforms.per_sample import Number, check_range, check_whole, computed_wide, per_sample
from dctnet.transforms.photometric import Photometric


def picture_mean(plane: Tensor, samples: tuple[int, int]) -> Tensor:
    """The mean ``(...)`` over the first ``samples`` (rows, columns) of a plane, what fills the last blocks left out.

    >>> from dctnet.dct import block_dct
    >>> picture_mean(block_dct(torch.arange(256.0).view(16, 16)), (16, 2)).round(decimals=3).item()
    120.5
    """
    b = block_size(plane)
    rows, columns = plane.shape[-2] * b, plane.shape[-1] * b
    if samples == (rows, columns):
        return plane[..., 0, :, :].mean((-2, -1)) / b

    def weights(length: int, whole: int) -> Tensor:
        inside = (torch.arange(whole) < length).to(torch.float64) / length
        return (inside.view(-1, b) @ basis(b).T).to(plane.device, plane.dtype)

    return torch.einsum(
        "...vupq,pv,qu->...", plane.unflatten(-3, (b, b)), weights(samples[0], rows), weights(samples[1], columns)
    )


@computed_wide
def _adjusted(
    coefficients: Coefficients,
    brightness: Number = 1.0,
    contrast: Number = 1.0,
    saturation: Number = 1.0,
    hue: Number = 0.0,
    grid: Grid | None = None,
) -> Coefficients:
    """The formula on top of this file. A number that changes nothing costs nothing."""
    y, cb, cr = coefficients
    for name, value in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation)):
        check_range(f"{name}_factor", value, 0)
    check_range("hue_factor", hue, -0.5, 0.5)
    light, c, s = (per_sample(v, y) if isinstance(v, Tensor) else v for v in (brightness, contrast, saturation))
    shift = 128 * (light - 1)
    if isinstance(contrast, Tensor) or contrast != 1:
        mean = picture_mean(y, (grid or infer_grid(coefficients)).size)
        shift = shift + (1 - c) * light * mean[..., None, None, None]
    y = _raised(y, light * c, shift)
    gain = light * c * s
    if isinstance(hue, Tensor) or hue != 0:
        turn = per_sample(hue, cb) * 2 * math.pi
        cos, sin = gain * torch.cos(turn), gain * torch.sin(turn)
        cb, cr = torch.addcmul(cb * cos, cr, -sin), torch.addcmul(cr * cos, cb, sin)
    elif isinstance(gain, Tensor) or gain != 1:
        cb, cr = cb * gain, cr * gain
    return Coefficients(y, cb, cr)


def _raised(plane: Tensor, gain: Tensor | float, shift: Tensor | float) -> Tensor:
    """``gain`` times the plane, and ``shift`` more for each sample."""
    if not isinstance(gain, Tensor) and not isinstance(shift, Tensor) and gain == 1 and shift == 0:
        return plane
    b = block_size(plane)
    shift = shift[..., 0, :, :] if isinstance(shift, Tensor) else shift
    result = plane * gain
    result[..., 0, :, :] += b * shift
    return result


def adjust_brightness(coefficients: Coefficients, brightness_factor: Number) -> Coefficients:
    """R, G and B times the factor, which is at least 0 (ValueError): exact, but for the clamp.

    >>> black = Coefficients(*(torch.zeros(64, 1, 1) for _ in range(3)))
    >>> adjust_brightness(black, 0.5).y[0].item()       # 128 becomes 64: 8 times -64
    -512.0
    """
    return _adjusted(coefficients, brightness=brightness_factor)


def adjust_contrast(coefficients: Coefficients, contrast_factor: Number, *, grid: Grid | None = None) -> Coefficients:
    """The distance of R, G and B from the mean gray times the factor, at least 0 (ValueError): exact, but for the clamp.

    The mean is over the picture (``grid.size``; default: all of the planes), not over what fills the last blocks.
    """
    return _adjusted(coefficients, contrast=contrast_factor, grid=grid)


def adjust_saturation(coefficients: Coefficients, saturation_factor: Number) -> Coefficients:
    """The distance of each pixel from its gray times the factor, at least 0 (ValueError): exact, but for the clamp."""
    return _adjusted(coefficients, saturation=saturation_factor)


def adjust_hue(coefficients: Coefficients, hue_factor: Number) -> Coefficients:
    """(Cb, Cr) turned by 2 pi ``hue_factor``, which is in [-0.5, 0.5] (ValueError); red moves towards yellow as it grows.

    torchvision turns the hue of HSV, at constant maximum of R, G and B; the rotation is at constant luma. They agree in
    the sense of turning and in the period, not in luma, which torchvision changes: over 24 photographs of 224x224 R, G and B
    differ on average by 5.6 gray levels at 0.05, 8.5 at 0.1 and 14.4 at 0.5, where torchvision changes them by 4.4, 8.7 and
    34.6; Cb and Cr alone by 0.9 at 0.05, 1.1 at 0.1 and 0.0 at 0.5, changed by 4.6, 8.6 and 26.5
    (``tests/test_color.py`` prints it).
    """
    return _adjusted(coefficients, hue=hue_factor)


def rgb_to_grayscale(coefficients: Coefficients) -> Coefficients:
    """Chroma set to zero: exact. The planes stay three, as with torchvision's ``num_output_channels=3``."""
    check_all_bands(coefficients)
    return Coefficients(coefficients.y, torch.zeros_like(coefficients.cb), torch.zeros_like(coefficients.cr))


@computed_wide
def invert(coefficients: Coefficients) -> Coefficients:
    """255 - x of R, G and B: exact. All coefficients change sign, and the DC of luma loses b more (255 - 128 is 127)."""
    y, cb, cr = coefficients
    return Coefficients(_raised(y, -1.0, -1.0), -cb, -cr)


def drop_chroma(coefficients: Coefficients, plane: int | Tensor) -> Coefficients:
    """Cb (``plane`` 1) or Cr (2) set to zero, or neither (0); a tensor says it for each picture. ValueError for another.

    Source: Park and Johnson, "RGB no more: Minimally-decoded JPEG Vision Transformers", CVPR 2023, section 5.1.
    """
    check_all_bands(coefficients)
    check_whole("plane", plane, 0, 2)
    kept = [coefficients.y]
    for number, chroma in enumerate(coefficients[1:], 1):
        kept.append(chroma * (per_sample(plane, chroma) != number).to(chroma.dtype))
    return Coefficients(*kept)


class ColorJitter(Photometric):
    """Brightness, contrast, saturation and hue changed at random, with torchvision's arguments.

    Each is None (as it is), a number d for factors in [max(0, 1 - d), 1 + d] (hue: [-d, d]), or a range (low, high). From one
    state of a generator the factors are torchvision's. So is the order in which it would apply them, drawn first; it
    changes nothing here, because without a clamp the four commute, and all are one pass over the planes.

    >>> ColorJitter(brightness=0.25, hue=(-0.125, 0.25))
    ColorJitter(brightness=(0.75, 1.25), hue=(-0.125, 0.25))
    """

    any_blocks = True

    def __init__(
        self,
        brightness: float | Sequence[float] | None = None,
        contrast: float | Sequence[float] | None = None,
        saturation: float | Sequence[float] | None = None,
        hue: float | Sequence[float] | None = None,
    ):
        self.brightness = _factors("brightness", brightness, 1.0)
        self.contrast = _factors("contrast", contrast, 1.0)
        self.saturation = _factors("saturation", saturation, 1.0)
        self.hue = _factors("hue", hue, 0.0)

    def _ranges(self) -> dict[str, tuple[float, float] | None]:
        return {name: getattr(self, name) for name in ("brightness", "contrast", "saturation", "hue")}

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        """The factors of brightness, contrast, saturation and hue."""
        torch.randperm(4, generator=generator)
        factors = []
        for name, limits in self._ranges().items():
            if limits is None:
                factors.append(0.0 if name == "hue" else 1.0)
            else:
                factors.append(torch.empty(1).uniform_(*limits, generator=generator).item())
        return tuple(factors)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        drawn = zip(self._ranges().items(), parameters.unbind(-1), strict=True)
        factors = {name: factor for (name, limits), factor in drawn if limits is not None}
        return _adjusted(coefficients, **factors, grid=infer_grid(coefficients, size))

    def __repr__(self) -> str:
        ranges = (f"{name}={limits}" for name, limits in self._ranges().items() if limits is not None)
        return f"ColorJitter({', '.join(ranges)})"


def _factors(name: str, value: float | Sequence[float] | None, centre: float) -> tuple[float, float] | None:
    """The range (low, high) that an argument of ``ColorJitter`` means; None where nothing changes."""
    if value is None:
        return None
    low, high = (0.0, math.inf) if centre else (-0.5, 0.5)
    if isinstance(value, Sequence) and not isinstance(value, str):
        factors = interval(name, value, low, high)
    else:
        most = finite(f"{name}, unless a range of factors,", value, 0, math.inf if centre else high)
        factors = max(low, centre - most), centre + most
    return None if factors == (centre, centre) else factors


class RandomGrayscale(Chance):
    """``rgb_to_grayscale`` with probability ``p``."""

    any_blocks = True

    def __init__(self, p: float = 0.1):
        super().__init__(p)

    def change(self, coefficients: Coefficients, size: tuple[int, int]) -> Coefficients:
        return rgb_to_grayscale(coefficients)


class RandomInvert(Chance):
    """``invert`` with probability ``p``."""

    any_blocks = True

    def __init__(self, p: float = 0.5):
        super().__init__(p)

    def change(self, coefficients: Coefficients, size: tuple[int, int]) -> Coefficients:
        return invert(coefficients)


class RandomChromaDrop(Photometric):
    """``drop_chroma`` with probability ``p``: Cb or Cr, each as often."""

    any_blocks = True

    def __init__(self, p: float = 0.5):
        self.p = finite("p", p, 0, 1)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        """The plane to drop, 1 or 2; 0 for none."""
        number = torch.rand(1, generator=generator, dtype=torch.float64).item()
        return (0.0 if number >= self.p else 1.0 if number < self.p / 2 else 2.0,)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        return drop_chroma(coefficients, parameters[..., 0])

    def __repr__(self) -> str:
        return f"RandomChromaDrop(p={self.p})"
