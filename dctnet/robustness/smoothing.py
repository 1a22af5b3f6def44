"""Spatial smoothing by the median."""

from __future__ import annotations

import torch
from torch import Tensor

from dctnet.robustness.channel import Channel, whole_strength

GREATEST_WINDOW = 31


class MedianSmoothing(Channel):
    """Each sample becomes the median of the window of ``strength`` x ``strength`` samples around it, of its own colour.

    The window is odd, from 1, at which nothing changes, to 31. Outside of the picture the samples are mirrored about the outer
    edge of the last one, as often as it takes: SciPy's ``median_filter`` with its default ``mode="reflect"``. The gradient
    goes to the sample that is the median. Needs memory for window^2 times the samples of one picture.

    >>> spike = torch.zeros(1, 1, 5, 5)
    >>> spike[..., 2, 2] = 1.0
    >>> MedianSmoothing(3)(spike).sum()
    tensor(0.)
    """

    differentiable = True
    lossless = 1.0

    def __init__(self, strength: float = 3):
        window = whole_strength("the window of the median", strength, 1, GREATEST_WINDOW)
        if window % 2 == 0:
            raise ValueError(f"the window of the median is odd, so that it has a middle; got {strength!r}")
        super().__init__(window)

    def change(self, pixels: Tensor) -> Tensor:
        window = int(self.strength)
        pixels = mirrored_edges(pixels, window // 2)
        windows = pixels.unfold(-2, window, 1).unfold(-2, window, 1)
        return torch.stack([picture.flatten(-2).median(-1).values for picture in windows])

    def extra_repr(self) -> str:
        return f"window={self.strength:g}"


def mirrored_edges(pixels: Tensor, margin: int) -> Tensor:
    """Pictures ``(n, c, h, w)`` with ``margin`` mirrored samples on each side."""
    for dim in (-2, -1):
        pixels = pixels.index_select(dim, _mirrored(pixels.shape[dim], margin).to(pixels.device))
    return pixels


def _mirrored(count: int, margin: int) -> Tensor:
    """The places of ``count`` samples with ``margin`` mirrored ones on either side.

    >>> _mirrored(3, 2).tolist()
    [1, 0, 0, 1, 2, 2, 1]
    """
    place = torch.arange(-margin, count + margin) % (2 * count)
    return torch.minimum(place, 2 * count - 1 - place)
