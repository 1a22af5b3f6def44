"""JPEG compression in torch against Pillow's encoder and decoder, sample by sample."""

import io
import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from dctnet.jpeg.encoder_samples import encoder_samples, ycbcr_of_rgb
from dctnet.jpeg.integer_dct import forward_dct, inverse_dct
from dctnet.robustness.jpeg_channel import JPEGCompression, compressed
from dctnet.robustness.surrogates import smooth, straight_through
from tests.photographs import photograph

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
QUALITIES = (1, 10, 30, 50, 75, 90, 95, 100)


def pillow(levels, **options):
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "JPEG", **options)
    return np.array(Image.open(buffer))


def ours(levels, quality, **options):
    pixels = torch.from_numpy(levels.copy()).view(*levels.shape[:2], -1).movedim(-1, 0)[None].float() / 255
    after = 255 * JPEGCompression(quality, **options)(pixels)
    assert (after - after.round()).abs().max() < 1e-4  # whole levels
    return after.round()[0].movedim(0, -1).numpy().astype(np.uint8).reshape(levels.shape)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize(
    "size", [(64, 64), (61, 83), (47, 30), (33, 17), (9, 16), (7, 5), (17, 3), (3, 17), (2, 2), (1, 1)]
)
def test_pixels_are_those_of_pillow(size, subsampling):
    levels = np.array(photograph(*size))
    for quality in QUALITIES:
        truth = pillow(levels, quality=quality, subsampling=subsampling)
        np.testing.assert_array_equal(ours(levels, quality, subsampling=subsampling), truth)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_pixels_of_noise_which_clips_everywhere_are_those_of_pillow(subsampling):
    rng = np.random.default_rng(0)
    for levels in (
        rng.integers(0, 256, (45, 70, 3), dtype=np.uint8),
        rng.choice(np.array([0, 255], np.uint8), (45, 70, 3)),
        np.repeat(np.repeat(rng.choice(np.array([0, 255], np.uint8), (6, 9, 3)), 8, 0), 8, 1),
    ):
        for quality in QUALITIES:
            truth = pillow(levels, quality=quality, subsampling=subsampling)
            np.testing.assert_array_equal(ours(levels, quality, subsampling=subsampling), truth)


def test_photographs_are_those_of_pillow(real_data):
    """Corners of any size of 20 photographs, and whole small ones of 32 x 32."""
    rng, found = np.random.default_rng(0), 0
    for path in sorted((real_data / "imagenet_samples").glob("*.jpg")):
        with Image.open(path) as image:
            if image.mode != "RGB":
                continue
            height, width = (int(rng.integers(30, min(150, side))) for side in image.size[::-1])
            corner = np.array(image.crop((0, 0, width, height)))
            small = np.array(image.resize((32, 32)))
        for subsampling, quality in itertools.product(SUBSAMPLINGS, (10, 50, 75, 95)):
            for levels in (corner, small):
                truth = pillow(levels, quality=quality, subsampling=subsampling)
                np.testing.assert_array_equal(ours(levels, quality, subsampling=subsampling), truth)
        found += 1
        if found == 20:
            break
    assert found == 20


@pytest.mark.parametrize("size", [(64, 64), (45, 70), (1, 9)])
def test_gray_pictures_are_gray_files(size):
    levels = np.array(photograph(*size).convert("L"))
    for quality in QUALITIES:
        np.testing.assert_array_equal(ours(levels, quality), pillow(levels, quality=quality))


def test_pixels_between_levels_are_rounded_first():
    levels = torch.from_numpy(np.array(photograph(24, 24))).movedim(-1, 0)[None].double()
    channel = JPEGCompression(60)
    off = 0.49 * (2 * torch.rand(levels.shape, generator=torch.Generator().manual_seed(0)) - 1)
    assert torch.equal(channel((levels + off) / 255), channel(levels / 255))


def test_the_forward_transform_is_the_transform_to_its_rounding():
    """Of eight times the coefficients: half a unit for the last rounding, what the first and the constants leave beside."""
    samples = torch.randint(0, 256, (40, 48), generator=torch.Generator().manual_seed(0)).double()
    n = torch.arange(8.0, dtype=torch.float64)
    matrix = torch.cos(torch.pi * (2 * n + 1) * n[:, None] / 16) / 2
    matrix[0] /= 2**0.5
    blocks = (samples - 128).view(5, 8, 6, 8).transpose(1, 2)
    truth = (8 * matrix @ blocks @ matrix.T).transpose(1, 2).reshape(40, 48)
    found = forward_dct(samples)
    assert torch.equal(found, found.round()) and (found - truth).abs().max() < 1.5
    assert (inverse_dct((found / 8).round()) + 128 - samples).abs().max() <= 2  # coefficients rounded to whole numbers


def test_conversion_and_averages_are_the_formulas_to_their_rounding():
    levels = torch.randint(0, 256, (3, 10, 13), generator=torch.Generator().manual_seed(0)).double()
    red, green, blue = levels
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    truth = y, 128 + (blue - y) / 1.772, 128 + (red - y) / 1.402
    for plane, exact in zip(ycbcr_of_rgb(levels), truth, strict=True):
        assert (plane - exact).abs().max() < 0.51
    plane = levels[0]
    for spacing in ((1, 1), (1, 2), (2, 2)):
        samples = encoder_samples(plane, spacing)
        inner = plane[: 10 // spacing[0] * spacing[0], : 13 // spacing[1] * spacing[1]]
        means = torch.nn.functional.avg_pool2d(inner[None], spacing)[0]
        assert (samples[: means.shape[0], : means.shape[1]] - means).abs().max() <= 0.5
        assert all(side % 8 == 0 for side in samples.shape)
        rows = -(-10 // spacing[0])
        assert torch.equal(samples[rows:], samples[rows - 1].expand(samples.shape[0] - rows, -1))


def linear(levels):
    """The way there and back without any rounding, of 4:2:0: what a straight-through gradient is the gradient of."""
    matrix = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]).double()
    y, cb, cr = torch.einsum("pc,nchw->pnhw", matrix, levels)
    pool, options = torch.nn.functional.avg_pool2d, {"scale_factor": 2, "mode": "bilinear"}
    cb, cr = (torch.nn.functional.interpolate(pool(c[:, None], 2), **options)[:, 0] for c in (cb, cr))
    return torch.einsum("cp,pnhw->nchw", torch.linalg.inv(matrix), torch.stack([y, cb, cr]))


def test_the_straight_through_gradient_is_that_of_the_way_without_rounding():
    levels = torch.from_numpy(np.array(photograph(32, 48))).movedim(-1, 0)[None].double().requires_grad_()
    direction = torch.randn(levels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (found,) = torch.autograd.grad((compressed(levels, 90) * direction).sum(), levels)
    (truth,) = torch.autograd.grad((linear(levels) * direction).sum(), levels)
    assert (found - truth).norm() < 1e-3 * truth.norm()


def test_the_smooth_gradient_is_a_quarter_of_the_other_on_average():
    """Seen as d' J d / d' d over random directions d, J the Jacobian."""
    levels = torch.from_numpy(np.array(photograph(32, 32))).movedim(-1, 0)[None].double()
    rng = torch.Generator().manual_seed(0)
    for rounding, expected in ((straight_through, 1.0), (smooth, 0.25)):
        ratios = []
        for _ in range(8):
            direction = torch.randn(levels.shape, dtype=torch.float64, generator=rng)
            x = levels.clone().requires_grad_()
            (gradient,) = torch.autograd.grad((compressed(x, 100, (1, 1), rounding) * direction).sum(), x)
            ratios.append(float((gradient * direction).sum() / direction.square().sum()))
        # At quality 100 the remainders of the coefficients are spread evenly, where the mean of 3 d^2 is a quarter.
        assert np.mean(ratios) == pytest.approx(expected, abs=0.05)


def test_the_smooth_gradient_leaves_what_is_far_from_a_step():
    ratio = torch.tensor([0.0, 0.1, 0.5, 0.9, -2.3], dtype=torch.float64, requires_grad=True)
    rounded = smooth(ratio, ratio.round())
    assert rounded.tolist() == [0, 0, 0, 1, -2]
    rounded.sum().backward()
    np.testing.assert_allclose(ratio.grad, [0, 0.03, 0.75, 0.03, 0.27], atol=1e-12)
