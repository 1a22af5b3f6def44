"""DCTPool2d and DCTCompress against scipy's DCT in float64, and the laws of projections and adjoints."""

import numpy as np
import pytest
import scipy.fft
import torch
import torch.nn.functional as F

from dctnet.dct import block_dct, block_idct
from dctnet.nn.block_spectrum import band_order, bands_kept, fitting_block, to_maps, to_spectra
from dctnet.nn.dct_compress import DCTCompress
from dctnet.nn.pooling import DCTPool2d


def maps(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def truncated_by_scipy(x: np.ndarray, block: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Each block's low corner of ``size``, inverse transformed and scaled to keep the mean."""
    (bv, bh), (mv, mh) = block, size
    n, c, height, width = x.shape
    blocks = x.reshape(n, c, height // bv, bv, width // bh, bh)
    spectra = scipy.fft.dctn(blocks, norm="ortho", axes=(3, 5))[:, :, :, :mv, :, :mh]
    small = scipy.fft.idctn(spectra, norm="ortho", axes=(3, 5)) * np.sqrt(mv * mh / (bv * bh))
    return small.reshape(n, c, height // bv * mv, width // bh * mh)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
@pytest.mark.parametrize(("stride", "block"), [(2, 8), ((2, 4), 4), (3, 6), (4, 4), (1, 2)], ids=str)
def test_blocks_are_truncated_as_by_scipy(stride, block, memory):
    sv, sh = stride if isinstance(stride, tuple) else (stride, stride)
    x = maps(2, 3, 24, 48)
    truth = truncated_by_scipy(x.numpy(), (block, block), (block // sv, block // sh))
    pooled = DCTPool2d(stride, block)(x.contiguous(memory_format=memory))
    assert pooled.is_contiguous(memory_format=memory)
    np.testing.assert_allclose(pooled.numpy(), truth, atol=1e-13)


@pytest.mark.parametrize("ceil_mode", [True, False])
@pytest.mark.parametrize("size", [(24, 16), (13, 7), (9, 30)], ids=str)
def test_whole_maps_of_any_size_are_truncated_as_by_scipy(size, ceil_mode):
    x = maps(2, 3, *size)
    kept = tuple(-(-side // 2) if ceil_mode else side // 2 for side in size)
    truth = truncated_by_scipy(x.numpy(), size, kept)
    np.testing.assert_allclose(DCTPool2d(2, None, ceil_mode)(x).numpy(), truth, atol=1e-13)


def test_in_blocks_of_eight_it_is_the_coefficients_of_the_house():
    x = maps(2, 16, 24)
    corner = block_dct(x, 8).unflatten(1, (8, 8))[:, :4, :4].flatten(1, 2)
    torch.testing.assert_close(DCTPool2d(2)(x), block_idct(corner) / 2)


def test_one_sample_a_block_is_average_pooling():
    x = maps(2, 3, 12, 8)
    torch.testing.assert_close(DCTPool2d(4, 4)(x), F.avg_pool2d(x, 4))


@pytest.mark.parametrize("block", [4, 8, None])
@pytest.mark.parametrize("size", [(16, 24), (13, 5), (1, 3)], ids=str)
def test_constants_stay_and_the_size_is_rounded_as_asked(size, block):
    x = torch.full((1, 2, *size), 3.0, dtype=torch.float64)
    up = DCTPool2d(2, block)(x)
    assert up.shape[2:] == tuple(-(-side // 2) for side in size)
    torch.testing.assert_close(up, torch.full_like(up, 3.0))
    if min(size) > 1:
        assert DCTPool2d(2, block, ceil_mode=False)(x).shape[2:] == tuple(side // 2 for side in size)


@pytest.mark.parametrize("block", [8, None])
def test_band_limited_maps_are_kept_exactly(block):
    """A map of low frequencies is the same function on the coarse grid: all its coefficients, its energy and its mean."""
    b = block or 16
    spectrum = torch.zeros(1, 2, b, b, dtype=torch.float64)
    spectrum[..., : b // 2, : b // 2] = maps(1, 2, b // 2, b // 2)
    x = torch.from_numpy(scipy.fft.idctn(spectrum.numpy(), norm="ortho", axes=(2, 3)))
    pooled = DCTPool2d(2, block)(x)
    again = scipy.fft.dctn(pooled.numpy(), norm="ortho", axes=(2, 3))
    np.testing.assert_allclose(2 * again, spectrum[..., : b // 2, : b // 2].numpy(), atol=1e-13)


@pytest.mark.parametrize("size", [(32, 16), (13, 22)], ids=str)
def test_twice_by_two_is_once_by_four(size):
    x = maps(1, 2, *size)
    torch.testing.assert_close(DCTPool2d(2, None)(DCTPool2d(2, None)(x)), DCTPool2d(4, None)(x))
    x = maps(1, 2, 32, 16)
    torch.testing.assert_close(DCTPool2d(2, 4)(DCTPool2d(2, 8)(x)), DCTPool2d(4, 8)(x))


@pytest.mark.parametrize("block", [4, None])
def test_the_gradient_is_the_adjoint(block):
    pool, x = DCTPool2d(2, block), maps(1, 2, 9, 8).requires_grad_()
    assert torch.autograd.gradcheck(pool, x)
    y = pool(x)
    g = maps(*y.shape, seed=1)
    (gradient,) = torch.autograd.grad(y, x, g)
    other = maps(*x.shape, seed=2)
    torch.testing.assert_close((pool(other) * g).sum(), (other * gradient).sum())


def test_dtypes_and_autocast():
    x = maps(2, 3, 16, 16)
    pool, truth = DCTPool2d(2), DCTPool2d(2)(maps(2, 3, 16, 16))
    with torch.autocast("cpu", torch.bfloat16):
        single = pool(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), truth, rtol=0, atol=1e-6)
    half = pool(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), truth, rtol=0, atol=0.05)


@pytest.mark.parametrize("layer", [DCTPool2d(2), DCTPool2d(2, None), DCTCompress(0.3, 4)], ids=str)
def test_exported_programs_compute_the_same(layer):
    layer, x = layer.eval(), maps(2, 3, 20, 12, dtype=torch.float32)
    program = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(program(x), layer(x))


def test_what_was_made_for_inference_serves_training():
    pool, x = DCTPool2d(2, 14), maps(1, 1, 14, 14, dtype=torch.float32)
    with torch.inference_mode():
        pool(x)
    pool(x.requires_grad_()).sum().backward()
    assert x.grad.sum().item() == pytest.approx(49, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 3}, "multiple of the strides.*block=8 for stride=3"),
        ({"stride": 0}, "stride is"),
        ({"stride": (2, 2, 2)}, "stride is"),
        ({"block": 0}, "block is"),
        ({"ceil_mode": 1}, "ceil_mode is True or False"),
    ],
)
def test_pools_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DCTPool2d(**options)


def test_maps_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="leave nothing at stride"):
        DCTPool2d(2, ceil_mode=False)(torch.zeros(1, 1, 1, 8))


def spectra_by_scipy(x: np.ndarray, b: int, count: int) -> np.ndarray:
    n, c, height, width = x.shape
    blocks = x.reshape(n, c, height // b, b, width // b, b).transpose(0, 1, 2, 4, 3, 5)
    spectra = scipy.fft.dctn(blocks, norm="ortho", axes=(-2, -1)).reshape(*blocks.shape[:4], b * b)
    diagonals = sorted(range(b * b), key=lambda k: (k // b + k % b, k // b))
    return spectra[..., diagonals[:count]].transpose(0, 1, 4, 2, 3)


@pytest.mark.parametrize(("keep", "block", "count"), [(0.5, 8, 32), (0.1, 8, 6), (1.0, 4, 16), (0.001, 4, 1)])
def test_compressed_maps_are_scipys_low_bands(keep, block, count):
    layer, x = DCTCompress(keep, block), maps(2, 3, 16, 24)
    assert (layer.count, layer.keep) == (count, count / block**2)
    np.testing.assert_allclose(layer.compress(x).numpy(), spectra_by_scipy(x.numpy(), block, count), atol=1e-13)


def test_compression_is_an_orthogonal_projection_and_reports_what_it_loses():
    layer, x = DCTCompress(0.4, 8).train(), maps(2, 3, 16, 24)
    kept = layer(x)
    torch.testing.assert_close(layer(kept), kept)
    layer(x)
    lost = 1 - layer.compress(x).square().sum() / x.square().sum()  # Parseval
    assert layer.lost.item() == pytest.approx(lost.item(), rel=1e-5)
    by_channel = 1 - layer.compress(x).square().sum((0, 2, 3, 4)) / x.square().sum((0, 2, 3))
    torch.testing.assert_close(layer.energy_lost(x), by_channel.float(), rtol=1e-5, atol=0)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x), x, g := maps(*x.shape, seed=1))
    torch.testing.assert_close(gradient, layer(g))  # it is its own adjoint
    assert torch.autograd.gradcheck(DCTCompress(0.4, 4, track=False), maps(1, 1, 5, 6).requires_grad_())


@pytest.mark.parametrize("size", [(16, 8), (13, 9), (1, 1)], ids=str)
def test_all_bands_lose_nothing_and_constants_stay_at_every_size(size):
    x = maps(2, 3, *size)
    torch.testing.assert_close(DCTCompress(1.0)(x), x)
    flat = torch.full((1, 1, *size), 2.0, dtype=torch.float64)
    torch.testing.assert_close(DCTCompress(0.01)(flat), flat)
    assert DCTCompress(1.0).eval()(torch.zeros(1, 1, *size)).abs().max() == 0


def test_spectra_of_another_dtype():
    x = maps(1, 2, 16, 16, dtype=torch.float32)
    layer = DCTCompress(1.0, dtype=torch.bfloat16)
    assert layer.compress(x).dtype == torch.bfloat16 and layer(x).dtype == torch.float32
    assert (layer(x) - x).abs().max() < 0.02 * x.abs().max()
    with pytest.raises(ValueError, match="floating one"):
        DCTCompress(dtype=torch.int8)
    for keep in (0, 1.5, "half"):
        with pytest.raises(ValueError, match="keep is"):
            DCTCompress(keep)


@pytest.mark.parametrize("side", range(1, 40))
def test_blocks_fit_their_side(side):
    b, other = fitting_block((side, side), 8)
    assert b == other and (b == side if side <= 8 else 4 < b <= 8)
    filled = -(-side // b) * b
    assert all(filled <= -(-side // c) * c for c in range(5, 9)) or side <= 8
    x = maps(1, 2, side, side)
    spectra = to_spectra(x, (b, b), b * b)
    torch.testing.assert_close(to_maps(spectra, (b, b), (side, side)), x)


def test_bands_of_oblong_blocks_come_in_the_order_of_their_wavelengths():
    order = band_order((4, 8))
    assert sorted(order) == list(range(32))
    waves = [k // 8 / 4 + k % 8 / 8 for k in order]
    assert waves == sorted(waves)
    assert order[:4] == (0, 1, 2, 8)  # v/4 = u/8 at (1, 0) and (0, 2): the smaller v first
    assert (bands_kept((4, 8), 0.25), bands_kept((2, 2), 0.01)) == (8, 1)
