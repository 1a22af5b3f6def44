"""What a convolution layer was made with, so that another kind of layer can be made with the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def arguments_of(layer: nn.Conv1d | nn.Conv2d) -> tuple[Any, ...]:
    """The arguments of a layer of torch, up to the padding mode.

    >>> arguments_of(nn.Conv2d(3, 8, 5, padding="same"))
    (3, 8, (5, 5), (1, 1), 'same', (1, 1), 1, True, 'zeros')
    """
    return (
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        layer.bias is not None,
        layer.padding_mode,
    )


def with_parameters_of(source: nn.Conv1d | nn.Conv2d, kind: type[nn.Module], **options: Any) -> nn.Module:
    """A layer of this kind with the arguments of ``source`` and ``options``, in its mode; its parameters are the very same.

    ValueError where ``source`` is another kind of layer, or computes its weight from other parameters.
    """
    like = nn.Conv1d if issubclass(kind, nn.Conv1d) else nn.Conv2d
    if not isinstance(source, like):
        raise ValueError(f"{kind.__name__} takes the parameters of a {like.__name__}; got {type(source).__name__}")
    if "weight" not in source._parameters:
        raise ValueError(
            f"{source} computes its weight from others (it is pruned, or under weight_norm or a parametrization), which another "
            "layer would not do: make it a parameter first (torch.nn.utils.prune.remove, remove_weight_norm, "
            "parametrize.remove_parametrizations)"
        )
    with torch.device("meta"):
        layer = kind(*arguments_of(source), **options)
    layer.weight, layer.bias = source.weight, source.bias
    return layer.train(source.training)
