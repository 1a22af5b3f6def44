"""What a lossy channel is: pixels in, the same pixels less something out, and how far the two are apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from dctnet.arguments import finite
from dctnet.kernels.tensors import is_watched
from dctnet.precision import full_precision


class Distortion(NamedTuple):
    """How far each picture is from another, in units of pixels of [0, 1]: tensors ``(n,)``.

    ``l2`` is the root of the sum of squares over all samples of a picture, ``linf`` the greatest difference of a sample.
    """

    l2: Tensor
    linf: Tensor


def distortion(before: Tensor, after: Tensor) -> Distortion:
    """The distances of pictures ``(n, c, h, w)`` from others of the same shape; ValueError for other shapes.

    >>> distortion(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5))
    Distortion(l2=tensor([3.4641]), linf=tensor([0.5000]))
    """
    if before.shape != after.shape or before.ndim != 4:
        raise ValueError(
            f"needs two batches (n, c, h, w) of one shape; got {tuple(before.shape)}, {tuple(after.shape)}"
        )
    difference = (after.to(torch.promote_types(after.dtype, torch.float32)) - before).flatten(1)
    if not difference.shape[1]:
        return Distortion(difference.sum(1), difference.sum(1))
    return Distortion(difference.norm(dim=1), difference.abs().amax(1))


class Channel(nn.Module, ABC):
    """A lossy channel of one ``strength``; a subclass says in ``change`` what it loses.

    ``forward`` takes pixels ``(n, c, h, w)`` of [0, 1], floats of any kind, and gives pixels of the same shape, dtype and range:
    what ``change`` makes of them, in float32 at least and whatever autocast says, clamped to [0, 1]. At the strength ``lossless``
    it gives its input. A picture's result does not depend on the others of its batch. ValueError for integers, for other
    than four axes, and for values that are not finite or out of [0, 1] by more than rounding, 8 units of the dtype's eps.

    ``differentiable`` says that useful gradients pass: those of what is computed, or of what each subclass says in place of
    a rounding. Where it is False they are zero. ``random`` says that two calls give two results.
    """

    differentiable: ClassVar[bool]
    random: ClassVar[bool] = False
    lossless: ClassVar[float]

    distortion = staticmethod(distortion)

    def __init__(self, strength: float):
        super().__init__()
        self.strength = float(strength)

    def forward(self, pixels: Tensor) -> Tensor:
        check_pixels(pixels)
        if self.strength == self.lossless or not pixels.numel():
            return pixels
        with full_precision(pixels.device):
            changed = self.change(pixels.to(torch.promote_types(pixels.dtype, torch.float32)))
        return changed.clamp(0, 1).to(pixels.dtype)

    @abstractmethod
    def change(self, pixels: Tensor) -> Tensor:
        """What passes the channel of pixels in float32 or float64, not yet clamped."""

    def extra_repr(self) -> str:
        return f"strength={self.strength:g}"


class Identity(Channel):
    """The channel that loses nothing. Its only strength is 0."""

    differentiable = True
    lossless = 0.0

    def __init__(self, strength: float = 0.0):
        super().__init__(finite("the strength of no channel", strength, 0, 0))

    def change(self, pixels: Tensor) -> Tensor:
        return pixels


def check_pixels(pixels: Tensor) -> None:
    """ValueError for what no channel takes; see ``Channel``."""
    if not isinstance(pixels, Tensor) or not pixels.is_floating_point() or pixels.ndim != 4:
        what = f"{pixels.dtype} {tuple(pixels.shape)}" if isinstance(pixels, Tensor) else f"a {type(pixels).__name__}"
        raise ValueError(
            f"a channel takes pixels (n, c, h, w) as floats in [0, 1]; got {what}. "
            "Divide integers by 255, and give a single picture an axis: picture[None]."
        )
    if not pixels.numel() or is_watched():
        return
    low, high = (value.item() for value in pixels.detach().aminmax())
    rounding = 8 * torch.finfo(pixels.dtype).eps
    if not (low >= -rounding and high <= 1 + rounding):  # no comparison with NaN holds
        raise ValueError(
            f"pixels are finite and in [0, 1]; got values from {low:g} to {high:g}. A channel stands before the network's "
            "normalisation, and an attack clamps its pictures."
        )


def whole_strength(name: str, value: float, low: int, high: int) -> int:
    """A strength that counts something: a whole number of [low, high], as an int or as a float.

    >>> whole_strength("the quality", 75.0, 1, 100)
    75
    """
    number = finite(name, value, low, high)
    if not number.is_integer():
        raise ValueError(f"{name} is a whole number in [{low}, {high}]; got {value!r}")
    return int(number)
