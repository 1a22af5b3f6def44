"""Attacks whose perturbation is confined to some frequencies, by the orthogonal projection on them in each step.

Two kinds of sets: bands of the 8x8 block DCT, for Y, Cb and Cr at full resolution, and rings of the FFT of the whole picture. The
block DCT of RGB values d is orthonormal, but the way from RGB to Y, Cb, Cr is not; so with C the matrix of JFIF and A the
planes that may change at a frequency, the projection mixes R, G, B at that frequency by

    Q = B (B' B)^-1 B',    B the columns A of C^-1

which is orthogonal in RGB and leaves zero what is not in A. A plane of chroma at half the resolution, as a network on 4:2:0 reads
it, has other blocks: there the sets hold for the blocks of the pixels.

Pixels stay in [0, 1], and this breaks what is exact: a picture with black or white in it cannot change freely. With
``clipping="clip"`` the network is attacked behind the clipping, and what is clipped leaks into other frequencies (``outside``
says how much); with ``"shrink"`` the whole perturbation of a picture is made smaller until nothing is clipped, so it stays in its
set exactly, and one value of 0 or 1 that would have to leave [0, 1] keeps the picture as it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dctnet.arguments import choice, interval
from dctnet.bands import CHANNELS, BandSet, bands_of
from dctnet.dct import block_dct, block_idct
from dctnet.jpeg.pixels import YCC_FROM_RGB
from dctnet.robustness.projected_gradient import Projection, projected_gradient


def band_projection(bands: BandSet) -> Projection:
    """P for pictures ``(n, 3, H, W)`` in RGB, whole blocks of 8: their part in the ``bands`` of Y, Cb and Cr.

    ``bands`` is what ``dctnet.bands.bands_of`` takes, with an empty list for a plane that is not to change.

    >>> project = band_projection([[0], [0], [0]])                                     # means of blocks
    >>> project(torch.eye(8).expand(1, 3, 8, 8))[0, :, 0, 0]
    tensor([0.1250, 0.1250, 0.1250])
    """
    kept = chosen_bands(bands)
    from_ycc = torch.linalg.inv(YCC_FROM_RGB)
    mixing = torch.zeros(CHANNELS, 3, 3, dtype=torch.float64)
    for k in range(CHANNELS):
        if planes := [number for number, plane in enumerate(kept) if k in plane]:
            columns = from_ycc[:, planes]
            mixing[k] = columns @ torch.linalg.pinv(columns)

    def project(perturbation: Tensor) -> Tensor:
        if perturbation.ndim != 4 or perturbation.shape[1] != 3:
            raise ValueError(f"bands are those of RGB pictures (n, 3, H, W); got {tuple(perturbation.shape)}")
        coefficients = block_dct(perturbation, 8)
        return block_idct(torch.einsum("kpc,nckhw->npkhw", mixing.to(coefficients), coefficients))

    return project


def chosen_bands(bands: BandSet) -> tuple[tuple[int, ...], ...]:
    """The channels of Y, Cb and Cr; unlike for a network, a plane may have none."""
    if isinstance(bands, Sequence) and not isinstance(bands, str) and len(bands) == 3 and any(map(len, bands)):
        some = bands_of([plane if len(plane) else [0] for plane in bands])
        return tuple(kept if len(plane) else () for kept, plane in zip(some, bands, strict=True))
    return tuple(bands_of(bands))


def ring_projection(low: float, high: float) -> Projection:
    """P for pictures ``(n, c, H, W)``: the part at frequencies of ``low <= sqrt(f_v^2 + f_h^2) < high`` cycles a pixel.

    0 is the mean; the highest frequency along an axis is 0.5, in the corners of the spectrum 0.71.

    >>> stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(1, 1, 8, 8)                # 0.5 cycles a pixel
    >>> ring_projection(0.4, 0.6)(stripes).equal(stripes), float(ring_projection(0.0, 0.4)(stripes).abs().max())
    (True, 0.0)
    """
    low, high = interval("radii", (low, high), 0)

    def project(perturbation: Tensor) -> Tensor:
        height, width = perturbation.shape[-2:]
        along = {"dtype": perturbation.dtype, "device": perturbation.device}
        radius = torch.hypot(torch.fft.fftfreq(height, **along)[:, None], torch.fft.rfftfreq(width, **along))
        ring = (radius >= low) & (radius < high)
        return torch.fft.irfft2(torch.fft.rfft2(perturbation) * ring, s=(height, width))

    return project


def outside(perturbation: Tensor, projection: Projection) -> Tensor:
    """The share (n,) of the energy of each perturbation that lies outside its set; 0 where there is no perturbation."""
    squares = perturbation.square().flatten(1).sum(1)
    leaked = (perturbation - projection(perturbation)).square().flatten(1).sum(1)
    return leaked / squares.clamp(min=torch.finfo(squares.dtype).tiny)


def room(pixels: Tensor, perturbation: Tensor) -> Tensor:
    """The largest factor (n,) of each perturbation with which the picture stays in [0, 1].

    >>> room(torch.tensor([[0.5, 0.9]]), torch.tensor([[-0.25, 0.2]]))
    tensor([0.5000])
    """
    bound = torch.where(perturbation > 0, 1 - pixels, pixels)
    small = torch.finfo(perturbation.dtype).tiny
    return (bound / perturbation.abs().clamp(min=small)).flatten(1).amin(1)


class Clipped(nn.Module):
    """``network`` of pixels cut to [0, 1]."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.training = network, network.training

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network(pixels.clamp(0, 1))


def projection_of(bands: BandSet, radii: Sequence[float] | None) -> Projection:
    """The projection on ``bands`` or on the ring ``radii``; ValueError unless one of them is given."""
    if (bands is None) == (radii is None):
        raise ValueError(
            f"name the frequencies: bands, such as 'square-4', or radii, such as (0, 0.25); got {bands!r}, {radii!r}"
        )
    return band_projection(bands) if radii is None else ring_projection(*interval("radii", radii, 0))


def descend_in_bands(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float,
    *,
    norm: str,
    bands: BandSet = None,
    radii: Sequence[float] | None = None,
    clipping: str = "clip",
    steps: int = 40,
    step: float | None = None,
    random_start: bool = True,
    restarts: int = 1,
) -> Tensor:
    """Projected gradient descent in ``bands`` or in the ring ``radii``; with ``clipping="clip"`` not yet cut to [0, 1]."""
    choice("clipping", clipping, ("clip", "shrink"))
    shrink = clipping == "shrink"
    return projected_gradient(
        network if shrink else Clipped(network),
        pixels,
        labels,
        epsilon,
        norm,
        steps=steps,
        step=step,
        random_start=random_start,
        restarts=restarts,
        bounds=(-torch.inf, torch.inf),
        projection=projection_of(bands, radii),
        room=room if shrink else None,
    )
