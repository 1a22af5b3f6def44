"""Layers of a network by their names, for values that differ from layer to layer."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping

from torch import nn


def layers_named(
    model: nn.Module, values: Mapping[str, object], fits: Callable[[nn.Module], bool], kind: str
) -> dict[str, tuple[nn.Module, object]]:
    """By its name in ``model.named_modules()`` each layer that ``fits`` of those that ``values`` name, with its value.

    A name is that of a layer, or of a part of the network and so of all layers in it that fit; of several the longest counts.
    ValueError for a name of nothing that fits; ``kind`` says in it what would.

    >>> layers_named(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()), {"conv": 1}, lambda m: isinstance(m, nn.Conv2d), "a Conv2d")
    Traceback (most recent call last):
    ValueError: no layer 'conv' is a Conv2d; close to it are: '0'
    """
    there = {name: layer for name, layer in model.named_modules(remove_duplicate=False) if fits(layer)}
    found = {}
    for name in sorted(values, key=lambda name: len(str(name))):
        inside = [other for other in there if name in ("", other) or other.startswith(f"{name}.")]
        if not inside:
            close = difflib.get_close_matches(str(name), there, 5, 0.3) or list(there)[:5]
            raise ValueError(f"no layer {name!r} is {kind}; close to it are: {', '.join(map(repr, close)) or 'none'}")
        found |= {other: (there[other], values[name]) for other in inside}
    return found
