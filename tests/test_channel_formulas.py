"""Each channel against numpy, scipy or its closed form."""

import math

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import scipy.stats
import torch

from dctnet.dct import block_dct
from dctnet.robustness.channel import Distortion
from dctnet.robustness.channels import create_channel
from dctnet.robustness.svd_channel import low_rank
from tests.photographs import photograph

SIZES = [(32, 32), (37, 44), (16, 9)]


def picture(height, width, seed=0):
    levels = torch.from_numpy(np.array(photograph(height, width, seed))).movedim(-1, 0)[None].double()
    return levels / 255


def changed(name, pixels, strength, **options):
    """Before the clamp, so that what is linear shows as such."""
    return create_channel(name, strength, **options).change(pixels).numpy()


def orders(mask, height, width):
    v, u = np.meshgrid(np.abs(np.fft.fftfreq(height)), np.abs(np.fft.fftfreq(width)), indexing="ij")
    return {
        "square": np.maximum(v, u),
        "triangle": v + u,
        "radial": v**2 + u**2,
        "hyperbolic": (1 + height * v) * (1 + width * u),
    }[mask]


@pytest.mark.parametrize("mask", ["square", "radial", "hyperbolic", "triangle"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_fft_compression_is_numpys_of_the_lowest_frequencies(size, mask):
    pixels = picture(*size)
    order = orders(mask, *size)
    for strength in (0.1, 0.5, 0.9):
        channel = create_channel("fft", strength, mask=mask)
        dropped = channel.dropped(size)
        keep = order <= np.sort(order.ravel())[round((1 - dropped) * order.size) - 1] + 1e-9
        assert 1 - keep.mean() == pytest.approx(dropped, abs=1e-12) and abs(dropped - strength) < 0.1
        truth = np.fft.ifft2(np.fft.fft2(pixels.numpy()) * keep)
        assert np.abs(truth.imag).max() < 1e-12
        np.testing.assert_allclose(changed("fft", pixels, strength, mask=mask), truth.real, atol=1e-12)


@pytest.mark.parametrize("block", [2, 8, 16])
def test_dropping_bands_is_scipys_transform_without_them(block):
    pixels = picture(37, 44)
    filled = np.pad(pixels.numpy(), [(0, 0), (0, 0), (0, -37 % block), (0, -44 % block)], mode="edge")
    rows, columns = (side // block for side in filled.shape[-2:])
    blocks = filled.reshape(1, 3, rows, block, columns, block)
    spectrum = scipy.fft.dctn(blocks, axes=(3, 5), norm="ortho")
    v, u = np.mgrid[:block, :block]
    along = np.where((v + u) % 2 == 1, v, u)  # zigzag: along odd diagonals down, along even ones up
    rank = np.lexsort((along.ravel(), (v + u).ravel())).argsort().reshape(block, block)
    for strength in (0, 1, block, block**2 - 1):
        kept = spectrum * (rank < block**2 - strength)[:, None, :]
        truth = scipy.fft.idctn(kept, axes=(3, 5), norm="ortho").reshape(filled.shape)[..., :37, :44]
        np.testing.assert_allclose(changed("dct_bands", pixels, strength, block_size=block), truth, atol=1e-12)


def test_dropping_bands_is_the_same_on_rgb_as_on_ycbcr():
    matrix = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]).double()
    pixels = picture(24, 31)
    converted = torch.einsum("pc,nchw->nphw", matrix, pixels)
    first = torch.einsum("pc,nchw->nphw", matrix, torch.from_numpy(changed("dct_bands", pixels, 40)))
    np.testing.assert_allclose(first, changed("dct_bands", converted, 40), atol=1e-12)


@pytest.mark.parametrize("bits", [1, 3, 5, 8])
def test_fewer_bits_are_the_nearest_levels(bits):
    levels = np.linspace(0, 1, 2**bits)
    pixels = picture(20, 20)
    found = create_channel("depth", bits)(pixels).numpy()
    nearest = levels[np.abs(pixels.numpy()[..., None] - levels).argmin(-1)]
    np.testing.assert_allclose(found, nearest, atol=1e-12)
    assert np.unique(found).size <= 2**bits
    if bits == 8:  # of a picture of 8 bits nothing is lost
        np.testing.assert_allclose(found, pixels, atol=1e-12)


@pytest.mark.parametrize("window", [3, 5, 9, 31])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_median_is_scipys(size, window):
    pixels = picture(*size)
    truth = scipy.ndimage.median_filter(pixels.numpy(), size=(1, 1, window, window))
    np.testing.assert_array_equal(changed("median", pixels, window), truth)


@pytest.mark.parametrize("window", [3, 9, 31])
@pytest.mark.parametrize("size", [(4, 3), (1, 2), (1, 1)], ids=str)
def test_the_median_of_pictures_smaller_than_the_window_is_numpys(size, window):
    """SciPy 1.17 mirrors otherwise where a window of 31 reaches over a picture of 4 x 3 many times."""
    pixels, margin = picture(*size), window // 2
    padded = np.pad(pixels.numpy(), [(0, 0), (0, 0), (margin, margin), (margin, margin)], mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (window, window), axis=(-2, -1))
    np.testing.assert_array_equal(changed("median", pixels, window), np.median(windows, axis=(-2, -1)))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_fewer_singular_values_are_numpys(size):
    pixels = picture(*size)
    u, s, v = np.linalg.svd(pixels.numpy(), full_matrices=False)
    for strength in (0.1, 0.5, 0.9, 0.999):
        count = create_channel("svd", strength).kept(size)
        assert count == max(1, round((1 - strength) * min(size)))
        truth = (u[..., :count] * s[..., None, :count]) @ v[..., :count, :]
        found = changed("svd", pixels, strength)
        np.testing.assert_allclose(found, truth, atol=1e-12)
        error = ((found - pixels.numpy()) ** 2).sum((-2, -1))
        np.testing.assert_allclose(error, (s[..., count:] ** 2).sum(-1), atol=1e-10)  # Eckart and Young


@pytest.mark.parametrize("size", [(7, 7), (9, 5), (5, 9)], ids=str)
@pytest.mark.parametrize("rank", [1, 3, 5])
def test_the_gradient_of_a_low_rank_is_torchs_where_that_exists(size, rank):
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(2, *size, dtype=torch.float64, generator=generator, requires_grad=True)
    direction = torch.randn(2, *size, dtype=torch.float64, generator=generator)
    u, s, v = torch.linalg.svd(matrices, full_matrices=False)
    through = ((u[..., :rank] * s[..., None, :rank]) @ v[..., :rank, :] * direction).sum()
    (truth,) = torch.autograd.grad(through, matrices)
    (found,) = torch.autograd.grad((low_rank(matrices, rank) * direction).sum(), matrices)
    np.testing.assert_allclose(found, truth, atol=1e-9 * float(truth.abs().max()))


def test_the_gradient_of_a_low_rank_is_finite_where_singular_values_are_equal():
    """Of flat pictures, and of equal kept ones, where that of torch's decomposition is not."""
    for matrix, rank in (
        (torch.zeros(6, 4), 2),
        (torch.full((6, 4), 0.5), 2),
        (torch.diag(torch.tensor([1.0, 1, 0.5])), 2),
    ):
        matrix = matrix.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(low_rank(matrix, rank).sum(), matrix)
        assert gradient.isfinite().all() and gradient.abs().max() < 10


MOMENTS = [
    ("gaussian", {}, scipy.stats.norm.cdf),
    ("uniform", {}, scipy.stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)).cdf),
    ("laplace", {}, scipy.stats.laplace(scale=math.sqrt(0.5)).cdf),
    ("dct_noise", {}, scipy.stats.norm.cdf),
    ("fft_noise", {}, scipy.stats.norm.cdf),
]


@pytest.mark.parametrize(
    "name, options, distribution", MOMENTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_noise_has_the_distribution_that_it_is_named_for(name, options, distribution):
    """Kolmogorov and Smirnov, mean, deviation, and no correlation of neighbours or colours, of 120,000 samples."""
    channel = create_channel(name, 0.02, generator=torch.Generator().manual_seed(5), **options)
    gray = torch.full((10, 3, 50, 80), 0.5, dtype=torch.float64)
    noise = ((channel(gray) - gray) / 0.02).numpy()
    assert abs(noise.mean()) < 4 / math.sqrt(noise.size) and noise.std() == pytest.approx(1, abs=0.01)
    assert scipy.stats.kstest(noise.ravel(), distribution).pvalue > 0.01
    for shifted in (noise * np.roll(noise, 1, -1), noise * np.roll(noise, 1, -2), noise * np.roll(noise, 1, 1)):
        assert abs(shifted.mean()) < 5 / math.sqrt(noise.size)
    found = channel.distortion(gray, channel(gray))
    assert isinstance(found, Distortion)
    expected = 0.02 * math.sqrt(gray[0].numel())
    np.testing.assert_allclose(found.l2, expected, rtol=0.03)


def test_dct_noise_is_on_the_chosen_bands_alone():
    gray = torch.full((4, 3, 64, 64), 0.5, dtype=torch.float64)
    for bands, chosen in (("square-2", [0, 1, 8, 9]), ([3, 60], [3, 60])):
        channel = create_channel("dct_noise", 0.02, bands=bands, generator=torch.Generator().manual_seed(0))
        after = channel(gray)
        power = block_dct(after - gray, 8).square().mean((0, 1, 3, 4)) / 0.02**2
        np.testing.assert_allclose(power[chosen], 1, rtol=0.2)
        assert power.sum() - power[chosen].sum() < 1e-9
        l2 = channel.distortion(gray, after).l2
        np.testing.assert_allclose(l2, 0.02 * math.sqrt(gray[0].numel() * len(chosen) / 64), rtol=0.1)


@pytest.mark.parametrize("inverse", [False, True])
def test_fft_noise_is_on_one_side_of_the_order_alone(inverse):
    gray = torch.full((4, 3, 48, 64), 0.5, dtype=torch.float64)
    options = {"compression": 0.6, "mask": "radial", "inverse": inverse}
    channel = create_channel("fft_noise", 0.02, generator=torch.Generator().manual_seed(0), **options)
    after = channel(gray)
    power = (np.abs(np.fft.fft2((after - gray).numpy(), norm="ortho")) ** 2).mean((0, 1)) / 0.02**2
    order = orders("radial", 48, 64)
    has = power > 1e-9
    assert has.mean() == pytest.approx(0.4, abs=0.01) and power[has].mean() == pytest.approx(1, abs=0.05)
    if inverse:
        assert order[has].min() > order[~has].max() - 1e-12
    else:
        assert order[has].max() < order[~has].min() + 1e-12
    l2 = channel.distortion(gray, after).l2
    np.testing.assert_allclose(l2, 0.02 * math.sqrt(has.mean() * gray[0].numel()), rtol=0.05)
