"""torch's convolution layers at stride 1, computed on tiles in Winograd's form."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import whole
from dctnet.nn.layer_arguments import with_parameters_of
from dctnet.nn.winograd import MOST_TILE, check_fits, winograd_convolution


class _OnTiles:
    """What a layer of torch needs to be computed on tiles."""

    def __init__(self, *arguments: Any, tile: int = 4, **options: Any):
        super().__init__(*arguments, **options)
        self.tile = whole("tile", tile, 1, MOST_TILE)
        check_fits(self.kernel_size, self.stride, self.dilation)

    def forward(self, x: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._reversed_padding_repeated_twice, mode=self.padding_mode), 0
        return winograd_convolution(x, self.weight, self.bias, 1, padding, 1, self.groups, self.tile)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, tile={self.tile}"

    @classmethod
    def from_conv(cls, convolution: nn.Conv1d | nn.Conv2d, tile: int = 4) -> _OnTiles:
        """The layer that does the same; the parameters are those of the convolution, not copies."""
        return with_parameters_of(convolution, cls, tile=tile)

    def to_conv(self) -> nn.Conv1d | nn.Conv2d:
        """torch's layer that does the same, with the same parameters."""
        return with_parameters_of(self, nn.Conv1d if isinstance(self, nn.Conv1d) else nn.Conv2d)


class WinogradConv1d(_OnTiles, nn.Conv1d):
    """In place of ``torch.nn.Conv1d`` at stride 1 and dilation 1: its arguments and state dict, and ``tile``.

    F(tile, kernel_size) for 1 to 7 taps; a larger ``tile`` (1 to 8) takes fewer multiplications and rounds worse
    (``winograd_error``). ValueError where Winograd's form does not apply.

    >>> import torch
    >>> layer = WinogradConv1d(3, 8, 5, padding=2, tile=2)
    >>> layer(torch.zeros(1, 3, 10)).shape
    torch.Size([1, 8, 10])
    """


class WinogradConv2d(_OnTiles, nn.Conv2d):
    """In place of ``torch.nn.Conv2d`` at stride 1 and dilation 1: its arguments and state dict, and ``tile``.

    F(tile, taps) on each axis, for 1 to 7 taps; a larger ``tile`` (1 to 8) takes fewer multiplications and rounds worse
    (``winograd_error``). ValueError where Winograd's form does not apply.

    >>> import torch
    >>> layer = WinogradConv2d(3, 8, 3, padding="same", padding_mode="reflect")
    >>> layer(torch.zeros(1, 3, 9, 7)).shape, sorted(layer.state_dict())
    (torch.Size([1, 8, 9, 7]), ['bias', 'weight'])
    """
