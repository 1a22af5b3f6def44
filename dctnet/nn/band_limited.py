"""Convolutions that keep a part of the spectrum: ``torch.nn.Conv1d`` and ``Conv2d`` with one number for cost and accuracy.

The function is ``fft_convolution``; these layers hold its parameters, which are those of torch's layers: a state dict fits
both. With a whole spectrum they are faster than torch's layers for large filters on a CPU, and slower for 3x3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import finite
from dctnet.nn.convolution_geometry import Sizes, geometry
from dctnet.nn.fft_convolution import Limits, check_limits, fft_convolution, plan
from dctnet.nn.layer_arguments import with_parameters_of
from dctnet.nn.layer_names import layers_named
from dctnet.nn.spectrum_masks import ALMOST_ONE


class _BandLimited:
    """What the layers of one and of two dimensions share: stands before the layer of torch in the order of resolution."""

    plain: type[nn.Conv1d | nn.Conv2d]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        compression: float = 0.0,
        energy: float | None = None,
        output_size: Sizes | None = None,
        mask: str = "square",
        inverse: bool = False,
    ):
        of_torch = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)
        super().__init__(*of_torch, device, dtype)
        self.limit(compression=compression, energy=energy, output_size=output_size, mask=mask, inverse=inverse)

    def forward(self, x: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._reversed_padding_repeated_twice, self.padding_mode), 0
        return fft_convolution(
            x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups, **self._limits._asdict()
        )

    @property
    def compression(self) -> float:
        """The share of the spectrum to drop. It may be set at any time, to infer at another rate than that of training."""
        return self._limits.compression

    @compression.setter
    def compression(self, compression: float) -> None:
        self.limit(compression=compression)

    @property
    def energy(self) -> float | None:
        """The share of the energy to keep, or None."""
        return self._limits.energy

    @property
    def output_size(self) -> tuple[int, ...] | None:
        """The size of the result by spectral pooling, or None."""
        return self._limits.output_size

    @property
    def is_limited(self) -> bool:
        """Whether frequencies are dropped; where none are, this is torch's convolution."""
        return self.compression > 0 or self.energy is not None or self.output_size is not None

    @property
    def mask(self) -> str:
        return self._limits.mask

    @property
    def inverse(self) -> bool:
        return self._limits.inverse

    def limit(
        self,
        *,
        compression: float = 0.0,
        energy: float | None = None,
        output_size: Sizes | None = None,
        mask: str | None = None,
        inverse: bool | None = None,
    ) -> None:
        """Limits the band anew, by one of the first three; ``mask`` and ``inverse`` stay what they are where they are None."""
        mask = self._limits.mask if mask is None else mask
        inverse = self._limits.inverse if inverse is None else inverse
        self._limits = check_limits(len(self.kernel_size), compression, energy, output_size, mask, inverse)

    def dropped(self, *size: int) -> float:
        """The share of the spectrum that is really dropped of maps of that size, (height, width) or (length,).

        The nearest to ``compression`` that the mask allows: on small maps it can be far from it. ValueError with ``energy``,
        which decides for each batch.

        >>> layer = BandLimitedConv2d(3, 8, 3, padding=1, compression=0.5)
        >>> [round(layer.dropped(side, side), 3) for side in (4, 8, 224)]
        [0.64, 0.395, 0.501]
        """
        if self.energy is not None:
            raise ValueError(f"what energy={self.energy:g} drops is known for given maps alone")
        arguments = (self.stride, self.padding, self.dilation, self.groups)
        if self.padding_mode != "zeros":
            pads = self._reversed_padding_repeated_twice[::-1]
            size = tuple(side + sum(pads[2 * axis : 2 * axis + 2]) for axis, side in enumerate(size))
            arguments = (self.stride, 0, self.dilation, self.groups)
        return plan(geometry((1, self.in_channels, *size), self.weight.shape, *arguments), self._limits).kept.dropped

    @classmethod
    def from_conv(cls, convolution: nn.Conv1d | nn.Conv2d, **limits: Any) -> _BandLimited:
        """The layer with the parameters, the very same, of a layer of torch."""
        return with_parameters_of(convolution, cls, **limits)

    def to_conv(self) -> nn.Conv1d | nn.Conv2d:
        """The layer of torch with the same parameters: the same function at compression 0."""
        return with_parameters_of(self, self.plain)

    def extra_repr(self) -> str:
        shown = {"compression": 0.0} if self._limits.energy is self._limits.output_size is None else {}
        shown |= {name: value for name, value in self._limits._asdict().items() if value != getattr(Limits(), name)}
        return ", ".join([super().extra_repr(), *(f"{name}={value}" for name, value in shown.items())])


class BandLimitedConv1d(_BandLimited, nn.Conv1d):
    """In place of ``torch.nn.Conv1d``; arguments and errors as of ``BandLimitedConv2d``.

    >>> layer = BandLimitedConv1d(3, 8, 9, padding="same", compression=0.5)
    >>> layer(torch.zeros(2, 3, 100)).shape
    torch.Size([2, 8, 100])
    """

    plain = nn.Conv1d


class BandLimitedConv2d(_BandLimited, nn.Conv2d):
    """In place of ``torch.nn.Conv2d``: its arguments and its state dict, and what limits the band, at most one of

    - ``compression`` of [0, 1): the share of the spectrum of map and filter that is dropped. At 0 it is torch's convolution;
    - ``energy`` of (0, 1]: as few low frequencies are kept as hold this share of the energy of the maps, for each batch;
    - ``output_size``: the size of the result, of whose spectrum only the low frequencies are taken: spectral pooling;

    with ``mask`` "square", "triangle", "radial" or "hyperbolic" (``spectrum_masks``), of which ``inverse`` keeps the high
    frequencies. The spectrum is that of the padded map (``fft_convolution``); padding modes other than zeros pad the map
    first.

    ``layer.compression = 0.8`` changes a trained layer; ``layer.dropped(height, width)`` says what is really dropped. Memory
    that is kept for the backward pass is in proportion to 1 - compression; so is time with the square mask, where the
    transforms are not most of it. Other masks lie in a box of which all is transformed: the box of a hyperbolic and of an
    inverse one is the whole spectrum, so they save memory and no time. An inverse mask drops the share nearest to
    ``compression`` too, so it is not always the exact complement of the low one of 1 - compression. float16 and bfloat16 are
    computed in float32. Differentiable any number of times. ValueError for limits out of range or two of them, RuntimeError or
    ValueError for what torch's layer refuses.

    >>> layer = BandLimitedConv2d(3, 8, 3, padding=1, compression=0.5)
    >>> layer(torch.zeros(2, 3, 31, 17)).shape
    torch.Size([2, 8, 31, 17])
    >>> layer.compression = 0.8
    >>> layer
    BandLimitedConv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), compression=0.8)
    """

    plain = nn.Conv2d


def set_compression(model: nn.Module, compression: float | Mapping[str, float]) -> nn.Module:
    """The model, whose band-limited layers drop that share of the spectrum from now on: to infer at another rate than that of
    training, or to make a schedule of it.

    A mapping has rates for layers by their names, or for all layers of a part of the network by its name; other layers stay as
    they are. A rate takes the place of a share of energy. ValueError for a rate out of [0, 1), for a name that no band-limited
    layer has, for a model without such layers, and for a layer with an ``output_size``, whose result would have another size.

    >>> set_compression(nn.Sequential(BandLimitedConv2d(3, 8, 3), nn.ReLU()), {"0": 0.25})[0].compression
    0.25
    """
    if isinstance(compression, Mapping):
        rates = dict(layers_named(model, compression, _is_band_limited, "a band-limited convolution").values())
    else:
        rates = {layer: compression for layer in model.modules() if _is_band_limited(layer)}
    if not rates:
        raise ValueError(
            f"{type(model).__name__} has no band-limited convolution, or none is named; convert(model, 'bandlimited') makes them"
        )
    for layer, rate in rates.items():  # all are looked at before one is set
        finite("compression", rate, 0, ALMOST_ONE)
        if layer.output_size is not None:
            raise ValueError(
                f"{layer} makes results of its output_size, not of a rate; layer.limit(compression=...) changes both"
            )
    for layer, rate in rates.items():
        layer.compression = rate
    return model


def _is_band_limited(layer: nn.Module) -> bool:
    return isinstance(layer, _BandLimited)
