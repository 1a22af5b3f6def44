"""The lossy channels by name.

name          strength                                                    lossless
none          0                                                           0
fft           share of the spectrum dropped                               0
jpeg          quality, 1 to 100                                           infinity
dct_bands     bands of a block dropped, 0 to 63                           0
depth         bits a colour, 1 to 16                                      infinity
median        window, odd                                                 1
svd           share of the singular values dropped                        0
gaussian      deviation of the noise in units of pixels of [0, 1]         0
uniform       the same                                                    0
laplace       the same                                                    0
dct_noise     the same, on DCT coefficients                               0
fft_noise     the same, on Fourier coefficients                           0
"""

from __future__ import annotations

import inspect
from typing import Any

from dctnet.arguments import choice
from dctnet.robustness.channel import Channel, Identity
from dctnet.robustness.dct_channels import BandDropping, DCTNoise
from dctnet.robustness.fourier_channels import FFTCompression, FFTNoise
from dctnet.robustness.jpeg_channel import JPEGCompression
from dctnet.robustness.noise_channels import GaussianChannel, LaplaceChannel, UniformChannel
from dctnet.robustness.smoothing import MedianSmoothing
from dctnet.robustness.squeezing import DepthReduction
from dctnet.robustness.svd_channel import SVDCompression

CHANNELS: dict[str, type[Channel]] = {
    "none": Identity,
    "fft": FFTCompression,
    "jpeg": JPEGCompression,
    "dct_bands": BandDropping,
    "depth": DepthReduction,
    "median": MedianSmoothing,
    "svd": SVDCompression,
    "gaussian": GaussianChannel,
    "uniform": UniformChannel,
    "laplace": LaplaceChannel,
    "dct_noise": DCTNoise,
    "fft_noise": FFTNoise,
}


def create_channel(name: str, strength: float | None = None, **options: Any) -> Channel:
    """The channel called ``name`` at ``strength`` (None: its own default), with the options of its class in ``CHANNELS``.

    ValueError for a name or an option that does not exist, and for what the class refuses.

    >>> create_channel("jpeg", 50, subsampling="4:4:4")
    JPEGCompression(quality=50, subsampling='4:4:4', rounding='straight_through')
    """
    kind = CHANNELS[choice("the channel", name, CHANNELS)]
    known = [option for option in inspect.signature(kind).parameters if option != "strength"]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ValueError(f"{name} has no option {', '.join(unknown)}; its options are {', '.join(known) or 'none'}")
    return kind(**options) if strength is None else kind(strength, **options)
