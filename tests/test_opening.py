"""What a thread keeps of the beginnings of files changes nothing: a thread that has read none is the truth, and libjpeg."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.reader import read_jpeg
from tests.libjpeg_reference import reference_of_bytes
from tests.test_decoder import assert_same, jpeg, picture, planes_of

KEPT = 8  # opening.cpp
KINDS = {"baseline": {}, "progressive": {"progressive": True}, "restarts": {"restart_marker_blocks": 1}}


def outcome(data: bytes, **options) -> tuple:
    """Everything that reading says, as values to compare."""
    try:
        image = read_jpeg(data, dequantize=False, **options)
    except JPEGError as error:
        return ("error", str(error))
    planes = [plane.tobytes() for plane in planes_of(image)]
    steps = image.quantization.numpy().tobytes()
    return (planes, steps, image.size, image.sampling, image.progressive, image.orientation, image.from_pixels)


def fresh(data: bytes, **options) -> tuple:
    """``outcome`` on a thread that has read nothing before."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(outcome, data, **options).result()


def scan_of(data: bytes) -> int:
    """Where the first scan header ends."""
    at = data.index(b"\xff\xda") + 2
    return at + int.from_bytes(data[at : at + 2], "big")


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_that_begin_alike_are_read_each_by_its_own_scan(kind):
    # Without tables of their own, the files of one size differ behind the scan header alone.
    options = {"quality": 80, "subsampling": 2, **KINDS[kind]}
    pixels = np.asarray(picture(32, 32, "RGB"))
    files = [jpeg(Image.fromarray(np.roll(pixels, shift, (0, 1))), **options) for shift in range(6)]
    if kind != "progressive":  # whose tables are made for each picture
        assert len({data[: scan_of(data)] for data in files}) == 1
    for data in files + files[::-1]:
        assert_same(planes_of(read_jpeg(data, dequantize=False)), reference_of_bytes(data), kind)


def test_more_sizes_than_are_kept():
    files = [jpeg(picture(8 + 8 * i, 24, "RGB"), quality=70) for i in range(2 * KEPT + 1)]
    truth = [fresh(data) for data in files]
    for order in (range(len(files)), range(len(files) - 1, -1, -1), [0, 1, 0, 9, 0, 1, 16, 9]):
        assert [outcome(files[i]) for i in order] == [truth[i] for i in order]


@pytest.mark.parametrize("kind", KINDS)
def test_damage_behind_and_within_a_kept_beginning(kind):
    data = jpeg(picture(24, 24, "RGB"), quality=60, subsampling=2, **KINDS[kind])
    random = np.random.default_rng(3)
    damaged = [data[:length] for length in range(2, len(data), 7)]
    for at in range(2, len(data), 5):
        changed = bytearray(data)
        changed[at] ^= 1 << int(random.integers(8))
        damaged.append(bytes(changed))
    assert outcome(data)[0] != "error"
    told = {True: 0, False: 0}
    for bytes_of in damaged:
        outcome(data)  # its beginning is kept now
        first = outcome(bytes_of)
        assert outcome(bytes_of) == first == fresh(bytes_of)
        told[first[0] == "error"] += 1
    assert min(told.values()) > 10


def test_a_kept_beginning_still_asks_for_the_number_of_pixels():
    data = jpeg(picture(40, 40, "RGB"), quality=70)
    assert outcome(data) == fresh(data)
    refused = outcome(data, max_pixels=40 * 40 - 1)
    assert refused == fresh(data, max_pixels=40 * 40 - 1)
    assert refused[0] == "error" or refused[-1] is not None
    assert outcome(data, max_pixels=40 * 40) == outcome(data)
