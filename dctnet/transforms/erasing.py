"""Boxes of a picture erased at random."""

from __future__ import annotations

import math
from collections.abc import Hashable

import torch
from torch import Tensor

from dctnet.arguments import finite, interval, whole
from dctnet.coefficients import Coefficients, Grid, infer_grid
from dctnet.transforms.masking import Color, erase
from dctnet.transforms.photometric import Photometric
from dctnet.transforms.separable import fill_of

NOISE = 0.225 * 255  # gray levels: one unit of pixels that are normalised by the deviation of ImageNet
_OF_PLANES = (  # deviations of Y, Cb and Cr of independent R, G and B of deviation one (JFIF)
    math.hypot(0.299, 0.587, 0.114),
    math.hypot(0.299, 0.587, 0.886) / 1.772,
    math.hypot(0.701, 0.587, 0.114) / 1.402,
)


class _Erasing(Photometric):
    """Erases boxes: ``draw`` gives top, left, height and width, a height of 0 for a picture that is left as it is."""

    value: Color

    @property
    def kind(self) -> Hashable:
        """Equal for transforms whose ``apply`` is the same."""
        return type(self), self.value

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        parameters = parameters.cpu()
        if not (parameters[..., 2] > 0).any():
            return coefficients.map(lambda plane: plane if plane.is_floating_point() else plane.to(torch.float32))
        grid = infer_grid(coefficients, size)
        value = self.value if self.value != "random" else _noise(coefficients, parameters, grid)
        return erase(coefficients, *parameters[..., :4].unbind(-1), value, grid=grid)


class RandomErasing(_Erasing):
    """With probability ``p``, a box of ``scale`` times the picture's area and of aspect ``ratio`` (height over width) erased.

    The arguments and the draws are those of ``torchvision.transforms.v2.RandomErasing``: from one state of a generator both
    erase the same box. ``value`` is a color in gray levels from 0 to 255, one or (red, green, blue); 0 is black, as
    torchvision's is in pixels that are not normalised. "random" erases with normal noise about mid-gray, of as many gray
    levels on R, G and B as torchvision's has in pixels normalised by the deviation of ImageNet (``NOISE``); Y, Cb and Cr are
    drawn apart from each other, and keyed by the noise that torchvision would take.

    ValueError for numbers out of range.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: Color | str = 0.0,
    ):
        self.p = finite("p", p, 0, 1)
        self.scale, self.ratio = interval("scale", scale, 0, 1), interval("ratio", ratio, 0, open_low=True)
        if isinstance(value, str) and value != "random":
            raise ValueError(f'value is a color in gray levels or "random"; got {value!r}')
        if not isinstance(value, str):
            fill_of(value)  # which refuses what is no color
            value = value.tolist() if hasattr(value, "tolist") else value
        self.value = tuple(value) if isinstance(value, list) else value
        self._threshold = torch.tensor(self.p).item()  # float32, as what is drawn
        self._log_ratio = torch.tensor(self.ratio).log().tolist()

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        """top, left, height, width, and the seed of the noise."""
        nothing = (0.0,) * 5
        if torch.rand(1, generator=generator).item() >= self._threshold:
            return nothing
        rows, columns = size
        number = torch.empty(1)
        for _ in range(10):
            area = rows * columns * number.uniform_(*self.scale, generator=generator).item()
            aspect = number.uniform_(*self._log_ratio, generator=generator).exp().item()
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if not (height < rows and width < columns):
                continue
            seed = 0
            if self.value == "random" and height * width:
                noise = torch.empty(3, height, width).normal_(generator=generator)
                seed = noise.view(torch.int32).flatten()[0].item() & 0x7FFFFFFF
            top = torch.randint(0, rows - height + 1, (1,), generator=generator).item()
            left = torch.randint(0, columns - width + 1, (1,), generator=generator).item()
            return float(top), float(left), float(height), float(width), float(seed)
        return nothing

    def __repr__(self) -> str:
        return f"RandomErasing(p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value!r})"


class Cutout(_Erasing):
    """With probability ``p``, mid-gray in a square of ``size`` pixels about a pixel anywhere; what leaves the picture is cut off.

    Source: DeVries and Taylor, "Improved regularization of convolutional neural networks with Cutout", 2017.
    """

    value = 128.0

    def __init__(self, size: int, p: float = 1.0):
        self.size, self.p = whole("size", size, 1), finite("p", p, 0, 1)
        self._threshold = torch.tensor(self.p).item()  # float32, as what is drawn

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        """top, left, height and width."""
        if torch.rand(1, generator=generator).item() >= self._threshold:
            return (0.0,) * 4
        box = []
        for length in size:
            start = torch.randint(0, length, (1,), generator=generator).item() - self.size // 2
            box.append((max(start, 0), min(start + self.size, length)))
        (top, bottom), (left, right) = box
        return float(top), float(left), float(bottom - top), float(right - left)

    def __repr__(self) -> str:
        return f"Cutout(size={self.size}, p={self.p})"


def _noise(coefficients: Coefficients, parameters: Tensor, grid: Grid) -> Coefficients:
    """Noise for the pictures that have a box, on the host; the block DCT is orthonormal, so it is drawn as coefficients."""
    rows = parameters.reshape(-1, parameters.shape[-1])
    planes = [torch.zeros(len(rows), *plane.shape[-2:], plane.shape[-3]) for plane in coefficients]
    for number in rows[:, 2].nonzero().flatten().tolist():
        generator = torch.Generator().manual_seed(int(rows[number, 4]))
        for plane, deviation, (vertical, horizontal) in zip(planes, _OF_PLANES, grid.spacing, strict=True):
            # A sample that covers several pixels has their mean.
            plane[number].normal_(0, NOISE * deviation / math.sqrt(vertical * horizontal), generator=generator)
    return Coefficients(
        *(
            noise.view(*parameters.shape[:-1], *noise.shape[1:]).movedim(-1, -3)  # one draw is for all
            for noise in planes
        )
    )
