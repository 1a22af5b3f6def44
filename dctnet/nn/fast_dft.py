"""The low frequencies of maps on a circle by the fast Fourier transform: what ``partial_dft`` does on long sides.

The columns' transform is cut to its low frequencies before the rows' transform is taken, and back in the other order, so what
is dropped is transformed on one side at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Side(NamedTuple):
    """``count`` samples at start + step * j on a circle of ``n``, the frequencies up to ``reach``; ``weighted`` by s_f or 1."""

    n: int
    reach: int
    count: int
    start: int = 0
    step: float = 1
    weighted: bool = False

    @property
    def frequencies(self) -> int:
        """How many there are, of either sign."""
        return min(self.n, 2 * self.reach + 1)


def spectra(maps: Tensor, rows: Side, columns: Side) -> Tensor:
    """As ``partial_dft.spectra``, for whole steps."""
    z = torch.fft.rfft(_spread(maps, columns, -1), n=columns.n, norm=_norm(columns, "forward"))[
        ..., : columns.reach + 1
    ]
    if rows.n > 1:
        z = torch.fft.fft(_spread(z, rows, -2), n=rows.n, dim=-2, norm=_norm(rows, "forward"))
    if columns.weighted:  # all but the columns that are their own conjugates stand for two
        _own_conjugates(z, columns).mul_(0.5)
    n, c, height, u = z.shape
    out = maps.new_empty(2, rows.frequencies, u, n, c)
    parts = torch.view_as_real(z).permute(4, 2, 3, 0, 1)
    low = min(rows.reach + 1, rows.frequencies)
    for ours, theirs in ((out[:, :low], parts[:, :low]), (out[:, low:], parts[:, height - rows.frequencies + low :])):
        torch.mul(theirs, 2 if columns.weighted else 1, out=ours)
    return out.view(2, -1, n, c)


def samples(spectrum: Tensor, rows: Side, columns: Side) -> Tensor:
    """As ``partial_dft.samples``, for whole steps."""
    n, c = spectrum.shape[2:]
    u, low = columns.reach + 1, min(rows.reach + 1, rows.frequencies)
    z = torch.empty(n, c, rows.n, u, dtype=spectrum.dtype.to_complex(), device=spectrum.device)
    parts, box = torch.view_as_real(z), spectrum.reshape(2, rows.frequencies, u, n, c).permute(3, 4, 1, 2, 0)
    high = rows.n - rows.frequencies + low
    z[:, :, low:high] = 0
    for ours, theirs in ((parts[:, :, :low], box[:, :, :low]), (parts[:, :, high:], box[:, :, low:])):
        torch.mul(theirs, 1 if columns.weighted else 0.5, out=ours)
    if not columns.weighted:
        _own_conjugates(z, columns).mul_(2)
    if rows.n > 1:
        z = _picked(torch.fft.ifft(z, dim=-2, norm=_norm(rows, "backward")), rows, -2)
    return _picked(torch.fft.irfft(z, n=columns.n, norm=_norm(columns, "backward")), columns, -1).contiguous()


def _norm(side: Side, scaled: str) -> str:
    """Of torch's names the one that divides by n in the direction ``scaled``, or the one that does not divide there."""
    other = {"forward": "backward", "backward": "forward"}[scaled]
    return scaled if side.weighted else other


def _own_conjugates(z: Tensor, columns: Side) -> Tensor:
    """The columns u = 0 and n / 2, as far as they are there; a view."""
    return z[..., :: columns.n // 2] if columns.n % 2 == 0 and columns.n > 1 else z[..., :1]


def _spread(z: Tensor, side: Side, axis: int) -> Tensor:
    """Samples at their positions on the circle; where they begin it, as they are: torch's transforms add the zeros."""
    if (side.start, side.step) == (0, 1) and side.count <= side.n:
        return z
    shape = list(z.shape)
    shape[axis] = side.n
    circle = z.new_zeros(shape)
    for samples, positions in _rounds(side, axis):
        circle[positions] += z[samples]
    return circle


def _picked(z: Tensor, side: Side, axis: int) -> Tensor:
    """Of the whole circle the samples at the positions."""
    parts = [z[positions] for _, positions in _rounds(side, axis)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, axis)


def _rounds(side: Side, axis: int) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Which samples lie on the circle before it begins anew, and where, as indices for the last axes of a tensor."""
    first, start, step, behind = 0, side.start % side.n, int(side.step), (slice(None),) * (-1 - axis)
    while first < side.count:
        last = min(side.count, first + -(-(side.n - start) // step))
        stop = start + (last - first) * step
        yield (..., slice(first, last), *behind), (..., slice(start, stop, step), *behind)
        first, start = last, stop % side.n
