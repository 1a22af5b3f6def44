"""Rounding to quantization steps: Pillow's tables, half a step of error, and files that show what the transform made."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from dctnet.coefficients import Coefficients, Grid
from dctnet.jpeg.pixels import from_pixels, to_pixels
from dctnet.jpeg.quantize import quantize
from dctnet.jpeg.reader import read_jpeg
from dctnet.jpeg.writer import write_jpeg
from dctnet.quantization import quality_steps
from dctnet.transforms import functional as F
from tests.test_decoder import jpeg, picture
from tests.test_writer import FACTORS, assert_equal, random_image


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 51, 75, 90, 100])
def test_steps_are_those_of_pillow(quality):
    truth = read_jpeg(jpeg(picture(16, 16), quality=quality)).quantization
    assert quality_steps(quality).tolist() == truth.tolist()


@pytest.mark.parametrize("name", FACTORS)
def test_what_a_file_holds_is_kept_exactly(name):
    image = random_image(40, 56, FACTORS[name])
    steps = image.quantization.to(torch.float32)[:, :, None, None]
    products = [plane * steps[min(c, len(steps) - 1)] for c, plane in enumerate(image.coefficients)]
    again = quantize(Coefficients(*products), quantization=image.quantization, grid=image.grid)
    assert_equal(replace(again, sampling=image.sampling), image)
    assert again.grid == image.grid  # the factors are the smallest with these spacings
    assert_equal(read_jpeg(write_jpeg(again), dequantize=False), again)


def test_the_error_is_half_a_step_at_most_and_beyond_8_bits_is_clipped():
    generator = torch.Generator().manual_seed(0)
    planes = Coefficients(*(100 * torch.randn(64, n, n, generator=generator, dtype=torch.float64) for n in (6, 3, 3)))
    image = quantize(planes, size=(41, 48), quality=60)
    for plane, levels, steps in zip(planes, image.coefficients, image.quantization, strict=True):
        steps = steps.to(torch.float64)[:, None, None]
        assert bool(((levels * steps - plane).abs() <= steps / 2).all())
    far = quantize(planes.map(lambda plane: plane * 1e6), quality=100).coefficients
    assert (int(far.y[0].min()), int(far.y[0].max()), int(far.y[1:].min()), int(far.y.max())) == (
        -1024,
        1023,
        -1023,
        1023,
    )


def test_pixels_to_a_file_as_pillow_makes_it():
    pixels = picture(45, 61)
    coefficients = from_pixels(torch.from_numpy(np.array(pixels)).movedim(-1, 0))
    full = ((Fraction(1), Fraction(1)),) * 3
    image = quantize(coefficients, quality=90, grid=Grid((45, 61), full))
    truth = read_jpeg(jpeg(pixels, quality=90, subsampling=0), dequantize=False)
    assert (image.size, image.subsampling) == (truth.size, "4:4:4")
    for ours, theirs in zip(image.coefficients, truth.coefficients, strict=True):
        different = (ours - theirs).abs()
        assert int(different.max()) <= 1  # libjpeg rounds colours and samples first
        assert float((different > 0).float().mean()) < 0.05


def test_a_resized_picture_becomes_a_file():
    image = read_jpeg(jpeg(picture(90, 120), quality=95))
    small = quantize(F.resize(image.coefficients, (45, 60), grid=image.grid), size=(45, 60), quality=95)
    assert (small.size, small.subsampling) == ((45, 60), "4:2:0")
    with (
        Image.open(io.BytesIO(write_jpeg(small))) as opened,
        Image.fromarray(to_pixels(image).movedim(0, -1).numpy()) as whole,
    ):
        shown = np.asarray(opened.convert("L"), float)
        truth = np.asarray(whole.convert("L").resize((60, 45), Image.Resampling.BILINEAR), float)
    assert np.sqrt(np.mean((shown - truth) ** 2)) < 2


def test_one_row_of_steps_makes_a_gray_file():
    image = read_jpeg(jpeg(picture(30, 41), quality=80))
    gray = quantize(image.coefficients.to(torch.float32), grid=image.grid, quantization=image.quantization[:1])
    assert gray.subsampling == "gray"
    again = read_jpeg(write_jpeg(gray))
    assert torch.equal(again.coefficients.y, image.coefficients.y)
    assert not again.coefficients.cb.any()


PLANES = Coefficients(*(torch.zeros(64, n, n) for n in (4, 2, 2)))


@pytest.mark.parametrize(
    ("planes", "options", "says"),
    [
        (PLANES, {}, "one of the two"),
        (PLANES, {"quality": 50, "quantization": quality_steps(50)}, "one of the two"),
        (PLANES, {"quality": 0}, "1 to 100; got 0"),
        (PLANES, {"quality": 75.0}, "got 75.0"),
        (PLANES, {"quantization": torch.ones(2, 64)}, r"got \(2, 64\)"),
        (PLANES, {"quantization": torch.zeros(3, 64)}, "from 1 to 65535"),
        (PLANES, {"quantization": torch.full((3, 64), 1.5)}, "from 1 to 65535"),
        (PLANES, {"quality": 50, "size": (20, 32)}, "does not fit"),
        (PLANES.map(lambda plane: plane[None]), {"quality": 50}, "one by one"),
        (PLANES.map(lambda plane: plane[:16]), {"quality": 50}, r"got \(16, 4, 4\)"),
        (PLANES.map(lambda plane: plane / 0), {"quality": 50}, "plane y holds values that are not finite"),
        (PLANES, {"quality": 50, "grid": Grid((32, 32), ((1, 1), (5, 5), (5, 5)))}, "no sampling factors"),
    ],
)
def test_what_cannot_be_rounded_says_why(planes, options, says):
    with pytest.raises(ValueError, match=says):
        quantize(planes, **options)
