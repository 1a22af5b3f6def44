"""Policies of augmentation: RandAugment, TrivialAugment and 3-Augment, drawn as torchvision draws them.

What a policy chooses for a picture takes its place in the chain, so that identities cost nothing and moves merge with the crop
before them. Of a batch, all pictures whose next operation is of one kind go through it in one call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dctnet.arguments import whole
from dctnet.coefficients import Coefficients, Grid, grid_420
from dctnet.transforms.canvas import Translate
from dctnet.transforms.color import ColorJitter, RandomGrayscale, adjust_brightness, adjust_contrast, adjust_saturation
from dctnet.transforms.per_sample import Number
from dctnet.transforms.photometric import Photometric
from dctnet.transforms.policy import Policy, RandomChoice, Transform
from dctnet.transforms.rotation import Affine, Rotate
from dctnet.transforms.separable import fill_of
from dctnet.transforms.sharpness import GaussianBlur, adjust_sharpness
from dctnet.transforms.tone import RandomSolarize, autocontrast, equalize, posterize, solarize

ADJUSTMENTS: dict[str, Callable[[Coefficients, Number, Grid], Coefficients]] = {
    "Brightness": lambda planes, value, grid: adjust_brightness(planes, 1 + value),
    "Color": lambda planes, value, grid: adjust_saturation(planes, 1 + value),
    "Contrast": lambda planes, value, grid: adjust_contrast(planes, 1 + value, grid=grid),
    "Sharpness": lambda planes, value, grid: adjust_sharpness(planes, 1 + value, grid=grid),
    "Posterize": lambda planes, value, grid: posterize(planes, value if isinstance(value, Tensor) else round(value)),
    "Solarize": lambda planes, value, grid: solarize(planes, 255 * value, grid=grid),
    "AutoContrast": lambda planes, value, grid: autocontrast(planes, grid=grid),
    "Equalize": lambda planes, value, grid: equalize(planes, grid=grid),
}
MOST_OPERATIONS = 100  # of a policy on one picture; each takes its time
ON_SAMPLES = {"Sharpness": (True, True), "Solarize": (True, True)}  # of luma, of chroma
ON_SAMPLES |= dict.fromkeys(("Posterize", "AutoContrast", "Equalize"), (True, False))
MOVES: dict[str, Callable[[float, float | Sequence[float]], Transform]] = {
    "ShearX": lambda value, fill: Affine(shear=(math.degrees(math.atan(value)), 0), center=(0, 0), fill=fill),
    "ShearY": lambda value, fill: Affine(shear=(0, math.degrees(math.atan(value))), center=(0, 0), fill=fill),
    "TranslateX": lambda value, fill: Translate(0, int(value), fill),
    "TranslateY": lambda value, fill: Translate(int(value), 0, fill),
    "Rotate": lambda value, fill: Rotate(value, fill=fill),
}
Magnitudes = Callable[[int, tuple[int, int]], Tensor | None]  # of so many bins, for a picture of that size


@lru_cache(maxsize=1024)
def _values(magnitudes: Magnitudes, bins: int, size: tuple[int, int]) -> list[float] | None:
    values = magnitudes(bins, size)
    return None if values is None else values.tolist()


Space = dict[str, tuple[Magnitudes, bool]]  # for each operation its magnitudes, and whether they go either way


def _up_to(most: float) -> Magnitudes:
    return lambda bins, size: torch.linspace(0.0, most, bins)


def _bits(lost: int) -> Magnitudes:
    return lambda bins, size: (8 - torch.arange(bins) / ((bins - 1) / lost)).round()


def _space(shear: float, moves: tuple[Magnitudes, Magnitudes], turn: float, amount: float, bits: int) -> Space:
    """The operations of both policies, with the largest shear, move, turn and adjustment, and the bits that are lost."""
    nothing: tuple[Magnitudes, bool] = (lambda bins, size: None, False)
    space: Space = {
        "Identity": nothing,
        "ShearX": (_up_to(shear), True),
        "ShearY": (_up_to(shear), True),
        "TranslateX": (moves[0], True),
        "TranslateY": (moves[1], True),
        "Rotate": (_up_to(turn), True),
    }
    space |= {name: (_up_to(amount), True) for name in ("Brightness", "Color", "Contrast", "Sharpness")}
    space["Posterize"] = (_bits(bits), False)
    space["Solarize"] = (lambda bins, size: torch.linspace(1.0, 0.0, bins), False)
    return space | {"AutoContrast": nothing, "Equalize": nothing}


def _share(axis: int) -> Magnitudes:
    return lambda bins, size: torch.linspace(0.0, 150.0 / 331.0 * size[axis], bins)


RAND_AUGMENT = _space(0.3, (_share(1), _share(0)), 30.0, 0.9, 4)
TRIVIAL_AUGMENT = _space(0.99, (_up_to(32.0), _up_to(32.0)), 135.0, 0.99, 6)


class Adjusted(Photometric):
    """One of ``ADJUSTMENTS`` by a given ``value``."""

    any_blocks = True

    def __init__(self, name: str, value: float = 0.0):
        if name not in ADJUSTMENTS:
            raise ValueError(f"the adjustments are {sorted(ADJUSTMENTS)}; got {name!r}")
        self.name, self.value = name, float(value)
        self.on_samples = ON_SAMPLES.get(name, (False, False))

    @property
    def kind(self) -> Hashable:
        return Adjusted, self.name

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        return (self.value,)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        value = parameters[..., 0] if parameters.ndim > 1 else self.value  # plain numbers cost less
        return ADJUSTMENTS[self.name](coefficients, value, grid_420(size))

    def __repr__(self) -> str:
        return f"Adjusted({self.name!r}, {self.value})"


class _AutoAugment(Policy):
    """``num_ops`` operations one after the other, each drawn from ``space``: its name, its magnitude, its sign."""

    keeps_size = True
    space: Space

    def __init__(self, num_ops: int, num_magnitude_bins: int, interpolation: Any, fill: float | Sequence[float]):
        self.num_ops = whole("num_ops", num_ops, 0, MOST_OPERATIONS)
        # torchvision's InterpolationMode has the name as its value.
        if getattr(interpolation, "value", interpolation) != "bilinear":
            raise ValueError(f"interpolation is bilinear, no other is offered; got {interpolation!r}")
        self.num_magnitude_bins = whole("num_magnitude_bins", num_magnitude_bins, 2)
        fill_of(fill)
        self.fill = fill
        self._names = list(self.space)

    def _bin(self, generator: torch.Generator | None) -> int:
        raise NotImplementedError

    def choose(self, size: tuple[int, int], generator: torch.Generator | None) -> Sequence[Transform]:
        chosen: list[Transform] = []
        for _ in range(self.num_ops):
            name = self._names[int(torch.randint(len(self._names), (), generator=generator))]
            magnitudes, signed = self.space[name]
            bins, value = _values(magnitudes, self.num_magnitude_bins, size), 0.0
            if bins is not None:
                value = bins[self._bin(generator)]
                if signed and torch.rand((), generator=generator).item() <= 0.5:
                    value = -value
            if name in MOVES:
                chosen.append(MOVES[name](value, self.fill))
            elif name in ADJUSTMENTS:
                chosen.append(Adjusted(name, value))
        return chosen


class RandAugment(_AutoAugment):
    """``num_ops`` operations at one ``magnitude``, chosen as ``torchvision.transforms.v2.RandAugment`` chooses them.

    The bin ``magnitude`` of ``num_magnitude_bins`` is the strength of all; ``fill`` (in gray levels, one or red, green,
    blue) is what moves uncover. ``interpolation`` is "bilinear", also as torchvision's; ``num_ops`` at most
    ``MOST_OPERATIONS``. Colours are not clamped between operations (see ``color``), and Posterize, Solarize, AutoContrast
    and Equalize act on luma (see ``tone``).

    Source: Cubuk, Zoph, Shlens and Le, "RandAugment: practical automated data augmentation with a reduced search space", 2020.

    >>> RandAugment(num_ops=1, magnitude=5)
    RandAugment(num_ops=1, magnitude=5, num_magnitude_bins=31, fill=0)
    """

    space = RAND_AUGMENT

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: Any = "bilinear",
        fill: float | Sequence[float] = 0,
    ):
        super().__init__(num_ops, num_magnitude_bins, interpolation, fill)
        self.magnitude = whole("magnitude", magnitude, 0, num_magnitude_bins - 1)

    def _bin(self, generator: torch.Generator | None) -> int:
        return self.magnitude

    def __repr__(self) -> str:
        return (
            f"RandAugment(num_ops={self.num_ops}, magnitude={self.magnitude}, "
            f"num_magnitude_bins={self.num_magnitude_bins}, fill={self.fill})"
        )


class TrivialAugmentWide(_AutoAugment):
    """One operation at a random magnitude, as ``torchvision.transforms.v2.TrivialAugmentWide``; see ``RandAugment``.

    Source: Müller and Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", 2021.
    """

    space = TRIVIAL_AUGMENT

    def __init__(
        self, num_magnitude_bins: int = 31, interpolation: Any = "bilinear", fill: float | Sequence[float] = 0
    ):
        super().__init__(1, num_magnitude_bins, interpolation, fill)

    def _bin(self, generator: torch.Generator | None) -> int:
        return int(torch.randint(self.num_magnitude_bins, (), generator=generator))

    def __repr__(self) -> str:
        return f"TrivialAugmentWide(num_magnitude_bins={self.num_magnitude_bins}, fill={self.fill})"


class ThreeAugment(Policy):
    """Grayscale, solarisation or blur, each for a third of the pictures, then ``color_jitter``.

    The threshold is 128, the blur has a sigma from 0.1 to 2 pixels; ``color_jitter`` is the range of brightness, contrast and
    saturation.

    Source: Touvron, Cord and Jégou, "DeiT III: revenge of the ViT", 2022.
    """

    keeps_size = True

    def __init__(self, color_jitter: float = 0.3):
        self.color_jitter = color_jitter
        self._one = RandomChoice([RandomGrayscale(1.0), RandomSolarize(128, 1.0), GaussianBlur(13, (0.1, 2.0))])
        self._jitter = ColorJitter(color_jitter, color_jitter, color_jitter)

    def choose(self, size: tuple[int, int], generator: torch.Generator | None) -> Sequence[Transform]:
        return (*self._one.choose(size, generator), self._jitter)

    def __repr__(self) -> str:
        return f"ThreeAugment(color_jitter={self.color_jitter})"
