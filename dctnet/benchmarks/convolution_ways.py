"""The ways to convolve that ``dctnet bench convolutions`` measures, and what each is measured on."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from dctnet.nn.convolution import MOST_PATCHES, convolution
from dctnet.nn.fft_convolution import fft_convolution
from dctnet.nn.winograd import MOST_TAPS, winograd_convolution

COMPRESSIONS = (0.0, 0.5, 0.75)
TILES = (2, 4, 6)
PEER = "fft-conv-pytorch"
Convolve = Callable[[Tensor, Tensor], Tensor]  # maps (n, c, h, w), filters (o, c, k, k): the "same" convolution


def ways(kernel: int) -> dict[str, Convolve | str]:
    """By name, torch's direct convolution first: the function, or why there is none for filters of ``kernel`` taps a side."""
    half = kernel // 2
    made: dict[str, Convolve | str] = {
        name: lambda x, w, name=name: convolution(x, w, padding=half, algorithm=name) for name in ("direct", "im2col")
    }
    for tile in TILES:
        made[f"winograd, tiles of {tile}"] = (
            (lambda x, w, tile=tile: winograd_convolution(x, w, padding=half, tile=tile))
            if kernel <= MOST_TAPS
            else f"for at most {MOST_TAPS} taps"
        )
    for share in COMPRESSIONS:
        made[f"fft, compression {share:g}"] = lambda x, w, share=share: fft_convolution(
            x, w, padding=half, compression=share
        )
    made[PEER] = peer(half)
    return made


def peer(padding: int) -> Convolve | str:
    """The function of the package ``fft-conv-pytorch``, or that it is not installed."""
    try:
        package = importlib.import_module("fft_conv_pytorch")
    except ModuleNotFoundError:
        return f"not installed: pip install {PEER}"

    def convolve(x: Tensor, w: Tensor) -> Tensor:
        with warnings.catch_warnings():  # it indexes with a list
            warnings.filterwarnings("ignore", "Using a non-tuple sequence", UserWarning)
            return package.fft_conv(x, w, padding=padding)

    return convolve


def too_large(name: str, x: Tensor, kernel: int) -> str | None:
    """Why this way is not tried on these maps, if it is not."""
    patches = x.numel() * kernel**2
    return f"{patches:.1e} numbers as patches" if name == "im2col" and patches > MOST_PATCHES else None


def operands(size: int, kernel: int, channels: int, batch: int, device: str) -> tuple[Tensor, Tensor]:
    """Maps ``(batch, channels, size, size)`` and filters ``(channels, channels, kernel, kernel)``, always the same numbers.

    Maps are noise whose amplitude falls as 1 / frequency, as that of photographs, with deviation 1; filters are normal numbers.
    Both ask for gradients.
    """
    generator = torch.Generator().manual_seed(0)
    vertical, horizontal = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)
    amplitude = 1 / (vertical**2 + horizontal**2).sqrt().clamp(min=1 / size)
    noise = torch.randn(batch, channels, size, size, generator=generator)
    maps = torch.fft.irfft2(torch.fft.rfft2(noise) * amplitude, s=(size, size))
    filters = torch.randn(channels, channels, kernel, kernel, generator=generator) / (channels**0.5 * kernel)
    return (maps / maps.std()).to(device).requires_grad_(), filters.to(device).requires_grad_()


@torch.no_grad()
def true_convolution(x: Tensor, w: Tensor) -> Tensor:
    """The "same" convolution in float64, by the convolution theorem, as the direct form takes minutes for large filters.

    >>> x, w = operands(6, 5, 2, 1, "cpu")
    >>> direct = torch.nn.functional.conv2d(x.double(), w.double(), padding=2)
    >>> bool((true_convolution(x, w) - direct).abs().max() < 1e-12)
    True
    """
    half, sides = w.shape[-1] // 2, [side + w.shape[-1] - 1 for side in x.shape[-2:]]
    maps = torch.fft.rfft2(torch.nn.functional.pad(x.double(), (half,) * 4), s=sides)
    filters = torch.fft.rfft2(w.double(), s=sides)
    y = torch.fft.irfft2(torch.einsum("nihw,oihw->nohw", maps, filters.conj()), s=sides)
    return y[..., : x.shape[-2], : x.shape[-1]]
