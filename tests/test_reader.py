"""The reader: sources, errors, memory, what an image says about itself."""

from __future__ import annotations

import gc
import io
import math
import pickle
import threading
import warnings
import weakref
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dctnet.coefficients import Coefficients
from dctnet.jpeg import _native, reader
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.reader import read_jpeg, read_jpegs
from tests.test_decoder import jpeg, picture


def same(a: JPEGImage, b: JPEGImage) -> bool:
    planes = zip(a.coefficients, b.coefficients, strict=True)
    return a.size == b.size and all(torch.equal(x, y) for x, y in planes)


def test_sources_of_every_sort(tmp_path):
    data = jpeg(picture(30, 40))
    path = tmp_path / "ümlaut name.jpg"
    path.write_bytes(data)
    sources = [data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8), str(path), path]
    images = read_jpegs(sources)
    assert all(same(image, images[0]) for image in images)
    assert [image.source for image in images] == ["<bytes>"] * 4 + [str(path)] * 2


def test_fields_of_an_image():
    image = read_jpeg(jpeg(picture(33, 50), quality=70, subsampling=1, progressive=True))
    assert isinstance(image.coefficients, Coefficients)
    assert [tuple(plane.shape) for plane in image.coefficients] == [(64, 5, 7), (64, 5, 4), (64, 5, 4)]
    assert all(plane.dtype == torch.int16 for plane in image.coefficients)
    assert image.coefficients.y.stride() == (1, 7 * 64, 64)  # blocks contiguous
    assert (image.size, image.sampling) == ((33, 50), ((1, 2), (1, 1), (1, 1)))
    assert (image.subsampling, image.progressive, image.dequantized) == ("4:2:2", True, True)
    assert image.from_pixels is None
    one, two = Fraction(1), Fraction(2)
    assert image.grid.spacing == ((one, one), (one, two), (one, two))
    with pytest.raises(AttributeError):
        image.size = (1, 1)
    assert same(pickle.loads(pickle.dumps(image)), image)


@pytest.mark.parametrize(
    ("sampling", "name"),
    [
        (((1, 1),), "gray"),
        (((2, 2),), "gray"),
        (((1, 1), (1, 1), (1, 1)), "4:4:4"),
        (((2, 2), (2, 2), (2, 2)), "4:4:4"),
        (((1, 2), (1, 1), (1, 1)), "4:2:2"),
        (((2, 2), (2, 1), (2, 1)), "4:2:2"),
        (((2, 2), (1, 1), (1, 1)), "4:2:0"),
        (((2, 1), (1, 1), (1, 1)), "4:4:0"),
        (((1, 4), (1, 1), (1, 1)), "4:1:1"),
        (((2, 4), (1, 1), (1, 1)), "4:1:0"),
        (((2, 2), (1, 2), (1, 1)), "2x2,2x1,1x1"),
        (((1, 1), (2, 1), (1, 1)), "1x1,1x2,1x1"),
    ],
)
def test_names_of_subsampling(sampling, name):
    image = JPEGImage(None, (8, 8), sampling, None, True, False, 1, "x")
    assert image.subsampling == name


def test_grid_counts_the_samples_of_libjpeg():
    # Spacing of the chroma of 3x1 luma against 1x1 and 2x1: fractions. ceil(size / spacing) are T.81's sample counts (A.1.1).
    image = JPEGImage(None, (17, 50), ((1, 3), (2, 1), (1, 2)), None, True, False, 1, "x")
    assert image.grid.spacing == (
        (Fraction(2), Fraction(1)),
        (Fraction(1), Fraction(3)),
        (Fraction(2), Fraction(3, 2)),
    )
    assert [image.grid.samples(c) for c in range(3)] == [(9, 50), (17, 17), (9, 34)]


def test_gray_files_have_empty_chroma():
    for height, width in ((1, 1), (16, 16), (17, 33), (8, 100)):
        image = read_jpeg(jpeg(picture(height, width, "L")))
        chroma = (64, math.ceil(math.ceil(height / 2) / 8), math.ceil(math.ceil(width / 2) / 8))
        assert image.coefficients.cb.shape == image.coefficients.cr.shape == chroma
        assert not image.coefficients.cb.any()
        assert not image.coefficients.cr.any()
        assert image.quantization.shape == (1, 64)
        assert image.grid.spacing[1:] == ((2, 2), (2, 2))


def exif(order: str, value: int, kind: int = 3, tag: int = 0x0112, count: int = 1) -> bytes:
    """APP1 content: a TIFF header and a directory of two entries, the second the orientation."""
    name = {"big": b"MM", "little": b"II"}[order]

    def number(n: int, size: int) -> bytes:
        return n.to_bytes(size, order)

    size = 2 if kind == 3 else 4
    entries = number(0x010F, 2) + number(2, 2) + number(4, 4) + b"abc\0"
    entries += number(tag, 2) + number(kind, 2) + number(count, 4) + number(value, size).ljust(4, b"\0")
    return b"Exif\0\0" + name + number(42, 2) + number(8, 4) + number(2, 2) + entries + number(0, 4)


@pytest.mark.parametrize("order", ["big", "little"])
def test_orientation(order):
    for value in range(1, 9):
        data = jpeg(picture(9, 9), exif=exif(order, value))
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.getexif()[0x0112] == value
        assert read_jpeg(data).orientation == value
        assert read_jpeg(jpeg(picture(9, 9), exif=exif(order, value, kind=4))).orientation == value


def test_orientation_is_1_on_nonsense():
    good = exif("big", 6)
    nonsense = [
        exif("big", 0),
        exif("big", 9),
        exif("little", 6, tag=0x0113),
        exif("big", 6, kind=2),
        exif("big", 6, count=2),
    ]
    nonsense += [
        good.replace(b"MM", b"XX"),
        good.replace(b"\0*", b"\0+"),
        good[:14],
        good[:20],
        good[:-10],
        b"Exif\0\0",
    ]
    nonsense.append(good.replace(b"\0\0\0\x08", b"\xff\xff\xff\xf0"))
    for block in nonsense:
        assert read_jpeg(jpeg(picture(9, 9), exif=block)).orientation == 1
    assert read_jpeg(jpeg(picture(9, 9))).orientation == 1


def test_threads_change_nothing(tmp_path):
    sources = [jpeg(picture(8 + i, 40 + i, seed=i), quality=50 + i, progressive=i % 3 == 0) for i in range(40)]
    one = read_jpegs(sources, threads=1)
    for threads in (2, 5, 100):
        many = read_jpegs(sources, threads=threads)
        assert all(same(a, b) for a, b in zip(one, many, strict=True))
    assert read_jpegs([]) == []


def test_python_threads_may_read_at_once():
    sources = [jpeg(picture(30, 30, seed=i)) for i in range(10)]
    expected, wrong = read_jpegs(sources), []

    def work():
        for _ in range(20):
            images = read_jpegs(sources, threads=2)
            wrong.extend(1 for a, b in zip(images, expected, strict=True) if not same(a, b))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_first_error_is_raised_or_skipped(tmp_path):
    good, bad = jpeg(picture(9, 9)), b"\xff\xd8\xff\xd9"
    missing = tmp_path / "missing.jpg"
    (tmp_path / "bad.jpg").write_bytes(bad)
    images = read_jpegs([good, tmp_path / "bad.jpg", missing, good], on_error="skip")
    assert [image is None for image in images] == [False, True, True, False]
    with pytest.raises(JPEGError, match=r"bad\.jpg, byte 4: the image ends before its first scan") as caught:
        read_jpegs([good, tmp_path / "bad.jpg", missing])
    assert (caught.value.source, caught.value.offset) == (str(tmp_path / "bad.jpg"), 4)
    with pytest.raises(FileNotFoundError) as caught:
        read_jpegs([good, missing, bad])
    with pytest.raises(FileNotFoundError) as by_open:
        missing.open("rb")
    assert str(caught.value) == str(by_open.value)
    with pytest.raises(IsADirectoryError):
        read_jpeg(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        {"sources": "a.jpg"},
        {"sources": b"abc"},
        {"sources": Path("a.jpg")},
        {"sources": [3]},
        {"sources": [None]},
        {"sources": ["a\0b"]},
        {"sources": [np.zeros((4, 4), np.uint8)[:, ::2]]},
        {"sources": [], "threads": 0},
        {"sources": [], "threads": 1.5},
        {"sources": [], "threads": True},
        {"sources": [], "max_pixels": 0},
        {"sources": [], "on_error": "ignore"},
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError):
        read_jpegs(**arguments)


def test_max_pixels_counts_the_frame():
    data = jpeg(picture(20, 30))
    assert read_jpeg(data, max_pixels=600).size == (20, 30)
    with pytest.raises(JPEGError, match="20x30 pixels, more than max_pixels = 599"):
        read_jpeg(data, max_pixels=599)


def test_the_collector_sees_a_picture_once_it_has_fields():
    """Thousands without fields would cost it time for nothing; with fields a picture may be part of a cycle."""
    (image,) = read_jpegs([jpeg(picture(40, 50))])
    assert not gc.is_tracked(image)
    quantization = image.quantization
    assert gc.is_tracked(image)
    quantization.picture = image  # a cycle: the picture holds the tensor
    freed = []
    weakref.finalize(quantization, freed.append, True)
    del image, quantization
    gc.collect()
    assert freed == [True]


def test_memory_is_reused_but_never_shared():
    first = jpeg(picture(400, 400, seed=1), quality=95)
    second = jpeg(picture(400, 400, seed=2), quality=95)
    kept = read_jpeg(first)
    copy = kept.coefficients.map(torch.clone)
    view = kept.coefficients.cb[3:5]  # part of an image keeps all of it alive
    expected = view.clone()
    for _ in range(5):
        other = read_jpeg(second)
        assert all(torch.equal(a, b) for a, b in zip(kept.coefficients, copy, strict=True))
    del kept, other
    gc.collect()
    read_jpegs([second] * 4)
    assert torch.equal(view, expected)
    del view
    gc.collect()
    held = _native.pooled_bytes()
    assert held > 0
    image = read_jpeg(first)
    assert _native.pooled_bytes() < held
    del image
    gc.collect()
    assert _native.pooled_bytes() == held


def test_pool_is_bounded():
    data = jpeg(picture(64, 64).resize((2400, 2400)), quality=20)
    images = read_jpegs([data] * 10)
    del images
    gc.collect()
    assert _native.pooled_bytes() <= 128 * 2**20


def test_a_full_pool_makes_room_for_the_sizes_that_are_wanted():
    images = read_jpegs([jpeg(picture(64, 64).resize((2400, 2400)), quality=20)] * 10)
    del images
    gc.collect()
    small = jpeg(picture(700, 900))
    read_jpeg(small)
    gc.collect()
    held = _native.pooled_bytes()
    image = read_jpeg(small)
    assert _native.pooled_bytes() < held and image.size == (700, 900)  # it had kept that memory


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_other_kinds_come_through_pixels(monkeypatch, tmp_path):
    monkeypatch.setattr(reader, "_through_pixels", 0)
    path = tmp_path / "really_a_png.JPEG"
    path.write_bytes(png(picture(20, 30)))
    with pytest.warns(UserWarning, match="really_a_png.JPEG: not a JPEG file") as caught:
        image = read_jpeg(path)
    assert len(caught) == 1
    assert image.from_pixels.startswith("not a JPEG file")
    assert (image.size, image.subsampling) == ((20, 30), "4:4:4")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = read_jpegs(
            [jpeg(picture(9, 9).convert("CMYK")), jpeg(picture(9, 9), keep_rgb=True), b"GIF"], on_error="skip"
        )
    assert "CMYK" in images[0].from_pixels
    assert "RGB" in images[1].from_pixels
    assert images[2] is None
    assert reader.through_pixels_count() == 3


def test_damaged_files_never_come_through_pixels(monkeypatch):
    monkeypatch.setattr(reader, "image_through_pixels", lambda *_: pytest.fail("read through pixels"))
    data = jpeg(picture(40, 40))
    for damaged in (data[: len(data) // 2], data[:100], b"", data.replace(b"\xff\xda", b"\xff\xdc", 1)):
        with pytest.raises(JPEGError):
            read_jpeg(damaged)


def test_orientations_of_real_files_are_those_that_pillow_reads(real_data):
    checked = 0
    for path in sorted((real_data / "edge_jpegs").iterdir()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = read_jpegs([path], on_error="skip")[0] if path.suffix != ".md" else None
            if image is None or image.from_pixels:
                continue
            try:
                with Image.open(path) as opened:
                    expected = opened.getexif().get(0x0112, 1)
            except (OSError, SyntaxError):
                continue
        assert image.orientation == (expected if expected in range(1, 9) else 1), path.name
        checked += image.orientation != 1
    assert checked >= 10
