"""Noise on pixels of [0, 1].

Noise is drawn in float32, picture after picture from one generator, on the generator's device: a batch gets what its
pictures would get one by one, and on another device the same. Without a generator it is torch's own of the pixels' device.
Clamping to [0, 1] comes after the noise, so that of dark and of bright pixels is a part of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dctnet.arguments import finite
from dctnet.robustness.channel import Channel
from dctnet.transforms.noise import fill_laplace, fill_normal, fill_uniform


class Noise(Channel):
    """Noise added to the pixels, of deviation ``strength`` in units of pixels of [0, 1]: 0.03 is 7.7 gray levels.

    ``generator`` is what the noise is drawn from; from one state it draws the same. Gradients pass where nothing is clamped.
    """

    differentiable = True
    random = True
    lossless = 0.0

    def __init__(self, strength: float = 0.03, generator: torch.Generator | None = None):
        super().__init__(finite("the deviation of the noise", strength, 0))
        if generator is not None and not isinstance(generator, torch.Generator):
            raise ValueError(f"generator is a torch.Generator or None; got {generator!r}")
        self.generator = generator

    def change(self, pixels: Tensor) -> Tensor:
        return pixels + self.strength * self.noise(pixels)

    @abstractmethod
    def noise(self, pixels: Tensor) -> Tensor:
        """Noise like the pixels, of deviation 1 where it is drawn."""


class GaussianChannel(Noise):
    """Normal noise of deviation ``strength``, independent from sample to sample.

    >>> channel = GaussianChannel(0.1, torch.Generator().manual_seed(0))
    >>> round(channel(torch.full((1, 3, 64, 64), 0.5)).std().item(), 2)
    0.1
    """

    def noise(self, pixels: Tensor) -> Tensor:
        return drawn(pixels.shape, pixels, self.generator, fill_normal)


class UniformChannel(Noise):
    """Uniform noise from -sqrt(3) ``strength`` to sqrt(3) ``strength``, whose deviation is ``strength``."""

    def noise(self, pixels: Tensor) -> Tensor:
        return drawn(pixels.shape, pixels, self.generator, fill_uniform)


class LaplaceChannel(Noise):
    """Laplace noise of scale ``strength`` / sqrt(2), whose deviation is ``strength``."""

    def noise(self, pixels: Tensor) -> Tensor:
        return drawn(pixels.shape, pixels, self.generator, fill_laplace)


def drawn(
    shape: Sequence[int],
    like: Tensor,
    generator: torch.Generator | None,
    fill: Callable[[Tensor, torch.Generator | None], None],
) -> Tensor:
    """A field ``shape``, ``(n, ...)``, with the dtype and device of ``like``: ``fill(part, generator)`` for each of the n."""
    field = torch.empty(shape, device=like.device if generator is None else generator.device)
    for picture in field:
        fill(picture, generator)
    return field.to(like)
