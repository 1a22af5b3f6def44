"""Networks on coefficients behind a FrequencyGate, and what becomes of one when its gates are fixed.

    gated     BatchNorm of each band (no weights) -> FrequencyGate -> a network without its own BatchNorm of coefficients
    sliced    SelectBands -> the network of these bands, whose first layers keep the channels that were open

A closed gate sets the normalised band to zero, and padding is zero too, so what a first convolution computes of it is
zero everywhere, and dropping its weights changes nothing. The BatchNorm of the sliced network has the statistics of the
gated one. In evaluation both give the same logits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dctnet.bands import CHANNELS, Bands
from dctnet.coefficients import Coefficients
from dctnet.models.jpeg_resnet import JPEGResNet, jpeg_resnet, layers
from dctnet.nn.frequency_gate import FrequencyGate
from dctnet.nn.planes import check_planes
from dctnet.transforms.frequency import SelectBands


class Hardened(NamedTuple):
    """A transform that stands last, after it the network that reads what it makes."""

    select: SelectBands
    network: nn.Module


class Gated(nn.Module, ABC):
    """Logits ``(n, num_classes)`` from Coefficients in blocks of 8 through learned gates; ``penalty()`` belongs to the loss.

    ``network`` reads planes that come normalised. ``weight``, what an open gate costs, and ``temperature`` as in
    ``FrequencyGate``. ValueError for other block sizes.
    """

    def __init__(self, network: nn.Module, weight: float, temperature: float):
        super().__init__()
        self.network = network
        self.block_size = network.block_size
        if self.block_size != (8, 8):
            raise ValueError(f"gates choose bands of blocks of 8; got block_size={self.block_size}")
        self.norms = nn.ModuleList(nn.BatchNorm2d(CHANNELS, affine=False) for _ in range(3))
        self.gate = FrequencyGate(weight, temperature)

    def forward(self, coefficients: Coefficients) -> Tensor:
        check_planes(coefficients, self.block_size)
        dtype = self.gate.scores.weight.dtype
        planes = (norm(plane.to(dtype)) for norm, plane in zip(self.norms, coefficients, strict=True))
        return self.network(self.gate(Coefficients(*planes)))

    def penalty(self) -> Tensor:
        """What the open gates cost; see ``FrequencyGate.penalty``."""
        return self.gate.penalty()

    def harden(self, threshold: float = 0.5, count: int | None = None) -> Hardened:
        """Fix the gates (``FrequencyGate.harden``) and slice the network to the bands that stay open."""
        bands = self.gate.harden(threshold, count)
        return Hardened(SelectBands(bands), self.sliced(bands))

    @abstractmethod
    def sliced(self, bands: Bands) -> nn.Module:
        """The network on ``SelectBands(bands)`` that computes what this one does with only these gates open."""


class GatedResNet(Gated):
    """The ``variant`` of ``jpeg_resnet`` behind a gate; ``depth`` and ``width`` as there.

    ValueError for ``deconvolution_rfa``: it normalises luma once more after the gate, which makes a constant of a closed band.

    >>> model = GatedResNet("upsampling", num_classes=10, depth=18, width=0.125).eval()
    >>> select, network = model.harden(count=24)
    >>> select, network.body[0].num_features
    (SelectBands(22+1+1 bands), 24)
    """

    def __init__(
        self,
        variant: str,
        num_classes: int = 1000,
        depth: int = 50,
        block_size: int | tuple[int, int] = 8,
        width: float = 1.0,
        zero_init_residual: bool = False,
        gate_weight: float = 0.01,
        temperature: float = 1.0,
    ):
        row = layers(variant, depth)
        if row.merge == "deconvolve":
            raise ValueError(f"{variant} normalises luma once more after the gate; use upsampling_rfa instead")
        network = JPEGResNet(row, num_classes, depth, block_size, width, zero_init_residual, input_norm=False)
        super().__init__(network, gate_weight, temperature)
        self.options = {"num_classes": num_classes, "depth": depth, "width": width}
        self.variant = variant

    def sliced(self, bands: Bands) -> JPEGResNet:
        """The network on ``SelectBands(bands)`` that computes what this one does with only these gates open."""
        network = jpeg_resnet(self.variant, **self.options, bands=bands)
        weight = self.network.fc.weight
        network = network.to(weight.device, weight.dtype).train(self.training)
        upsampling = not any(
            True for _ in network.luma.parameters()
        )  # then the BatchNorm of coefficients is in the body
        streams = ("body",) if upsampling else ("luma", "chroma")
        found = _shifted(self.network.state_dict(), streams)
        state = kept_slices(
            found, network.state_dict(), lambda name, inputs: _kept(network, name.partition(".")[0], inputs)
        )
        statistics = {}
        for name in ("running_mean", "running_var"):
            y, cb, cr = (getattr(norm, name)[list(plane)] for norm, plane in zip(self.norms, bands, strict=True))
            statistics[name] = {"luma": y, "chroma": torch.cat([cb, cr]), "body": torch.cat([y, cb, cr])}
        for stream in streams:
            for name, values in statistics.items():
                state[f"{stream}.0.{name}"] = values[stream]
            state[f"{stream}.0.num_batches_tracked"] = self.norms[0].num_batches_tracked
        network.load_state_dict(state)
        return network


def kept_slices(
    source: Mapping[str, Tensor], target: Mapping[str, Tensor], kept: Callable[[str, int], list[int]]
) -> dict[str, Tensor]:
    """The state ``source`` in the shapes of ``target``: along the axis where they differ, the channels ``kept(name, count)``.

    A name that ``source`` lacks keeps the value of ``target``.
    """
    state = {}
    for name, value in target.items():
        state[name] = source.get(name, value)
        differing = [i for i, (a, b) in enumerate(zip(state[name].shape, value.shape, strict=True)) if a != b]
        for axis in differing:
            index = torch.tensor(kept(name, state[name].shape[axis]), device=state[name].device)
            state[name] = state[name].index_select(axis, index)
    return state


def _kept(network: JPEGResNet, stream: str, inputs: int) -> list[int]:
    """Which of the ``inputs`` channels that a layer of the whole network reads are left in one of selected bands."""
    luma, chroma = list(network.bands.y), [*network.bands.cb, *(CHANNELS + k for k in network.bands.cr)]
    if stream != "body":
        return luma if stream == "luma" else chroma
    # The body reads both streams side by side; one that has convolutions of its own brings all its channels.
    mixes_luma, mixes_chroma = (
        any(weight.ndim == 4 for weight in stream.parameters()) for stream in (network.luma, network.chroma)
    )
    start = inputs - 2 * CHANNELS if mixes_luma else CHANNELS
    left = range(start) if mixes_luma else luma
    right = range(start, inputs) if mixes_chroma else (start + k for k in chroma)
    return [*left, *right]


def _shifted(state: dict[str, Tensor], streams: tuple[str, ...]) -> dict[str, Tensor]:
    """The state of a network without input norms under the names of one that has them: the layers of streams move by one."""
    moved = {}
    for name, value in state.items():
        stream, _, rest = name.partition(".")
        if stream in streams:
            number, _, rest = rest.partition(".")
            name = f"{stream}.{int(number) + 1}.{rest}"
        moved[name] = value
    return moved
