"""Numbers that belong to a picture: one for all pictures of a batch, or one for each of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

import torch
from torch import Tensor

from dctnet.arguments import GREATEST, finite, whole
from dctnet.coefficients import Coefficients, check_all_bands
from dctnet.precision import full_precision

Number = float | Tensor


def per_sample(value: Number, plane: Tensor) -> Tensor:
    """``value``, or those ``(...)`` of the pictures of a plane ``(..., C, H/b, W/b)``, ready to be multiplied with the plane.

    In the dtype and on the device of the plane; gradients pass. ValueError where there are neither one nor one a picture.

    >>> per_sample(torch.tensor([1.0, 2.0]), torch.zeros(2, 64, 3, 4)).shape
    torch.Size([2, 1, 1, 1])
    """
    value = value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
    value = value.to(plane.device, plane.dtype)
    if value.ndim and value.shape != plane.shape[:-3]:
        raise ValueError(
            f"a parameter is one number, or one for each of the {tuple(plane.shape[:-3])} pictures of the batch; "
            f"got shape {tuple(value.shape)}"
        )
    return value[..., None, None, None]


def check_range(name: str, value: Number, low: float, high: float = math.inf, *, open_low: bool = False) -> None:
    """``arguments.finite`` for each of the numbers of a tensor.

    Those on an accelerator are taken as they are: to look at them would be to wait for it.
    """
    if not isinstance(value, Tensor):
        finite(name, value, low, high, open_low=open_low)
    elif value.device.type == "cpu":
        values = value.detach().to(torch.float64)
        bad = ~((values > low if open_low else values >= max(low, -GREATEST)) & (values <= min(high, GREATEST)))
        if bool(bad.any()):
            finite(name, values[bad][0].item(), low, high, open_low=open_low)


def check_whole(name: str, value: Number, low: float, high: float) -> None:
    """``arguments.whole`` for each of the numbers of a tensor, of whatever dtype it is; see ``check_range``."""
    if not isinstance(value, Tensor):
        whole(name, value, low, high)
        return
    check_range(name, value, low, high)
    if value.device.type == "cpu" and len(broken := value[value != value.round()]):
        whole(name, broken[0].item(), low, high)


P = ParamSpec("P")  # of a function behind the planes


def computed_wide(
    function: Callable[Concatenate[Coefficients, P], Coefficients],
) -> Callable[Concatenate[Coefficients, P], Coefficients]:
    """``function`` of planes, computed in float32 (float64 of float64 planes) and rounded once to the dtype of each plane.

    Autocast is turned off. Integer planes become float32. ValueError for ``SelectedBands``: the functions work on whole blocks.
    """

    @wraps(function)
    def wide(coefficients: Coefficients, *args: P.args, **kwargs: P.kwargs) -> Coefficients:
        check_all_bands(coefficients)
        dtypes = [plane.dtype if plane.is_floating_point() else torch.float32 for plane in coefficients]
        work = torch.float64 if torch.float64 in dtypes else torch.float32
        with full_precision(coefficients.y.device):
            result = function(coefficients.to(work), *args, **kwargs)
        return Coefficients(*(plane.to(dtype) for plane, dtype in zip(result, dtypes, strict=True)))

    return wide
