"""Crops, mirrors and turns of integers: exact on samples in float64, and what Pillow makes of the pixels."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from dctnet.dct import block_idct
from dctnet.jpeg import lossless
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.reader import read_jpeg
from dctnet.jpeg.writer import write_jpeg
from tests.test_decoder import jpeg, picture
from tests.test_writer import FACTORS, assert_equal, levels, random_image

OPERATIONS = {  # of ours, and of numpy on (rows, columns)
    "horizontal_flip": (lossless.horizontal_flip, np.fliplr),
    "vertical_flip": (lossless.vertical_flip, np.flipud),
    "transpose": (lossless.transpose, np.transpose),
    "rotate 90": (lambda image: lossless.rotate(image, 90), lambda samples: np.rot90(samples, -1)),
    "rotate 180": (lambda image: lossless.rotate(image, 180), lambda samples: np.rot90(samples, 2)),
    "rotate 270": (lambda image: lossless.rotate(image, 270), lambda samples: np.rot90(samples, 1)),
    "rotate -90": (lambda image: lossless.rotate(image, -90), lambda samples: np.rot90(samples, 1)),
}


def samples(image: JPEGImage) -> list[np.ndarray]:
    """The samples of each component that are picture, in float64, of raw coefficients multiplied here."""
    found = []
    for c, plane in enumerate(image.coefficients[: len(image.sampling)]):
        steps = image.quantization[c].to(torch.float64)[:, None, None]
        rows, columns = image.grid.samples(c)
        found.append(block_idct(plane.to(torch.float64) * steps).numpy()[:rows, :columns])
    return found


def assert_samples(image: JPEGImage, truth: list[np.ndarray]) -> None:
    assert len(samples(image)) == len(truth)
    for ours, theirs in zip(samples(image), truth, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-8)


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_whole_mcus_are_moved_exactly(operation, name):
    ours, truth = OPERATIONS[operation]
    height, width = lossless.mcu(random_image(8, 8, FACTORS[name]))
    image = random_image(2 * height, 3 * width, FACTORS[name])
    made = ours(image)
    assert_samples(made, [truth(plane) for plane in samples(image)])
    assert_equal(read_jpeg(write_jpeg(made), dequantize=False), made)  # the planes have the sizes that a file has
    if operation == "transpose":
        assert_equal(lossless.transpose(lossless.transpose(image)), image)


@pytest.mark.parametrize("subsampling", [0, 2])
def test_pillow_shows_moved_pixels(subsampling):
    data = jpeg(picture(48, 80), quality=85, subsampling=subsampling)
    with Image.open(io.BytesIO(data)) as opened:
        before = np.asarray(opened, int)
    for name, (ours, truth) in OPERATIONS.items():
        with Image.open(io.BytesIO(write_jpeg(ours(read_jpeg(data))))) as opened:
            after = np.asarray(opened, int)
        expected = np.stack([truth(before[..., c]) for c in range(3)], -1)
        assert after.shape == expected.shape
        # The inverse DCT rounds rows and columns in turn, and upsampling alternates its biases; mirrors of 4:4:4 see neither.
        exact = subsampling == 0 and ("flip" in name or "180" in name)
        assert np.abs(after - expected).max() <= (0 if exact else 3), name


def test_transposing_needs_no_whole_mcus():
    for name, factors in FACTORS.items():
        image = random_image(30, 41, factors)
        made = lossless.transpose(image)
        assert made.size == (41, 30)
        assert_samples(made, [plane.T for plane in samples(image)])
        assert_equal(read_jpeg(write_jpeg(made), dequantize=False), made)
        assert_equal(lossless.transpose(made), image)
        assert made.sampling == tuple((h, v) for v, h in factors), name


@pytest.mark.parametrize("name", FACTORS)
def test_crops_take_the_samples_of_their_box(name):
    unit = lossless.mcu(random_image(8, 8, FACTORS[name]))
    image = random_image(3 * unit[0] + 5, 3 * unit[1] + 2, FACTORS[name])
    for top, left, height, width in [
        (0, 0, 1, 1),
        (unit[0], 0, 9, 17),
        (unit[0], 2 * unit[1], 2 * unit[0] + 5, unit[1] + 2),  # to the last row and column
        (0, unit[1], unit[0], unit[1]),
    ]:
        made = lossless.crop(image, top, left, height, width)
        assert made.size == (height, width)
        truth = []
        for c, plane in enumerate(samples(image)):
            down, across = image.grid.spacing[c]
            first, start = int(top / down), int(left / across)
            rows, columns = made.grid.samples(c)
            truth.append(plane[first : first + rows, start : start + columns])
        assert_samples(made, truth)
        assert_equal(read_jpeg(write_jpeg(made), dequantize=False), made)


def test_what_is_no_whole_mcu_is_refused_or_trimmed():
    image = random_image(40, 50, FACTORS["4:2:0"])
    with pytest.raises(ValueError, match=r"in MCUs of 16 pixels; its width is 50\. trim cuts it down to 48"):
        lossless.horizontal_flip(image)
    with pytest.raises(ValueError, match=r"its height is 40\. trim cuts it down to 32"):
        lossless.rotate(image, 90)
    with pytest.raises(ValueError, match="begins at multiples of 16 rows and 16 columns; got"):
        lossless.crop(image, 8, 16, 10, 10)
    whole = lossless.crop(image, 0, 0, 40, 48)
    assert_equal(lossless.horizontal_flip(image, trim=True), lossless.horizontal_flip(whole))
    assert lossless.rotate(image, 180, trim=True).size == (32, 48)
    assert lossless.rotate(image, 90, trim=True).size == (50, 32)
    assert lossless.rotate(image, 270, trim=True).size == (48, 40)
    assert_equal(lossless.crop(image, 8, 17, 30, 33, trim=True), lossless.crop(image, 16, 32, 22, 18))
    with pytest.raises(ValueError, match="nothing is left"):
        lossless.crop(image, 1, 1, 15, 30, trim=True)
    with pytest.raises(ValueError, match="less than one"):
        lossless.vertical_flip(random_image(9, 16, FACTORS["4:2:0"]), trim=True)
    assert lossless.vertical_flip(random_image(8, 9, FACTORS["gray 2x2"])).size == (
        8,
        9,
    )  # a gray file's MCU is a block
    for box in ((0, 0, 41, 1), (-16, 0, 16, 16), (0, 0, 0, 5)):
        with pytest.raises(ValueError, match="not inside"):
            lossless.crop(image, *box)
    with pytest.raises(ValueError, match="90, 180 or 270 degrees; got 45"):
        lossless.rotate(image, 45)
    assert lossless.rotate(image, 360) is image


def test_gray_is_luma():
    image = random_image(30, 41, FACTORS["4:2:0"])
    gray = lossless.grayscale(image)
    assert_samples(gray, samples(image)[:1])
    assert_equal(read_jpeg(write_jpeg(gray), dequantize=False), gray)
    assert_equal(lossless.grayscale(gray), gray)
    with pytest.raises(ValueError, match="luma has fewer samples"):
        lossless.grayscale(random_image(30, 41, FACTORS["chroma finer than luma"]))


def test_upright_is_what_pillow_makes_of_the_orientation():
    data = jpeg(picture(32, 48), quality=90, subsampling=0)
    for orientation in range(1, 9):
        image = replace(read_jpeg(data), orientation=orientation)
        with Image.open(io.BytesIO(write_jpeg(image))) as opened:
            truth = np.asarray(ImageOps.exif_transpose(opened), int)
        made = lossless.upright(image)
        assert made.orientation == 1
        with Image.open(io.BytesIO(write_jpeg(made))) as opened:
            assert np.abs(np.asarray(opened, int) - truth).max() <= 2, orientation


def test_dequantized_and_raw_integers_move_alike():
    data = jpeg(picture(32, 48), quality=60)
    for ours, _ in OPERATIONS.values():
        assert write_jpeg(ours(read_jpeg(data))) == write_jpeg(ours(read_jpeg(data, dequantize=False)))


def test_the_end_of_int16_cannot_change_its_sign():
    with pytest.raises(ValueError, match="is -32768"):
        lossless.horizontal_flip(levels(random_image(8, 8, [(1, 1)]), (1, 0, -32768)))
