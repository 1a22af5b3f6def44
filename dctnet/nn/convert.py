"""Networks with their layers exchanged, weights kept: a dict from the kind of layer to the function that makes it.

convert(torchvision.models.resnet18(weights="DEFAULT"), "harmonic", level=3)        # a harmonic ResNet-18, 6 of 9 bands
convert(model, "dct_pool")                                                          # its pools truncate the DCT
convert(model, "plain")                                                             # convolutions as they were
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from torch import nn

from dctnet.arguments import choice
from dctnet.nn.harmonic import HarmonicConv2d
from dctnet.nn.pooling import DCTPool2d

# Gives the layer to put in the place of another, or None to leave it.
Converter = Callable[..., "nn.Module | None"]


def convert(model: nn.Module, kind: str = "harmonic", **options) -> nn.Module:
    """The model with each layer that ``kind`` applies to exchanged, in place; it is returned, too (a layer by itself is not
    changed, its replacement is returned).

    - ``"harmonic"`` (``level=None, use_bn=False``): 3x3 Conv2d to HarmonicConv2d, weights projected on the bands v + u < level.
    - ``"plain"``: HarmonicConv2d to the Conv2d that it is in evaluation.
    - ``"dct_pool"`` (``block=8``): MaxPool2d and AvgPool2d to the DCTPool2d of their stride. Only pools that write
      ceil(side / s) or floor(side / s) samples, so that no shape changes, and whose stride divides the block. A network with
      weights has to be trained further. Strided convolutions stay: at stride 1 with a pool behind, they would cost s**2 times
      as much.

    A layer that is used in several places stays one layer; subclasses of torch's layers are left alone, and hooks on what is
    exchanged are dropped. ValueError for a kind or an option that does not exist, and where no layer of the model is meant.

    >>> model = convert(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)), "harmonic", level=2)
    >>> model[0].mixing.shape
    torch.Size([8, 3, 3])
    """
    converter = CONVERTERS[choice("kind", kind, CONVERTERS)]
    known = list(inspect.signature(converter).parameters)[1:]
    if unknown := [option for option in options if option not in known]:
        raise ValueError(f"{kind} has no option {', '.join(unknown)}; its options are {', '.join(known) or 'none'}")
    new = {layer: other for layer in model.modules() if (other := converter(layer, **options)) is not None}
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


def harmonic(layer: nn.Module, level: int | None = None, use_bn: bool = False) -> nn.Module | None:
    """It takes each 3x3 Conv2d."""
    if type(layer) is not nn.Conv2d or layer.kernel_size != (3, 3):
        return None
    return HarmonicConv2d.from_conv(layer, level, use_bn)


def plain(layer: nn.Module) -> nn.Module | None:
    """It takes each HarmonicConv2d."""
    return layer.to_conv() if isinstance(layer, HarmonicConv2d) else None


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


CONVERTERS: dict[str, Converter] = {"harmonic": harmonic, "plain": plain, "dct_pool": dct_pool}
