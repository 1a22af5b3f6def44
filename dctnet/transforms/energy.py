"""The few coefficients that hold most of a picture's energy."""

from __future__ import annotations

import torch
from torch import Tensor

from dctnet.arguments import finite
from dctnet.coefficients import Coefficients, check_all_bands
from dctnet.transforms.per_sample import check_range, per_sample
from dctnet.transforms.photometric import Photometric


def keep_energy(coefficients: Coefficients, percent: float | Tensor) -> Coefficients:
    """The fewest AC coefficients that hold ``percent`` % of the AC energy of each picture; the others become zero.

    Energy is the sum of squares over Y, Cb and Cr together, for each picture of a batch ``(..., C, H/b, W/b)`` by itself. DC,
    channel 0, is always kept and not counted: its distance from 0 is one of brightness, and would drown the rest. The
    transform is orthonormal, so the squared error, summed over the samples of the three planes, is at most
    (100 - percent) % of the AC energy. Of equal coefficients the earlier of Y, Cb, Cr is kept. In blocks of 1 there is no
    AC, and nothing changes. ``percent`` is in (0, 100], one number or one for each picture; ValueError otherwise. Gradients
    pass where coefficients are kept.

    >>> plane = torch.tensor([900.0, 4.0, -3.0, 0.0]).view(4, 1, 1)
    >>> keep_energy(Coefficients(plane, 0 * plane, 0 * plane), 60).y.flatten().tolist()         # 16 of 25
    [900.0, 4.0, 0.0, 0.0]
    """
    check_all_bands(coefficients)
    check_range("percent, the share of energy,", percent, 0, 100, open_low=True)
    # Blocks last, as they lie in memory.
    planes = [plane.movedim(-3, -1) for plane in coefficients]
    squares = [plane[..., 1:].detach().to(torch.float64).square().flatten(-3) for plane in planes]
    ranked, order = torch.cat(squares, -1).sort(dim=-1, descending=True, stable=True)
    held = ranked.cumsum(-1)
    needed = held[..., -1:] * (per_sample(percent, held[..., None, None])[..., 0, 0] / 100)
    enough = torch.cat([torch.zeros_like(needed), held[..., :-1]], -1)[..., : held.shape[-1]] >= needed
    dropped = torch.empty_like(enough).scatter_(-1, order, enough)
    made = []
    for plane, part in zip(planes, dropped.split([part.shape[-1] for part in squares], -1), strict=True):
        x = plane if plane.is_floating_point() else plane.to(torch.float32)
        ac = x[..., 1:].masked_fill(part.view(*x.shape[:-1], x.shape[-1] - 1), 0)
        made.append(torch.cat([x[..., :1], ac], -1).movedim(-1, -3))
    return Coefficients(*made)


class KeepEnergy(Photometric):
    """The fewest AC coefficients that hold ``percent`` % of the AC energy of each picture; see ``keep_energy``."""

    def __init__(self, percent: float):
        self.percent = finite("percent, the share of energy,", percent, 0, 100, open_low=True)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        return (self.percent,)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        return keep_energy(coefficients, parameters[..., 0])

    def __repr__(self) -> str:
        return f"KeepEnergy({self.percent:g})"
