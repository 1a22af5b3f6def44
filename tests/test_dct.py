"""The block DCT and lifted operators, against SciPy's transform and the pixel domain in float64."""

import time

import numpy as np
import pytest
import scipy.fft
import torch

from dctnet import dct
from dctnet.coefficients import BLOCK_SIZES
from dctnet.resampling import banded, compose, extend, resample, resampling


def samples(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 50


@pytest.mark.parametrize("b", BLOCK_SIZES)
def test_basis_is_scipys_orthonormal_dct(b):
    truth = scipy.fft.dct(np.eye(b), axis=0, norm="ortho")
    np.testing.assert_allclose(dct.basis(b).numpy(), truth, atol=1e-14)


@pytest.mark.parametrize("b", BLOCK_SIZES)
def test_block_dct_is_scipys_transform_of_each_block(b):
    pixels = samples(2, 2 * b, 3 * b)
    plane = dct.block_dct(pixels, b)
    assert plane.shape == (2, b * b, 2, 3)
    for i in range(2):
        for j in range(3):
            block = pixels[1, i * b : (i + 1) * b, j * b : (j + 1) * b].numpy()
            truth = scipy.fft.dctn(block, norm="ortho").reshape(-1)  # row-major: b*v + u
            np.testing.assert_allclose(plane[1, :, i, j].numpy(), truth, atol=1e-11)


@pytest.mark.parametrize("b", BLOCK_SIZES)
def test_block_dct_inverts_and_keeps_energy(b):
    pixels = samples(3, 64, 96)
    plane = dct.block_dct(pixels, b)
    torch.testing.assert_close(dct.block_idct(plane), pixels, rtol=0, atol=1e-11)
    torch.testing.assert_close(plane.square().sum(), pixels.square().sum())


def test_zigzag_is_the_order_of_the_standard():
    # ITU-T T.81, figure A.6, read row by row: the zigzag position of each coefficient.
    figure = """ 0  1  5  6 14 15 27 28  2  4  7 13 16 26 29 42  3  8 12 17 25 30 41 43  9 11 18 24 31 40 44 53
                10 19 23 32 39 45 52 54 20 22 33 38 46 51 55 60 21 34 37 47 50 56 59 61 35 36 48 49 57 58 62 63"""
    position = torch.tensor([int(n) for n in figure.split()])
    assert torch.equal(position[dct.zigzag(8)], torch.arange(64))
    for b in BLOCK_SIZES:
        assert torch.equal(dct.zigzag(b).sort().values, torch.arange(b * b))


@pytest.mark.parametrize(("block_in", "block_out"), [(8, 8), (8, 1), (1, 8), (8, 4), (4, 16), (2, 32), (1, 1)])
def test_lift_is_the_dense_product(block_in, block_out):
    """A = T_c R T_b', and apply is A_v X A_h', for any R: here random dense, random banded and a permutation."""
    rows, columns = 96, 64
    pixels = samples(2, rows, columns)
    plane = dct.block_dct(pixels, block_in)
    dense = samples(64, rows, seed=1) / 50
    sparse = (
        samples(96, columns, seed=2) / 50 * (torch.rand(96, columns, generator=torch.Generator().manual_seed(3)) < 0.1)
    )
    permutation = torch.eye(columns, dtype=torch.float64)[
        torch.randperm(columns, generator=torch.Generator().manual_seed(4))
    ]
    for horizontal in (sparse, permutation):
        out = dct.apply(plane, dct.lift(dense, block_in, block_out), dct.lift(horizontal, block_in, block_out))
        truth = dct.block_dct(dense @ pixels @ horizontal.T, block_out)
        torch.testing.assert_close(out, truth, rtol=1e-10, atol=1e-9)
        assert out[0].movedim(0, -1).is_contiguous()


def test_apply_takes_both_orders_of_multiplication():
    pixels = samples(64, 64)
    plane = dct.block_dct(pixels)
    shrink, grow = samples(8, 64, seed=1), samples(128, 64, seed=2)
    for vertical, horizontal in ((shrink, grow), (grow, shrink)):
        out = dct.apply(plane, dct.lift(vertical), dct.lift(horizontal))
        torch.testing.assert_close(dct.block_idct(out), vertical @ pixels @ horizontal.T, rtol=1e-10, atol=1e-9)


def test_lifted_resize_keeps_only_the_band():
    """The operator of a two-fold reduction reads at most 4 of 64 blocks for each block that it writes."""
    operator = dct.lift(resample(512, 256, 0, 2))
    assert operator.blocks.shape[2] <= 4 < operator.inputs


def test_apply_reads_integers_as_float32():
    plane = dct.block_dct(samples(16, 16)).round()
    identity = dct.lift(torch.eye(16))
    out = dct.apply(plane.to(torch.int16), identity, identity)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), plane, rtol=0, atol=1e-3)


def test_banded_keeps_the_matrix():
    matrix = samples(5, 9) * (torch.rand(5, 9, generator=torch.Generator().manual_seed(1)) < 0.3)
    matrix[2] = 0
    torch.testing.assert_close(banded(matrix).dense(), matrix)


@pytest.mark.parametrize("inputs", [1, 2, 7, 50])
@pytest.mark.parametrize("outputs", [1, 3, 7, 64])
def test_resample_is_torchs_antialiased_interpolation(inputs, outputs):
    rows = samples(1, 1, inputs, 5)
    truth = torch.nn.functional.interpolate(rows, (outputs, 5), mode="bilinear", antialias=True)[0, 0]
    torch.testing.assert_close(resample(inputs, outputs, 0, inputs / outputs).dense() @ rows[0, 0], truth)


@pytest.mark.parametrize("box", [(0.5, 20.5), (3.0, 17.5), (10.25, 12.75)])
@pytest.mark.parametrize("outputs", [5, 16, 40])
def test_resample_of_a_fractional_box_is_pillows(box, outputs):
    """Pillow resamples fractional boxes of float images; it may look outside of the box, so it gets the cropped row."""
    from PIL import Image

    low, high = box
    first, last = int(np.floor(low)), int(np.ceil(high))
    row = samples(24).float()
    image = Image.fromarray(row[None, first:last].repeat(4, 1).numpy())
    truth = np.asarray(image.resize((outputs, 4), Image.Resampling.BILINEAR, box=(low - first, 0, high - first, 4)))[0]
    ours = resample(24, outputs, low, (high - low) / outputs, low, high).dense() @ row.double()
    np.testing.assert_allclose(ours.numpy(), truth, atol=2e-4)


def test_compose_and_extend_are_matrix_products():
    inner, outer = resample(50, 30, 3, 1.4, 3, 45), resample(30, 64, 29, -0.4, 2, 30)
    torch.testing.assert_close(compose(outer, inner).dense(), outer.dense() @ inner.dense())
    tall = extend(inner, 35).dense()
    torch.testing.assert_close(tall[:30], inner.dense())
    assert (tall[30:] == inner.dense()[-1]).all()


def test_compose_computes_only_the_rows_that_are_read():
    """The centre of a picture enlarged to five million samples, as quickly as that of a small one, and the same numbers."""
    started = time.perf_counter()
    enlarged = resampling(20_000, 5_120_000, 0, 20_000 / 5_120_000)
    centre = compose(resample(5_120_000, 224, 2_559_888, 1, 2_559_888, 2_560_112), enlarged)
    assert time.perf_counter() - started < 0.5
    whole = compose(resample(512, 24, 100, 1, 100, 124), resample(20, 512, 0, 20 / 512))
    part = compose(resample(512, 24, 100, 1, 100, 124), resampling(20, 512, 0, 20 / 512))
    torch.testing.assert_close(part.dense(), whole.dense(), rtol=0, atol=0)
    torch.testing.assert_close(centre.weights.sum(1), torch.ones(224, dtype=torch.float64))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dct.basis(3), "block size is one of"),
        (lambda: dct.block_dct(torch.zeros(12, 16)), "12x16 samples are not whole blocks of 8"),
        (lambda: dct.block_idct(torch.zeros(24, 2, 2)), "got 24 channels"),
        (lambda: dct.lift(torch.eye(12)), "12 output samples"),
        (lambda: dct.lift(torch.zeros(8)), "matrix"),
        (
            lambda: dct.apply(torch.zeros(64, 2, 2), dct.lift(torch.eye(24)), dct.lift(torch.eye(16))),
            "reads 3 blocks of 8",
        ),
        (
            lambda: dct.apply(torch.zeros(64, 2, 2), dct.lift(torch.eye(16)), dct.lift(torch.eye(16), 8, 4)),
            "different blocks",
        ),
        (lambda: resample(8, 4, 0, 1, 5, 5), "nothing to resample"),
        (lambda: compose(resample(8, 8, 0, 1), resample(8, 4, 0, 2)), "reads 8 samples, the inner one writes 4"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_matrices_made_under_inference_take_part_in_training():
    planes = torch.randn(1, 64, 2, 2, dtype=torch.float64)
    for b in (2, 4, 8, 16):
        dct._product.cache_clear(), dct._basis.cache_clear()
        with torch.inference_mode():
            dct.block_dct(dct.block_idct(planes), b)
        pixels = torch.randn(1, 16, 16, dtype=torch.float64, requires_grad=True)
        dct.block_dct(pixels, b).square().sum().backward()
        torch.testing.assert_close(pixels.grad, 2 * pixels)
