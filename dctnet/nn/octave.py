"""Octave convolution: of the channels a part lives on a grid of half the size.

    high = f(H -> H)(x_h) + up(f(L -> H)(x_l))          low = f(L -> L)(x_l) + f(H -> L)(pool(x_h))

f are the four parts of one k x k convolution, pool the 2x2 average, up the nearest neighbour. Source: Y. Chen, H. Fan, B. Xu,
Z. Yan, Y. Kalantidis, M. Rohrbach, S. Yan and J. Feng, "Drop an octave: reducing spatial redundancy in convolutional neural
networks with octave convolution", ICCV 2019. Here to compare with: its halves are cut by averaging, not by frequency.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import finite, whole

Octaves = tuple[Tensor, Tensor]


class OctaveConv2d(nn.Module):
    """Maps to maps, of which the shares ``alpha_in`` and ``alpha_out`` of the channels are on a grid of half the size.

    The first octave layer of a network has ``alpha_in=0`` and takes a tensor, the last ``alpha_out=0`` and gives one; between
    them go pairs ``(high, low)``, ``int(alpha * channels)`` channels low. With both 0 it is the Conv2d. It has the parameters of
    a Conv2d, whatever the shares; of its multiply-adds, with one share a for both and even sides, there remain

        1 - 3/4 a (2 - a)

    so 0.67 at a = 1/4 and 0.44 at a = 1/2. ``stride`` 2 takes the average of 2x2 first, as in the source, so that it
    loses no pixel. At odd sides the low grid has ceil(side / 2) rows, and ``up`` is cut to the high grid.
    ValueError for shares outside of [0, 1], other strides, and inputs that do not fit the share.

    >>> import torch
    >>> first, last = OctaveConv2d(3, 16, 3, 0, 0.25, padding=1), OctaveConv2d(16, 8, 3, 0.25, 0, padding=1)
    >>> high, low = first(torch.zeros(1, 3, 8, 8))
    >>> high.shape, low.shape, last((high, low)).shape
    (torch.Size([1, 12, 8, 8]), torch.Size([1, 4, 4, 4]), torch.Size([1, 8, 8, 8]))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        alpha_in: float = 0.5,
        alpha_out: float = 0.5,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
    ):
        super().__init__()
        inputs, outputs = whole("in_channels", in_channels, 1), whole("out_channels", out_channels, 1)
        self.stride = whole("stride", stride, 1, 2)
        low_in, low_out = (
            int(finite(name, alpha, 0, 1) * channels)
            for name, alpha, channels in (("alpha_in", alpha_in, inputs), ("alpha_out", alpha_out, outputs))
        )
        if low_in or low_out:
            _check_padding(kernel_size, padding, dilation)
        self.inputs = {"high": inputs - low_in, "low": low_in}
        self.outputs = {"high": outputs - low_out, "low": low_out}
        # The first part that writes an output has its bias.
        parts, biased = {}, set()
        for source, c in self.inputs.items():
            for target, o in self.outputs.items():
                if c and o:
                    own = bias and target not in biased
                    biased.add(target)
                    parts[f"{source}_to_{target}"] = nn.Conv2d(
                        c, o, kernel_size, padding=padding, dilation=dilation, bias=own
                    )
        self.parts = nn.ModuleDict(parts)

    def forward(self, maps: Tensor | Octaves) -> Tensor | Octaves:
        high, low = self._checked(maps)
        if self.stride == 2:
            high, low = (None if x is None else _halved(x) for x in (high, low))
        new = {"high": self._sum("high", high, low), "low": self._sum("low", high, low)}
        if new["low"] is None:
            return new["high"]
        return new["low"] if new["high"] is None else (new["high"], new["low"])

    def _sum(self, target: str, high: Tensor | None, low: Tensor | None) -> Tensor | None:
        """What the parts that write this output add up to."""
        own, other = (high, low) if target == "high" else (low, high)
        same, across = f"{target}_to_{target}", f"{'low' if target == 'high' else 'high'}_to_{target}"
        total = self.parts[same](own) if same in self.parts else None
        if across in self.parts:
            if target == "low":
                part = self.parts[across](_halved(other))
            else:
                part = F.interpolate(self.parts[across](other), scale_factor=2, mode="nearest")
                part = part if total is None else part[..., : total.shape[-2], : total.shape[-1]]
            total = part if total is None else total + part
        return total

    def _checked(self, maps: Tensor | Octaves) -> tuple[Tensor | None, Tensor | None]:
        pair = isinstance(maps, (tuple, list))
        needed = [count for count in self.inputs.values() if count]
        got = [x.shape[1] for x in maps] if pair else [maps.shape[1]]
        if got != needed:
            raise ValueError(
                f"this layer reads {' high and '.join(map(str, needed))} {'low' if len(needed) == 2 else ''} channels; "
                f"got {' and '.join(map(str, got))}. alpha_in is the alpha_out of the layer before, 0 for a plain tensor."
            )
        if pair:
            high, low = maps
            if tuple(low.shape[-2:]) != tuple(-(-side // 2) for side in high.shape[-2:]):
                raise ValueError(
                    f"the low maps have half the sides of the high ones, rounded up; got {tuple(high.shape[-2:])} and "
                    f"{tuple(low.shape[-2:])}"
                )
            return high, low
        return (maps, None) if self.inputs["high"] else (None, maps)

    def extra_repr(self) -> str:
        return f"inputs={self.inputs}, outputs={self.outputs}, stride={self.stride}"


def _halved(x: Tensor) -> Tensor:
    """The mean of 2x2 samples; of the samples that there are at an odd edge."""
    return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


def _check_padding(
    kernel_size: int | tuple[int, int], padding: int | tuple[int, int], dilation: int | tuple[int, int]
) -> None:
    """ValueError for a padding that changes the size of a grid: the two would not fit each other afterwards."""
    kernels, paddings, dilations = (v if isinstance(v, tuple) else (v, v) for v in (kernel_size, padding, dilation))
    if any(2 * p != d * (k - 1) for k, p, d in zip(kernels, paddings, dilations, strict=True)):
        raise ValueError(
            f"two grids fit each other where padding is dilation * (kernel_size - 1) / 2; got kernel_size={kernel_size}, "
            f"padding={padding}, dilation={dilation}"
        )
