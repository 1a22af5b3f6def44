"""How an attacker who knows of a channel differentiates it: by its own gradient, as if it were not there, or by a surrogate.

The values are those of the channel whichever way is chosen; only the gradient is another one. Every channel has

    gradient    that of what is computed, or of what the channel says in place of a rounding (``Channel.differentiable``)
    identity    that of the identity: BPDA in its plainest form

the first unless it is zero. It is the default where there is one. Beside them

    depth    smooth             of r + (x - r)^3 in levels, r the level and x what was rounded: large half-way between two levels
    jpeg     smooth             of the same cubic, of coefficients in units of their steps (its option ``rounding``)
    median   average            of the mean of the window: to all samples that the median was chosen from, in equal parts

FFT compression, dropped bands, singular values and noise have their true gradient, which needs no surrogate.

Source: Athalye, Carlini and Wagner, ICML 2018 (BPDA); Shin and Song, 2017 (the cubic).
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import choice
from dctnet.robustness.adaptive import bpda
from dctnet.robustness.channel import Channel
from dctnet.robustness.jpeg_channel import JPEGCompression
from dctnet.robustness.smoothing import MedianSmoothing, mirrored_edges
from dctnet.robustness.squeezing import DepthReduction
from dctnet.robustness.surrogates import smooth


class SmoothSteps(nn.Module):
    """The levels of a colour depth with the gradient 3 (x - r)^2 of the cubic at the top of the file."""

    def __init__(self, channel: DepthReduction):
        super().__init__()
        self.greatest = channel.greatest

    def forward(self, pixels: Tensor) -> Tensor:
        levels = self.greatest * pixels
        return smooth(levels, levels.round()) / self.greatest


class Average(nn.Module):
    """The mean of each window of a median, mirrored at the edges as the median's."""

    def __init__(self, channel: MedianSmoothing):
        super().__init__()
        self.window = int(channel.strength)

    def forward(self, pixels: Tensor) -> Tensor:
        return F.avg_pool2d(mirrored_edges(pixels, self.window // 2), self.window, stride=1)


def smooth_jpeg(channel: JPEGCompression) -> nn.Module:
    """The same JPEG files with the cubic's gradient of their rounding."""
    return JPEGCompression(channel.strength, channel.subsampling, "smooth").eval()


OWN: dict[type[Channel], dict[str, Callable[..., nn.Module]]] = {
    DepthReduction: {"smooth": lambda channel: bpda(channel, SmoothSteps(channel))},
    JPEGCompression: {"smooth": smooth_jpeg},
    MedianSmoothing: {"average": lambda channel: bpda(channel, Average(channel))},
}


def ways(kind: type[Channel]) -> list[str]:
    """The names of the ways to differentiate a class of channels, the default first.

    >>> ways(DepthReduction), ways(MedianSmoothing)
    (['identity', 'smooth'], ['gradient', 'identity', 'average'])
    """
    return [*(["gradient"] if kind.differentiable else []), "identity", *OWN.get(kind, ())]


def differentiated(channel: Channel, backward: str | None = None) -> nn.Module:
    """A module with the values of ``channel`` and the gradient of the way ``backward``, one of ``ways``; None for its default.

    ValueError for another name.

    >>> import torch
    >>> pixels = torch.tensor([0.1, 0.26, 0.9]).view(1, 1, 1, 3).requires_grad_()
    >>> differentiated(DepthReduction(1), "smooth")(pixels).sum().backward()           # two levels, 0 and 1
    >>> pixels.grad.flatten()
    tensor([0.0300, 0.2028, 0.0300])
    """
    known = ways(type(channel))
    chosen = known[0] if backward is None else choice("backward", backward, known)
    if chosen == "gradient":
        return channel
    return bpda(channel) if chosen == "identity" else OWN[type(channel)][chosen](channel)
