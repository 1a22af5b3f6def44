"""Layers between grids against torch's own transforms, and their laws: means, inverses, adjoints."""

import numpy as np
import pytest
import scipy.fft
import torch
import torch.nn.functional as F

from dctnet.nn.dct_compress import DCTCompress
from dctnet.nn.grids import KINDS, SpectralPool2d, grow, shrink


def maps(n=2, c=3, h=16, w=24):
    return torch.randn(n, c, h, w, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def fourier_truncated(x, height, width):
    """Low frequencies of the 2-D transform, numpy's, on a smaller grid; two frequencies share the last of an even one."""

    def axis(values, m, which):
        spectrum = np.fft.fft(values, axis=which)
        n = values.shape[which]
        kept = [k if k < (m + 1) // 2 else n - m + k for k in range(m)]
        low = np.take(spectrum, kept, axis=which)
        if m % 2 == 0 and m < n:
            index = [slice(None)] * values.ndim
            index[which] = m // 2
            both = np.take(spectrum, [m // 2, n - m // 2], axis=which)
            low[tuple(index)] = both.sum(axis=which) / np.sqrt(2)
        return np.fft.ifft(low, axis=which).real * m / n

    return axis(axis(x, height, -2), width, -1)


@pytest.mark.parametrize("size", [(16, 24), (15, 10), (7, 8)])
def test_spectral_pooling_keeps_the_low_frequencies_of_numpys_transform(size):
    x = maps(h=size[0], w=size[1])
    expected = fourier_truncated(x.numpy(), -(-size[0] // 2), -(-size[1] // 2))
    np.testing.assert_allclose(SpectralPool2d(2)(x).numpy(), expected, atol=1e-12)


def test_dct_extension_is_scipys_on_blocks():
    x = maps(h=8, w=12)
    blocks = x.unflatten(-1, (-1, 4)).unflatten(-3, (-1, 4)).transpose(-3, -2).numpy()
    spectrum = scipy.fft.dctn(blocks, norm="ortho", axes=(-2, -1))
    larger = np.zeros((*spectrum.shape[:-2], 8, 8))
    larger[..., :4, :4] = 2 * spectrum
    samples = scipy.fft.idctn(larger, norm="ortho", axes=(-2, -1)).swapaxes(-3, -2).reshape(2, 3, 16, 24)
    np.testing.assert_allclose(grow("dct", 2)(x).numpy(), samples, atol=1e-12)


@pytest.mark.parametrize("size", [(4, 8), (7, 14), (3, 5), (1, 2), (28, 6)], ids=str)
@pytest.mark.parametrize("factor", [2, 4, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_sizes_means_and_inverses(kind, factor, size):
    x = maps(h=size[0] * factor, w=size[1] * factor)
    down, up = shrink(kind, factor), grow(kind, factor)
    assert down(x).shape == (2, 3, *size)
    small = maps(h=size[0], w=size[1])
    assert up(small).shape == x.shape
    torch.testing.assert_close(down(torch.full_like(x, 3.0)), torch.full_like(small, 3.0))
    torch.testing.assert_close(up(torch.full_like(small, 3.0)), torch.full_like(x, 3.0))
    torch.testing.assert_close(down(up(small)), small)  # for the kinds with a transform, this is "lossless"
    if kind in ("average", "dct", "spectral"):
        torch.testing.assert_close(down(x).mean((2, 3)), x.mean((2, 3)))


def test_plain_kinds_are_torchs():
    x = maps()
    torch.testing.assert_close(shrink("max", 2)(x), F.max_pool2d(x, 2))
    torch.testing.assert_close(shrink("average", 2)(x), F.avg_pool2d(x, 2))
    torch.testing.assert_close(shrink("strided", 2)(x), x[..., ::2, ::2])
    torch.testing.assert_close(grow("max", 2)(x), F.interpolate(x, scale_factor=2, mode="nearest"))


@pytest.mark.parametrize("kind", ["dct", "spectral"])
def test_growing_is_the_adjoint_of_shrinking(kind):
    x, y = maps().requires_grad_(), maps(h=8, w=12)
    (shrink(kind, 2)(x) * y).sum().backward()
    torch.testing.assert_close(4 * x.grad, grow(kind, 2)(y))


@pytest.mark.parametrize("kind", KINDS)
def test_factor_one_is_the_identity(kind):
    x = maps()
    assert shrink(kind, 1)(x) is x and grow(kind, 1)(x) is x


def test_what_does_not_exist_is_refused():
    with pytest.raises(
        ValueError, match="pooling is one of 'max', 'average', 'strided', 'dct', 'spectral'; got 'mean'"
    ):
        shrink("mean", 2)
    with pytest.raises(ValueError, match="factor"):
        grow("dct", 0)


@pytest.mark.parametrize("layer", [SpectralPool2d(2), shrink("dct", 2), grow("spectral", 2), DCTCompress(1.0)])
def test_integer_maps_are_refused(layer):
    with pytest.raises(ValueError, match=r"floating maps.*got torch.int64.*maps.float\(\)"):
        layer(torch.ones(1, 1, 8, 8, dtype=torch.int64))
