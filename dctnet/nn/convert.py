"""Networks with their layers exchanged, weights kept: a dict from the kind of layer to the function that makes it.

convert(torchvision.models.resnet18(weights="DEFAULT"), "harmonic", level=3)        # a harmonic ResNet-18, 6 of 9 bands
convert(model, "dct_pool")                                                          # its pools truncate the DCT
convert(model, compression=0.5)                                                     # convolutions that drop half the spectrum
convert(model, "bandlimited", compression={"layer1": 0.5, "conv1": 0.2})            # those of layer1, and conv1
convert(model, "plain")                                                             # convolutions as they were
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import nn

from dctnet.arguments import choice
from dctnet.nn.band_limited import BandLimitedConv1d, BandLimitedConv2d
from dctnet.nn.harmonic import HarmonicConv2d
from dctnet.nn.layer_names import layers_named
from dctnet.nn.pooling import DCTPool2d
from dctnet.nn.spectral_conv import SpectralConv2d
from dctnet.nn.winograd import MOST_TAPS
from dctnet.nn.winograd_layers import WinogradConv1d, WinogradConv2d

# Gives the layer to put in the place of another, or None to leave it.
Converter = Callable[..., "nn.Module | None"]


def convert(model: nn.Module, kind: str = "bandlimited", **options: Any) -> nn.Module:
    """The model with each layer that ``kind`` applies to exchanged, in place; it is returned, too (a layer by itself is not
    changed, its replacement is returned).

    - ``"harmonic"`` (``level=None, use_bn=False``): 3x3 Conv2d to HarmonicConv2d, weights projected on the bands v + u <
      level.
    - ``"bandlimited"`` (``compression=0.0, energy=None, mask="square", inverse=False``): Conv1d and Conv2d to
      BandLimitedConv1d and BandLimitedConv2d with the very same parameters; state dicts stay what they were.
    - ``"spectral"``: Conv2d to SpectralConv2d, whose filters are learned as Fourier coefficients.
    - ``"winograd"`` (``tile=4``): Conv1d and Conv2d of stride 1, dilation 1 and at most 7 taps a side, but not 1x1, to
      WinogradConv1d and WinogradConv2d; the parameters stay the same objects.
    - ``"plain"``: band-limited, spectral and Winograd's layers to the layers of torch with their filters, HarmonicConv2d to
      the Conv2d that it is in evaluation.
    - ``"dct_pool"`` (``block=8``): MaxPool2d and AvgPool2d to the DCTPool2d of their stride. Only pools that write
      ceil(side / s) or floor(side / s) samples, so that no shape changes, and whose stride divides the block. A network with
      weights has to be trained further. Strided convolutions stay: at stride 1 with a pool behind, they would cost s**2 times
      as much.

    An option may be a mapping from names of layers, or of parts of the network (``model.named_modules()``), to values: then these
    layers alone are exchanged.

    Band-limited and Winograd's layers count as the layers of torch with their parameters, so a converted network can be converted
    anew. A layer that is used in several places stays one layer; subclasses of torch's layers are left alone; hooks on what is
    exchanged are dropped, and attributes that others put on it. ValueError for a kind, an option or a name that does not exist,
    where no layer of the model is meant, and for layers whose weight is not a parameter of theirs (pruned, under weight norm).

    >>> model = convert(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)), "harmonic", level=2)
    >>> model[0].mixing.shape
    torch.Size([8, 3, 3])
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"convert takes a torch.nn.Module; got {type(model).__name__}")
    converter = CONVERTERS[choice("kind", kind, CONVERTERS)]
    known = list(inspect.signature(converter).parameters)[1:]
    if unknown := [option for option in options if option not in known]:
        raise ValueError(f"{kind} has no option {', '.join(unknown)}; its options are {', '.join(known) or 'none'}")
    new = {
        layer: other
        for layer, its in _meant(model, converter, options)
        if (other := converter(layer, **its)) is not None
    }
    if not new:
        raise ValueError(f"{type(model).__name__} has no layer that {kind!r} would change: {converter.__doc__}")
    for layer, other in new.items():  # what was frozen stays frozen
        if all(not parameter.requires_grad for parameter in layer.parameters()):
            other.requires_grad_(False)
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child in new:
                setattr(parent, name, new[child])
    return new.get(model, model)


def _meant(
    model: nn.Module, converter: Converter, options: dict[str, Any]
) -> Iterator[tuple[nn.Module, dict[str, Any]]]:
    """Each layer to be looked at and its options: all layers, or those that mappings name, of several mappings those of all."""
    by_name = {option: value for option, value in options.items() if isinstance(value, Mapping)}
    same = {option: value for option, value in options.items() if option not in by_name}
    if not by_name:
        yield from ((layer, same) for layer in model.modules())
        return

    def fits(layer: nn.Module) -> bool:
        return converter(layer, **same) is not None

    kind = f"one that is changed: {converter.__doc__}"
    named = {option: layers_named(model, values, fits, kind) for option, values in by_name.items()}
    for name, (layer, _) in next(iter(named.values())).items():
        if all(name in layers for layers in named.values()):
            yield layer, same | {option: layers[name][1] for option, layers in named.items()}


def _as_torchs(layer: nn.Module) -> nn.Module:
    """A layer with torch's own parameters, which is computed in another way, as that of torch."""
    return layer.to_conv() if type(layer) in SAME_PARAMETERS else layer


def harmonic(layer: nn.Module, level: int | None = None, use_bn: bool = False) -> nn.Module | None:
    """It takes each 3x3 Conv2d."""
    layer = _as_torchs(layer)
    if type(layer) is not nn.Conv2d or layer.kernel_size != (3, 3):
        return None
    return HarmonicConv2d.from_conv(layer, level, use_bn)


def bandlimited(
    layer: nn.Module,
    compression: float = 0.0,
    energy: float | None = None,
    mask: str = "square",
    inverse: bool = False,
) -> nn.Module | None:
    """It takes each Conv1d and Conv2d."""
    layer = _as_torchs(layer)
    kind = {nn.Conv1d: BandLimitedConv1d, nn.Conv2d: BandLimitedConv2d}.get(type(layer))
    limits = {"compression": compression, "energy": energy, "mask": mask, "inverse": inverse}
    return None if kind is None else kind.from_conv(layer, **limits)


def spectral(layer: nn.Module) -> nn.Module | None:
    """It takes each Conv2d."""
    layer = _as_torchs(layer)
    return SpectralConv2d.from_conv(layer) if type(layer) is nn.Conv2d else None


def plain(layer: nn.Module) -> nn.Module | None:
    """It takes each HarmonicConv2d, and each band-limited, spectral or Winograd's convolution."""
    return layer.to_conv() if isinstance(layer, NOT_PLAIN) else None


def winograd(layer: nn.Module, tile: int = 4) -> nn.Module | None:
    """It takes each Conv1d and Conv2d of stride 1 and dilation 1 with at most 7 taps a side, more than one in all."""
    layer = _as_torchs(layer)
    kind = {nn.Conv1d: WinogradConv1d, nn.Conv2d: WinogradConv2d}.get(type(layer))
    if kind is None or {*layer.stride, *layer.dilation} != {1} or not 1 < max(layer.kernel_size) <= MOST_TAPS:
        return None
    return kind.from_conv(layer, tile)


def dct_pool(layer: nn.Module, block: int | None = 8) -> nn.Module | None:
    """It takes each MaxPool2d or AvgPool2d of stride 2 or more that writes ceil(side / s) or floor(side / s) samples."""
    if type(layer) not in (nn.MaxPool2d, nn.AvgPool2d):
        return None
    kernel, stride, padding, dilation = (
        value if isinstance(value, tuple) else (value, value)
        for value in (layer.kernel_size, layer.stride, layer.padding, getattr(layer, "dilation", 1))
    )
    rounding = set()
    for k, s, p, d in zip(kernel, stride, padding, dilation, strict=True):
        # The pool writes floor((side + covered - 1) / s) + 1 samples, or ceil(...) + 1.
        covered = 2 * p - d * (k - 1)
        up, down = (1 - s, 2 - 2 * s) if layer.ceil_mode else (0, 1 - s)
        rounding.add({down: False, up: True}.get(covered))
    if len(rounding) != 1 or None in rounding or stride == (1, 1) or (block and any(block % s for s in stride)):
        return None
    pool = DCTPool2d(stride, block, ceil_mode=rounding.pop())
    return pool.train(layer.training)


SAME_PARAMETERS = (BandLimitedConv1d, BandLimitedConv2d, WinogradConv1d, WinogradConv2d)
NOT_PLAIN = (HarmonicConv2d, SpectralConv2d, *SAME_PARAMETERS)
CONVERTERS: dict[str, Converter] = {
    "harmonic": harmonic,
    "bandlimited": bandlimited,
    "spectral": spectral,
    "winograd": winograd,
    "plain": plain,
    "dct_pool": dct_pool,
}
