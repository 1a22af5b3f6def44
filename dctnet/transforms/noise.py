"""Gaussian, uniform and Laplace noise, in gray levels.

The block DCT is orthonormal: independent Gaussian noise of deviation sigma on the samples of a plane is independent Gaussian
noise of deviation sigma on its coefficients, whatever the block size, so it is drawn as coefficients and costs no transform.
Other noise loses its shape in an orthonormal transform: it is drawn on the samples, and goes through the block DCT.

The noise is that of the samples of each plane, the same sigma on Y, Cb and Cr unless three are given. Noise of deviation s on
each of R, G and B has the deviations 0.669 s, 0.623 s and 0.657 s on Y, Cb and Cr, on chroma in 4:2:0 half of that:
``sigma=(0.669 * s, 0.312 * s, 0.329 * s)``. There is no ``clip``: to clip at 0 and 255 needs samples, and would make
the noise of dark and bright pixels another one.

A field of noise is drawn on the CPU, from a generator for each picture: workers, ranks, devices and the composition of
batches change no sample. That costs
0.5 ms a picture of 224x224 in 4:2:0 on one core for Gaussian noise, 0.9 ms for uniform and 1.2 ms for Laplace noise with their
block DCT; on an accelerator it is the host that draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dctnet.arguments import finite, several
from dctnet.coefficients import Coefficients, block_size
from dctnet.dct import block_dct
from dctnet.transforms.per_sample import Number, check_range, computed_wide, per_sample
from dctnet.transforms.photometric import Photometric

Generators = torch.Generator | Sequence[torch.Generator] | None


def _field(plane: Tensor, generators: Generators, fill: Callable[..., object], samples: bool) -> Tensor:
    """Numbers like those of the plane, from one generator for all pictures or from one for each.

    As coefficients, or as samples that go through the block DCT. ``fill(tensor, generator)`` draws float32 in place.
    """
    b = block_size(plane)
    rows, columns = plane.shape[-2:]
    lead = plane.shape[:-3]
    drawn = torch.empty(*lead, *((rows * b, columns * b) if samples else (rows, columns, b * b)))
    if generators is None or isinstance(generators, torch.Generator):
        fill(drawn, generators)
    else:
        pictures = drawn.view(-1, *drawn.shape[len(lead) :])
        if len(generators) != len(pictures):
            raise ValueError(
                f"there is one generator for all pictures or one for each; got {len(generators)} for {len(pictures)}"
            )
        for picture, generator in zip(pictures, generators, strict=True):
            fill(picture, generator)
    drawn = drawn.to(plane.device, plane.dtype, non_blocking=True)
    return block_dct(drawn, b) if samples else drawn.movedim(-1, -3)


def fill_normal(tensor: Tensor, generator: torch.Generator | None) -> None:
    """Draws in place; this one and the two below are of mean 0 and deviation 1."""
    tensor.normal_(generator=generator)


def fill_uniform(tensor: Tensor, generator: torch.Generator | None) -> None:
    tensor.uniform_(-math.sqrt(3), math.sqrt(3), generator=generator)


def fill_laplace(tensor: Tensor, generator: torch.Generator | None) -> None:
    """The sign of u and the logarithm of 1 - |u|, u uniform in [-1, 1)."""
    tensor.uniform_(-1, 1, generator=generator)
    magnitude = tensor.abs().neg_().clamp_(min=2**-24 - 1).log1p_()
    tensor.sign_().mul_(magnitude.mul_(-math.sqrt(0.5)))


@computed_wide
def _noisy(
    coefficients: Coefficients,
    mean: Number,
    sigma: Number | Sequence[Number],
    generators: Generators,
    fill: Callable[..., object],
    samples: bool,
) -> Coefficients:
    sigmas = tuple(sigma) if isinstance(sigma, (tuple, list)) else (sigma,) * 3
    if len(sigmas) != 3:
        raise ValueError(f"sigma is one number, or three for Y, Cb and Cr; got {sigma!r}")
    for value in sigmas:
        check_range("sigma", value, 0)
    check_range("mean", mean, -math.inf)
    noisy = [
        torch.addcmul(plane, _field(plane, generators, fill, samples), per_sample(value, plane))
        for plane, value in zip(coefficients, sigmas, strict=True)
    ]
    if isinstance(mean, Tensor) or mean != 0:
        y = noisy[0]
        b = block_size(y)
        noisy[0] = y + torch.nn.functional.pad(per_sample(mean, y) * b, (0, 0, 0, 0, 0, b * b - 1))
    return Coefficients(*noisy)


def gaussian_noise(
    coefficients: Coefficients,
    mean: Number = 0.0,
    sigma: Number | Sequence[Number] = 25.5,
    *,
    generator: Generators = None,
) -> Coefficients:
    """Normal noise of deviation ``sigma`` gray levels on the samples of each plane, and ``mean`` on R, G and B (so on Y).

    In distribution that of the samples, exactly. The defaults are torchvision's. ``sigma`` is one number or three, for Y, Cb
    and Cr, each for all pictures or one a picture, at least 0 (ValueError); with gradient. ``generator``: one on the CPU for
    all pictures, or one for each.

    >>> gray = Coefficients(*(torch.zeros(64, 50, 50) for _ in range(3)))
    >>> noise = gaussian_noise(gray, sigma=10.0, generator=torch.Generator().manual_seed(0))
    >>> 9.9 < noise.y.std().item() < 10.1
    True
    """
    return _noisy(coefficients, mean, sigma, generator, fill_normal, samples=False)


def uniform_noise(
    coefficients: Coefficients, sigma: Number | Sequence[Number] = 25.5, *, generator: Generators = None
) -> Coefficients:
    """Uniform noise of deviation ``sigma`` on the samples of each plane: from -sqrt(3) sigma to sqrt(3) sigma. As above."""
    return _noisy(coefficients, 0.0, sigma, generator, fill_uniform, samples=True)


def laplace_noise(
    coefficients: Coefficients, sigma: Number | Sequence[Number] = 25.5, *, generator: Generators = None
) -> Coefficients:
    """Laplace noise of deviation ``sigma`` on the samples of each plane: of scale sigma / sqrt(2). As above."""
    return _noisy(coefficients, 0.0, sigma, generator, fill_laplace, samples=True)


class _Noise(Photometric):
    """Noise of fixed ``sigma``, its seed drawn for each picture."""

    sigma: float | tuple[float, ...]

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        """sigma of Y, Cb and Cr, and the seed of the field, below 2**53."""
        sigmas = self.sigma if isinstance(self.sigma, tuple) else (self.sigma,) * 3
        return (*sigmas, float(torch.randint(2**53, (1,), generator=generator).item()))


def _checked(sigma: float | Sequence[float]) -> float | tuple[float, ...]:
    values = several("sigma, of all planes or of Y, Cb and Cr,", sigma, (1, 3), 0)
    return values[0] if len(values) == 1 else values


def _drawn(parameters: Tensor) -> tuple[tuple[Tensor, ...], Generators]:
    """What ``_Noise.draw`` drew: the deviations, and a generator for each picture, or for all if there is one draw."""
    *sigmas, seeds = parameters.unbind(-1)
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds.flatten().tolist()]
    return tuple(sigmas), generators if seeds.ndim else generators[0]


class GaussianNoise(_Noise):
    """``gaussian_noise`` of ``mean`` and ``sigma`` gray levels, another for every picture. There is no ``clip``: see above.

    The defaults are torchvision's for uint8.
    """

    def __init__(self, mean: float = 0.0, sigma: float | Sequence[float] = 25.5):
        self.mean, self.sigma = finite("mean", mean), _checked(sigma)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        sigmas, generators = _drawn(parameters)
        return gaussian_noise(coefficients, self.mean, sigmas, generator=generators)

    def __repr__(self) -> str:
        return f"GaussianNoise(mean={self.mean}, sigma={self.sigma})"


class UniformNoise(_Noise):
    """``uniform_noise`` of deviation ``sigma`` gray levels, another for every picture."""

    def __init__(self, sigma: float | Sequence[float] = 25.5):
        self.sigma = _checked(sigma)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        sigmas, generators = _drawn(parameters)
        return uniform_noise(coefficients, sigmas, generator=generators)

    def __repr__(self) -> str:
        return f"UniformNoise(sigma={self.sigma})"


class LaplaceNoise(_Noise):
    """``laplace_noise`` of deviation ``sigma`` gray levels, another for every picture."""

    def __init__(self, sigma: float | Sequence[float] = 25.5):
        self.sigma = _checked(sigma)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        sigmas, generators = _drawn(parameters)
        return laplace_noise(coefficients, sigmas, generator=generators)

    def __repr__(self) -> str:
        return f"LaplaceNoise(sigma={self.sigma})"
