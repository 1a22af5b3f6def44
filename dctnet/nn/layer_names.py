"""Layers of a network by their names, for values that differ from layer to layer."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from torch import nn


def layers_named(
    model: nn.Module, names: Iterable[str], fits: Callable[[nn.Module], bool], kind: str
) -> dict[str, nn.Module]:
    """The layers of those names, as ``model.named_modules()`` has them. ValueError for a name that no layer has which ``fits``;
    ``kind`` says in it what would.

    >>> layers_named(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()), ["conv"], lambda m: isinstance(m, nn.Conv2d), "a Conv2d")
    Traceback (most recent call last):
    ValueError: no layer 'conv' is a Conv2d; close to it are: '0'
    """
    there = {name: layer for name, layer in model.named_modules(remove_duplicate=False) if fits(layer)}
    for name in names:
        if name not in there:
            close = difflib.get_close_matches(str(name), there, 5, 0.3) or list(there)[:5]
            raise ValueError(f"no layer {name!r} is {kind}; close to it are: {', '.join(map(repr, close)) or 'none'}")
    return {name: there[name] for name in names}
