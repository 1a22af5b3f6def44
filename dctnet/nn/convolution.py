"""One convolution, four ways to compute it; "auto" measures which is the quickest here, once for each case.

    algorithm   multiplications an output       applies to
    direct      k (torch's own)                 everything
    im2col      k, as one product of matrices   everything; in "auto" where the patches have 2^28 numbers or fewer
    winograd    (1 + (r - 1) / 4)^2             stride 1, dilation 1, at most 7 taps r an axis
    fft         O(log n)                        everything

Multiplications are for each input channel that an output reads; k is the number of taps, n that of samples of the map.
All give the same but for rounding, in which "winograd" is the coarsest (``winograd_error``).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dctnet.kernels.tensors import is_transformed
from dctnet.nn.convolution_geometry import Geometry, Sizes, geometry
from dctnet.nn.convolution_operands import check_operands, is_autocast
from dctnet.nn.fft_convolution import fft_convolution
from dctnet.nn.im2col import im2col_convolution
from dctnet.nn.winograd import MOST_TAPS, winograd_convolution

ROUNDS = 3
HOPELESS = 4  # an algorithm whose first run takes so many times the best is measured no further
MOST_PATCHES = 1 << 28
MOST_CHOICES = 1024


def convolution(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Tensor:
    """``torch.nn.functional.conv1d`` or ``conv2d``, by the algorithm "direct", "im2col", "winograd", "fft", or "auto".

    "auto" runs each that applies a few times, with the backward pass where gradients are asked for, and remembers the quickest
    for this ``Case``; ``auto_choices`` tells, ``forget_auto_choices`` forgets. The first call with a case is therefore slow, and
    which algorithm computes it, so its last digits, depend on the machine. While torch compiles, traces or transforms functions,
    and for numbers that are not real floating-point ones, it is "direct". ValueError for an algorithm that does not exist or does
    not apply.

    >>> x, w = torch.tensor([[[2.0, 1.0, 2.0, 3.0]]]), torch.tensor([[[1.0, 2.0]]])
    >>> [convolution(x, w, algorithm=name).round().flatten().tolist() for name in ("direct", "im2col", "winograd", "fft")]
    [[4.0, 5.0, 8.0], [4.0, 5.0, 8.0], [4.0, 5.0, 8.0], [4.0, 5.0, 8.0]]
    """
    if algorithm not in ALGORITHMS and algorithm != "auto":
        raise ValueError(f"algorithm is one of {', '.join(ALGORITHMS)}, auto; got {algorithm!r}")
    check_operands(x, w, bias)
    if x.dim() < w.dim():
        return convolution(x[None], w, bias, stride, padding, dilation, groups, algorithm)[0]
    sides = geometry(x.shape, w.shape, stride, padding, dilation, groups)
    given = (stride, padding, dilation, groups)
    if algorithm == "auto":
        alone = is_transformed() or not x.is_floating_point() or not x.numel() or not w.numel()
        algorithm = "direct" if alone else _quickest(x, w, bias, sides, given)
    return ALGORITHMS[algorithm](x, w, bias, *given)


def direct_convolution(x: Tensor, w: Tensor, bias: Tensor | None, *given: object) -> Tensor:
    """torch's own."""
    return (F.conv1d if w.dim() == 3 else F.conv2d)(x, w, bias, *given)


ALGORITHMS: dict[str, Callable[..., Tensor]] = {
    "direct": direct_convolution,
    "im2col": im2col_convolution,
    "winograd": winograd_convolution,
    "fft": fft_convolution,
}


class Case(NamedTuple):
    """What the time of a convolution depends on; ``gradients`` are those of the map and of the filters."""

    map: tuple[int, ...]
    strides: tuple[int, ...]
    filters: tuple[int, ...]
    sides: tuple[Geometry, ...]
    groups: int
    dtype: torch.dtype
    device: str
    gradients: tuple[bool, bool]
    autocast: bool
    threads: int


class Choice(NamedTuple):
    """The quickest algorithm, and the least seconds that each took."""

    algorithm: str
    seconds: dict[str, float]


_choices: OrderedDict[Case, Choice] = OrderedDict()


def auto_choices() -> dict[Case, Choice]:
    """What "auto" has measured so far, the newest last; of more than 1024 cases the oldest are forgotten."""
    return dict(_choices)


def forget_auto_choices() -> None:
    """Lets "auto" measure anew, such as after other work on the machine has ended."""
    _choices.clear()


def applicable(x: Tensor, w: Tensor, sides: Sequence[Geometry]) -> list[str]:
    """The algorithms that "auto" tries."""
    patches = x.shape[0] * x.shape[1]
    for side in sides:
        patches *= side.taps * side.outputs
    small = all(side.stride == side.dilation == 1 and side.taps <= MOST_TAPS for side in sides)
    fits = {"im2col": patches <= MOST_PATCHES, "winograd": small and any(side.taps > 1 for side in sides)}
    return [name for name in ALGORITHMS if fits.get(name, True)]


def _quickest(x: Tensor, w: Tensor, bias: Tensor | None, sides: tuple[Geometry, ...], given: tuple[Any, ...]) -> str:
    grad = torch.is_grad_enabled()
    case = Case(
        map=tuple(x.shape),
        strides=x.stride(),
        filters=tuple(w.shape),
        sides=sides,
        groups=given[-1],
        dtype=x.dtype,
        device=str(x.device),
        gradients=(grad and x.requires_grad, grad and w.requires_grad),
        autocast=is_autocast(x),
        threads=torch.get_num_threads(),
    )
    if case not in _choices:
        seconds = _measured(applicable(x, w, sides), x, w, bias, given, case.gradients)
        _choices[case] = Choice(min(seconds, key=seconds.get), seconds)
        while len(_choices) > MOST_CHOICES:
            _choices.popitem(last=False)
    return _choices[case].algorithm


def _measured(
    names: list[str], x: Tensor, w: Tensor, bias: Tensor | None, given: tuple[Any, ...], gradients: tuple[bool, bool]
) -> dict[str, float]:
    """The least seconds of each algorithm over alternating runs, behind one that does not count."""
    x, w = (t.detach().requires_grad_(needed) for t, needed in zip((x, w), gradients, strict=True))
    bias = None if bias is None else bias.detach()
    wanted = [t for t in (x, w) if t.requires_grad]

    def run(name: str) -> float:
        start = time.perf_counter()
        y = ALGORITHMS[name](x, w, bias, *given)
        if wanted:
            torch.autograd.grad(y, wanted, torch.ones_like(y))
        if x.is_cuda:
            torch.cuda.synchronize(x.device)
        return time.perf_counter() - start

    seconds: dict[str, float] = {}
    if x.is_cuda:
        torch.cuda.synchronize(x.device)  # what was begun before is not to be counted
    for number in range(1 + ROUNDS):
        for name in names if number == 0 else list(seconds):
            if number == 0:
                run(name)  # what is loaded or built at the first use
            taken = run(name)
            seconds[name] = min(taken, seconds.get(name, taken))
        best = min(seconds.values())
        seconds = {name: taken for name, taken in seconds.items() if taken <= HOPELESS * best}
    return seconds
