"""The fully convolutional network for time series: three convolutions and a mean over time.

    conv 8, 128 channels - conv 5, 256 - conv 3, 128        each with BatchNorm and ReLU; the length is kept
    mean over time - linear

A convolution of k pads (k-1)//2 zeros before and k//2 after. It has no bias, which the BatchNorm behind it would take away again.

Source: Z. Wang, W. Yan and T. Oates, "Time series classification from scratch with deep neural networks: a strong baseline",
IJCNN 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from dctnet.arguments import whole
from dctnet.models.stages import scaled
from dctnet.nn.band_limited import BandLimitedConv1d

LAYERS = ((128, 8), (256, 5), (128, 3))  # channels and size of each convolution


class FCN(nn.Module):
    """Logits ``(n, num_classes)`` from series ``(n, channels, length)`` of any length.

    ``convolution`` makes the layers, with the arguments of ``torch.nn.Conv1d``. ValueError for tensors of another form.
    """

    reads = "series"

    def __init__(
        self, num_classes: int, channels: int, width: float, convolution: Callable[..., nn.Module] = nn.Conv1d
    ):
        super().__init__()
        self.channels = before = whole("channels", channels, 1)
        layers = []
        for outputs, kernel in ((scaled(outputs, width), kernel) for outputs, kernel in LAYERS):
            layers += [
                nn.ConstantPad1d(((kernel - 1) // 2, kernel // 2), 0.0),
                convolution(before, outputs, kernel, bias=False),
                nn.BatchNorm1d(outputs),
                nn.ReLU(inplace=True),
            ]
            nn.init.kaiming_normal_(layers[-3].weight, mode="fan_out", nonlinearity="relu")
            before = outputs
        self.body = nn.Sequential(*layers)
        self.fc = nn.Linear(before, num_classes)

    def forward(self, series: Tensor) -> Tensor:
        if not isinstance(series, Tensor) or series.ndim != 3 or series.shape[1] != self.channels:
            got = tuple(series.shape) if isinstance(series, Tensor) else type(series).__name__
            raise ValueError(f"the network reads series, a tensor (n, {self.channels}, length); got {got}")
        return self.fc(self.body(series.to(self.fc.weight.dtype)).mean(dim=2))


def fcn(num_classes: int = 1000, channels: int = 1, width: float = 1.0) -> FCN:
    """The network on series of ``channels``, ``width`` times as wide (to multiples of 8).

    >>> from dctnet.models.cost import parameters
    >>> parameters(fcn(2))
    264450
    """
    return FCN(num_classes, channels, width)


def bandlimited_fcn(num_classes: int = 1000, channels: int = 1, width: float = 1.0, compression: float = 0.0) -> FCN:
    """The same with ``BandLimitedConv1d``: ``compression`` is the share of the spectrum that each convolution drops.

    The parameters are those of ``fcn``, under the same names. ValueError for a compression outside of [0, 1).

    >>> bandlimited_fcn(2, compression=0.5).body[1]
    BandLimitedConv1d(1, 128, kernel_size=(8,), stride=(1,), bias=False, compression=0.5)
    """
    return FCN(num_classes, channels, width, partial(BandLimitedConv1d, compression=compression))
