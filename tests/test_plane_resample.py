"""Planes at another block size and resolution against the samples in float64."""

import numpy as np
import pytest
import scipy.fft
import torch

from dctnet.dct import block_dct, block_idct
from dctnet.nn.plane_pyramid import PlanePyramid
from dctnet.nn.plane_resample import PlaneResample
from tests.networks import pictures

SIZES = [1, 2, 4, 8, 16, 32]


def samples(side=64):
    return torch.randn(2, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def halved(x, b):
    """Samples of half the resolution: the DCT of blocks of 2b, scipy's, cut off to b."""
    n = x.shape[-1] // (2 * b)
    blocks = x.numpy().reshape(-1, n, 2 * b, n, 2 * b).transpose(0, 1, 3, 2, 4)
    low = scipy.fft.dctn(blocks, norm="ortho", axes=(-2, -1))[..., :b, :b] / 2
    small = scipy.fft.idctn(low, norm="ortho", axes=(-2, -1))
    return torch.from_numpy(small.transpose(0, 1, 3, 2, 4).reshape(-1, n * b, n * b))


@pytest.fixture(autouse=True)
def in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("c", SIZES)
@pytest.mark.parametrize("b", SIZES)
def test_reblocking_keeps_the_samples(b, c):
    x = samples()
    torch.testing.assert_close(PlaneResample(b, c)(block_dct(x, b)), block_dct(x, c), rtol=0, atol=1e-10)


@pytest.mark.parametrize("c", SIZES)
@pytest.mark.parametrize("b", SIZES)
def test_half_the_resolution_is_the_truncated_transform(b, c):
    x = samples(128)
    made = PlaneResample(b, c, 0.5)(block_dct(x, b))
    torch.testing.assert_close(block_idct(made), halved(x, c), rtol=0, atol=1e-10)


@pytest.mark.parametrize("c", SIZES)
@pytest.mark.parametrize("b", SIZES)
def test_twice_the_resolution_loses_nothing_and_keeps_means(b, c):
    x = samples(64)
    larger = PlaneResample(b, c, 2)(block_dct(x, b))
    assert block_idct(larger).shape == (2, 128, 128)
    torch.testing.assert_close(PlaneResample(c, b, 0.5)(larger), block_dct(x, b), rtol=0, atol=1e-10)
    torch.testing.assert_close(block_idct(larger).mean((1, 2)), x.mean((1, 2)))
    np.testing.assert_allclose(halved(block_idct(larger), b).numpy(), x.numpy(), atol=1e-10)


def test_what_does_not_fit_is_refused():
    with pytest.raises(
        ValueError, match=r"blocks of 4 become blocks of 8 at scale 1 in groups of 2 a side; got a grid of \(3, 4\)"
    ):
        PlaneResample(4, 8)(torch.zeros(1, 16, 3, 4))
    with pytest.raises(ValueError, match="resampled by 1/2, 1 or 2; got 3"):
        PlaneResample(4, 8, 3)


@pytest.mark.parametrize("sizes", [(4, 4), (4, 2), (8, 1)], ids=str)
def test_a_pyramid_holds_each_plane_on_each_grid(sizes):
    planes = pictures(sizes, side=64).to(torch.float64)
    y, cb, cr = (block_idct(plane) for plane in planes)
    chroma = sizes[1]
    pyramid = PlanePyramid(sizes, 3, "both", (sizes[0] ** 2, 2 * chroma**2))
    fine, middle, coarse = pyramid(planes)
    assert [path.shape[1] for path in (fine, middle, coarse)] == pyramid.channels
    assert [64 // path.shape[-1] for path in (fine, middle, coarse)] == pyramid.spacings
    half = halved(y, chroma)
    torch.testing.assert_close(fine[:, : sizes[0] ** 2], planes.y)
    torch.testing.assert_close(middle, torch.cat([block_dct(half, chroma), planes.cb, planes.cr], 1))
    quarter = [block_dct(halved(plane, chroma), chroma) for plane in (half, cb, cr)]
    torch.testing.assert_close(coarse, torch.cat(quarter, 1))
    for plane, start in ((cb, sizes[0] ** 2), (cr, 2 * sizes[0] ** 2)):
        found = block_idct(fine[:, start : start + sizes[0] ** 2])
        torch.testing.assert_close(halved(found, chroma), plane)
