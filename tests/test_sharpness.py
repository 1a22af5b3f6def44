"""Sharpness and blur of coefficients, against torchvision on the samples of each plane in float64."""

import math

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as pixel

from dctnet import dct
from dctnet.coefficients import Coefficients, grid_420, stack
from dctnet.transforms import GaussianBlur, RandomAdjustSharpness
from dctnet.transforms import functional as F
from tests.photographs import planes_of, random_rgb
from tests.test_color import assert_batch_is_pictures

ATOL = 1e-4  # gray levels
SIZE = (30, 44)
BLOCKS = [1, 2, 4, 8, 16, 32, (8, 4)]


def samples(planes, size=SIZE):
    """Of Y, Cb and Cr what the picture holds, ``(1, rows, columns)``."""
    return [
        dct.block_idct(p)[None, : grid_420(size).samples(i)[0], : grid_420(size).samples(i)[1]]
        for i, p in enumerate(planes)
    ]


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("factor", [0.0, 1.0, 2.5])
def test_sharpness_is_torchvisions(blocks, factor):
    planes = planes_of(random_rgb(SIZE), blocks, spacing=2)
    out = samples(F.adjust_sharpness(planes, factor, grid=grid_420(SIZE)))
    for number, (ours, plane) in enumerate(zip(out, samples(planes), strict=True)):
        f = factor if number == 0 else 1 + (factor - 1) / 4
        truth = pixel.adjust_sharpness((plane + 2048) / 4096, f) * 4096 - 2048  # far from its clamp
        torch.testing.assert_close(ours, truth, rtol=0, atol=ATOL)


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize(
    ("taps", "sigma"), [((3, 3), (0.7, 0.7)), ((9, 5), (2.0, 0.4)), ((23, 23), (3.0, 5.0)), ((1, 7), None)]
)
def test_blur_is_torchvisions(blocks, taps, sigma):
    planes = planes_of(random_rgb(SIZE), blocks, spacing=2)
    out = samples(F.gaussian_blur(planes, taps, sigma, grid=grid_420(SIZE)))
    deviations = sigma or [0.15 * k + 0.35 for k in taps]
    for number, (ours, plane) in enumerate(zip(out, samples(planes), strict=True)):
        step = 1 if number == 0 else 2
        covered = [2 * math.ceil((k - 1) / 2 / step) + 1 for k in taps]
        truth = pixel.gaussian_blur(plane, covered, [s / step for s in deviations])
        torch.testing.assert_close(ours, truth, rtol=0, atol=ATOL)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 2), (2, 8)])
def test_a_picture_without_an_interior_is_not_sharpened(size):
    planes = Coefficients(*(dct.block_dct(random_rgb((8, 8))[i]) for i in range(3)))
    for ours, plane in zip(F.adjust_sharpness(planes, 3.0, grid=grid_420(size)), planes, strict=True):
        torch.testing.assert_close(ours, plane)


def test_a_kernel_wider_than_the_picture_keeps_a_constant():
    flat = Coefficients(*(dct.block_dct(torch.full((b, b), 5.0, dtype=torch.float64)) for b in (16, 8, 8)))
    for ours, plane in zip(F.gaussian_blur(flat, 31, 9.0, grid=grid_420((9, 10))), flat, strict=True):
        torch.testing.assert_close(ours, plane)


@pytest.mark.parametrize(
    "transform", [RandomAdjustSharpness(2.0), GaussianBlur(5), GaussianBlur((9, 3), 1.5)], ids=repr
)
def test_a_batch_is_its_pictures_one_by_one(transform):
    assert_batch_is_pictures(transform)


def test_draws_are_torchvisions():
    with torch.random.fork_rng():
        torch.manual_seed(4)
        truth = v2.GaussianBlur(5, (0.5, 3.0)).make_params([])["sigma"][0]
    assert GaussianBlur(5, (0.5, 3.0)).draw(SIZE, torch.Generator().manual_seed(4)) == (truth,)
    assert repr(RandomAdjustSharpness(2.0)) == repr(v2.RandomAdjustSharpness(2.0))


def test_gradients_of_planes_and_parameters():
    planes = stack([planes_of(random_rgb((4, 8), seed=i), 2, spacing=2) for i in range(2)])
    value = torch.tensor([0.7, 1.8], dtype=torch.float64)
    leaves = [leaf.detach().requires_grad_() for leaf in (*planes, value)]
    for function in (F.adjust_sharpness, lambda p, s: F.gaussian_blur(p, 3, s)):
        assert torch.autograd.gradcheck(lambda y, cb, cr, v, f=function: tuple(f(Coefficients(y, cb, cr), v)), leaves)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: F.adjust_sharpness(p, -1), "sharpness_factor is a finite number at least 0; got -1"),
        (lambda p: F.gaussian_blur(p, 4), "kernel_size is an odd number of samples.*got 4"),
        (lambda p: F.gaussian_blur(p, 3, 0), "sigma is a finite number greater than 0; got 0"),
        (lambda p: F.gaussian_blur(p, 3, (1, 2, 3)), r"got \(1, 2, 3\)"),
        (lambda p: GaussianBlur(2), "odd number of samples, or a pair of them; got 2"),
        (lambda p: GaussianBlur(3, (2, 1)), r"range \(from, to\).* greater than 0; got \(2, 1\)"),
        (lambda p: RandomAdjustSharpness(1, p=3), r"p is a number in \[0, 1\]; got 3"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(planes_of(random_rgb((8, 8))))
