"""The decoder against libjpeg-turbo, jpeg2dct, and coefficients that were written by the tests' own encoder."""

from __future__ import annotations

import io
import itertools
import warnings

import jpeg2dct.numpy as jpeg2dct
import numpy as np
import pytest
import torch
from PIL import Image

from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.reader import read_jpeg, read_jpegs
from tests.jpeg_writer import (
    ZIGZAG,
    Component,
    ScanSpec,
    Writer,
    dqt,
    flat_huffman,
    random_components,
    segment,
    skewed_huffman,
)
from tests.libjpeg_reference import guarded, reference_of_bytes

DC_SYMBOLS = tuple(range(12))
AC_SYMBOLS = tuple(range(256))


def planes_of(image: JPEGImage) -> list[np.ndarray]:
    """(rows, columns, 64) of each component in the file."""
    return [plane.permute(1, 2, 0).numpy() for plane in image.coefficients][: len(image.sampling)]


def assert_same(ours: list[np.ndarray], theirs: list[np.ndarray], what: object = "") -> None:
    assert [plane.shape for plane in ours] == [plane.shape for plane in theirs], what
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        np.testing.assert_array_equal(a, b, err_msg=f"component {i} of {what}")


def assert_written(data: bytes, writer: Writer) -> JPEGImage:
    """Reading gives back what was written, and what libjpeg-turbo reads.

    jpeglib opens files for pixels first, and libjpeg has none for factors that do not divide the greatest one; there
    the written coefficients are the only truth.
    """
    image = read_jpeg(data, dequantize=False)
    assert image.from_pixels is None
    known = []
    for c, component in enumerate(writer.components):
        rows, columns = writer.in_blocks(c)
        known.append(component.blocks[:rows, :columns])
    assert_same(planes_of(image), known)
    tallest, widest = (max(factors) for factors in zip(*image.sampling, strict=True))
    if all(tallest % v == 0 and widest % h == 0 for v, h in image.sampling):
        assert_same(planes_of(image), reference_of_bytes(data))
    return image


def picture(height: int, width: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Smooth waves with some noise, so that blocks have few and many coefficients."""
    generator = np.random.default_rng([seed, height, width])
    y, x = np.mgrid[:height, :width]
    channels = 1 if mode == "L" else 3
    waves = [128 + 90 * np.sin(y / 5 + c) * np.cos(x / (3 + c)) for c in range(channels)]
    noise = generator.normal(0, 20, (height, width, channels)) * (x > width / 2)[..., None]
    levels = np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(levels[..., 0] if mode == "L" else levels)


def jpeg(image: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


PILLOW_OPTIONS = {
    "4:4:4": {"subsampling": 0, "quality": 96},
    "4:2:2 optimised": {"subsampling": 1, "optimize": True},
    "4:2:0 restarts": {"subsampling": 2, "restart_marker_blocks": 1},
    "4:2:0 quality 100": {"subsampling": 2, "quality": 100},
    "4:4:4 progressive": {"subsampling": 0, "progressive": True, "quality": 95},
    "4:2:0 progressive restarts": {"subsampling": 2, "progressive": True, "restart_marker_rows": 1},
    "4:2:2 quality 1": {"subsampling": 1, "quality": 1},
}


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("name", PILLOW_OPTIONS)
def test_files_by_pillow(name, mode):
    for size in range(1, 41):
        height, width = size, (size * 7) % 41 + 1
        data = jpeg(picture(height, width, mode), **PILLOW_OPTIONS[name])
        image = read_jpeg(data, dequantize=False)
        assert image.size == (height, width)
        assert image.subsampling == ("gray" if mode == "L" else name[:5])
        assert image.progressive == ("progressive" in name)
        assert_same(planes_of(image), reference_of_bytes(data), (name, size))


@pytest.mark.parametrize("progressive", [False, True])
def test_quantization_and_saturation(progressive):
    data = jpeg(picture(50, 67), quality=85, progressive=progressive)
    with Image.open(io.BytesIO(data)) as opened:
        tables = opened.quantization
    raw, scaled = read_jpeg(data, dequantize=False), read_jpeg(data)
    assert (raw.dequantized, scaled.dequantized) == (False, True)
    assert raw.quantization.dtype == torch.uint16
    for c, plane in enumerate(zip(raw.coefficients, scaled.coefficients, strict=True)):
        steps = torch.tensor(tables[min(c, 1)])
        assert raw.quantization[c].int().tolist() == steps.tolist()
        assert torch.equal(plane[0].int() * steps[:, None, None], plane[1].int())


@pytest.mark.parametrize("progressive", [False, True])
def test_wide_steps_saturate_at_int16(progressive):
    generator = np.random.default_rng(0)
    components = random_components(generator, 33, 30, [(1, 1)])
    steps = generator.integers(1, 65536, 64)
    writer = Writer(33, 30, components, {0: flat_huffman(DC_SYMBOLS)}, {0: flat_huffman(AC_SYMBOLS)}, progressive, None)
    writer.sof = None if progressive else 0xC1
    scans = [ScanSpec([0], 0, 0), ScanSpec([0], 1, 63)] if progressive else [ScanSpec([0])]
    data = writer.write(scans, head=dqt(0, steps, wide=True))
    image = assert_written(data, writer)
    assert image.quantization[0].int().tolist() == steps.tolist()
    expected = np.clip(components[0].blocks[: writer.in_blocks(0)[0], : writer.in_blocks(0)[1]] * steps, -32768, 32767)
    assert (np.abs(expected) >= 32767).any()
    assert_same(planes_of(read_jpeg(data)), [expected])


def test_jpeg2dct_reads_the_same():
    for size in (8, 17, 40, 64):
        for mode, channels in (("RGB", 3), ("L", 1)):
            data = jpeg(picture(size, size + 9, mode), quality=80)
            theirs = jpeg2dct.loads(data, channels=channels)
            ours = planes_of(read_jpeg(data))
            assert_same(ours, [np.asarray(plane) for plane in theirs][: len(ours)], (size, mode))


FACTORS = [
    *[((v, h), (1, 1), (1, 1)) for v, h in itertools.product((1, 2, 3, 4), repeat=2)],
    ((1, 1), (2, 2), (1, 1)),
    ((1, 1), (1, 2), (2, 1)),
    ((2, 1), (1, 2), (1, 1)),
    ((1, 2), (2, 1), (3, 1)),
    ((1, 1), (1, 1), (1, 4)),
    ((3, 1), (1, 1), (2, 1)),
    ((2, 2), (2, 1), (1, 2)),
    ((1, 1), (4, 4), (1, 1)),
    ((3, 3), (4, 4), (2, 1)),
    ((2, 2), (2, 2), (1, 1)),
]
TABLES = [
    {0: flat_huffman(DC_SYMBOLS), 1: skewed_huffman(DC_SYMBOLS)},
    {0: flat_huffman(AC_SYMBOLS), 1: skewed_huffman(AC_SYMBOLS)},
]


@pytest.mark.parametrize("factors", FACTORS, ids=lambda f: ",".join(f"{h}x{v}" for v, h in f))
@pytest.mark.parametrize("progressive", [False, True], ids=["sequential", "progressive"])
def test_sampling_factors(factors, progressive):
    generator = np.random.default_rng([7, progressive])
    for height, width, restart in ((1, 1, 0), (37, 50, 3), (64, 33, 1)):
        writer = Writer(height, width, random_components(generator, height, width, factors), *TABLES, progressive)
        last = 0 if progressive else 63
        scans = [ScanSpec([c], 0, last, restart=restart, tables=[(c > 0, c > 0)]) for c in range(3)]
        if sum(v * h for v, h in factors) <= 10:
            scans = [ScanSpec([0, 1, 2], 0, last, restart=restart, tables=((0, 1), (1, 0), (1, 1)))]
        if progressive:
            scans += [ScanSpec([c], 1, 63, restart=restart, tables=[(0, c > 0)]) for c in (1, 2, 0)]
        head = dqt(0, range(1, 65)) + dqt(1, range(2, 66))
        image = assert_written(writer.write(scans, head=head), writer)
        assert image.sampling == factors


def test_gray_with_factors_is_not_interleaved():
    for factors in ((2, 2), (1, 4), (3, 2)):
        writer = Writer(21, 35, random_components(np.random.default_rng(1), 21, 35, [factors]), *TABLES)
        image = assert_written(writer.write([ScanSpec([0], restart=4)], head=dqt(0, [1] * 64)), writer)
        assert image.subsampling == "gray"
        assert image.coefficients.cb.shape == (64, 2, 3)
        assert not image.coefficients.cb.any()
        assert not image.coefficients.cr.any()


def test_scans_of_two_components_and_tables_that_change():
    writer = Writer(40, 41, random_components(np.random.default_rng(2), 40, 41, [(2, 1), (1, 2), (1, 1)]), *TABLES)
    other = flat_huffman(AC_SYMBOLS[::-1])
    first = ScanSpec([0, 2], restart=5, tables=((0, 0), (1, 1)))
    data = writer.write([first], head=dqt(0, [3] * 64) + dqt(1, [4] * 64), tail=b"")
    # The quantisation table that is in force at a component's first scan counts; so does the Huffman table.
    writer.ac = {0: other}
    second = writer.write([ScanSpec([1])], tail=b"\xff\xd9")
    second = second[second.index(b"\xff\xda") :]
    data += other.segment(True, 0) + dqt(1, [5] * 64) + segment(0xDD, b"\0\0") + second
    image = assert_written(data, writer)
    assert [int(q[0]) for q in image.quantization.int()] == [3, 5, 4]


PROGRESSIONS = {
    "bands": [(0, 0, 0, 0), (1, 5, 0, 0), (6, 20, 0, 0), (21, 63, 0, 0)],
    "bits": [(0, 0, 0, 1), (1, 63, 0, 3), (1, 63, 3, 2), (0, 0, 1, 0), (1, 63, 2, 1), (1, 63, 1, 0)],
    "every coefficient": [(0, 0, 0, 0), *[(k, k, 0, 0) for k in range(1, 64)]],
    "bands and bits": [
        *[(0, 0, 0, 2), (1, 2, 0, 1), (3, 63, 0, 2), (0, 0, 2, 1), (3, 40, 2, 1), (41, 63, 2, 1)],
        *[(1, 2, 1, 0), (3, 63, 1, 0), (0, 0, 1, 0)],
    ],
    "deep": [(0, 0, 0, 10), *[(0, 0, b + 1, b) for b in range(9, -1, -1)], (1, 63, 0, 9)]
    + [(1, 63, b + 1, b) for b in range(8, -1, -1)],
}


@pytest.mark.parametrize("sparse", [0.3, 0.97])
@pytest.mark.parametrize("restart", [0, 1, 7])
@pytest.mark.parametrize("name", PROGRESSIONS)
def test_progressions(name, restart, sparse):
    generator = np.random.default_rng([3, restart])
    components = random_components(generator, 45, 60, [(2, 2), (1, 1), (1, 1)], sparse)
    writer = Writer(45, 60, components, *TABLES, progressive=True)
    scans = []
    for number, (first, last, high, low) in enumerate(PROGRESSIONS[name]):
        together = [[0, 1, 2]] if first == 0 else [[0], [2], [1]]
        tables = [(number % 2, number % 2)] * 3
        scans += [ScanSpec(c, first, last, high, low, restart, tables=tables) for c in together]
    assert_written(writer.write(scans, head=dqt(0, [2] * 64) + dqt(1, [3] * 64)), writer)


def test_runs_of_ended_blocks_over_many_rows():
    # 190 x 190 blocks, all but a few empty: runs longer than 32767 blocks, in first and refining passes.
    blocks = np.zeros((190, 190, 64), dtype=np.int64)
    blocks[0, 3, 5], blocks[100, 7, 60], blocks[189, 189, 1] = 4, -7, 9
    writer = Writer(1520, 1520, [Component(1, 1, blocks, 1)], *TABLES, progressive=True)
    scans = [ScanSpec([0], 0, 0), ScanSpec([0], 1, 63, 0, 2), ScanSpec([0], 1, 63, 2, 1), ScanSpec([0], 1, 63, 1, 0)]
    assert_written(writer.write(scans, head=dqt(0, [1] * 64)), writer)


def small(**options) -> tuple[Writer, bytes]:
    writer = Writer(20, 20, random_components(np.random.default_rng(4), 20, 20, [(1, 1)] * 3), *TABLES, **options)
    return writer, dqt(0, [1] * 64) + dqt(1, [1] * 64)


BETWEEN = {
    "fill bytes": lambda data: data.replace(b"\xff\xda", b"\xff" * 5 + b"\xda"),
    "bytes before a marker": lambda data: data.replace(b"\xff\xda", b"\x00\x12\xff\x00\x34\xff\xda"),
    "bytes after the data": lambda data: data[:-2] + b"\x01\x02\x03" + data[-2:],
    "a stray restart marker": lambda data: data[:-2] + b"\xff\xd3" + data[-2:],
    "no EOI": lambda data: data[:-2],
    "half an EOI": lambda data: data[:-1],
    "bytes after EOI": lambda data: data + b"\xff\xd8 and so on",
    "comments": lambda data: data[:2] + segment(0xFE, b"\xff\xd9\xff\xda") + segment(0xEF, b"") + data[2:],
    "fill within the data": lambda data: data[:-2].replace(b"\xff\x00", b"\xff\xff\xff\x00") + data[-2:],
}


@pytest.mark.parametrize("name", BETWEEN)
def test_what_libjpeg_passes_over(name):
    writer, head = small()
    data = BETWEEN[name](writer.write([ScanSpec([0, 1, 2])], head=head))
    assert_written(data, writer)


def test_comments_of_impossible_length_are_empty():
    """As for Pillow's libjpeg-turbo; jpeglib, which keeps the comments, refuses the file."""
    writer, head = small()
    data = writer.write([ScanSpec([0, 1, 2])], head=head)
    odd = data[:2] + b"\xff\xfe\x00\x00" + b"\xff\xe5\x00\x01" + data[2:]
    assert_same(planes_of(read_jpeg(odd, dequantize=False)), [component.blocks for component in writer.components])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(odd))), np.asarray(Image.open(io.BytesIO(data))))


def test_components_with_one_identifier():
    writer, head = small()
    for component in writer.components:
        component.identifier = 7
    image = read_jpeg(writer.write([ScanSpec([0, 1, 2])], head=head), dequantize=False)
    assert_same(planes_of(image), [component.blocks for component in writer.components])


def test_motion_jpeg_without_huffman_tables():
    data = jpeg(picture(40, 40), quality=60)
    without = data
    while (start := without.find(b"\xff\xc4")) >= 0:
        without = without[:start] + without[start + 2 + int.from_bytes(without[start + 2 : start + 4], "big") :]
    assert len(without) < len(data) - 400
    assert_same(planes_of(read_jpeg(without, dequantize=False)), reference_of_bytes(data))


def compare_folder(paths, folder):
    """Asserts that raw integers agree wherever both read a file; gives (compared, only we, only libjpeg)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libjpeg's and our own words on damaged files
        images = read_jpegs(paths, on_error="skip", dequantize=False)
    theirs = guarded(paths, folder)
    ours = {path: image for path, image in zip(paths, images, strict=True) if image and not image.from_pixels}
    both = [path for path in paths if path in ours and path in theirs]
    for path in both:
        assert_same(planes_of(ours[path]), theirs[path], path.name)
    return len(both), len(ours) - len(both), len(theirs) - len(both)


def test_imagenet_samples(real_data, tmp_path):
    paths = sorted((real_data / "imagenet_samples").glob("*.jpg"))
    compared, _, _ = compare_folder(paths, tmp_path)
    assert compared == len(paths) >= 200


def test_unusual_and_damaged_files(real_data, tmp_path):
    paths = [path for path in sorted((real_data / "edge_jpegs").iterdir()) if path.suffix.lower() in (".jpg", ".jpeg")]
    compared, only_ours, only_theirs = compare_folder(paths, tmp_path)
    print(f"{len(paths)} files: {compared} compared, {only_ours} only ours, {only_theirs} only libjpeg-turbo")
    assert compared >= 125
    assert only_ours <= 3


def test_zigzag_of_the_tests_is_the_standard_one():
    # Figure A.6 of T.81, its first and last entries.
    assert ZIGZAG[:10].tolist() == [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]
    assert ZIGZAG[-4:].tolist() == [47, 55, 62, 63]


def test_every_error_is_of_one_sort():
    for damaged in (b"", b"\xff\xd8", b"\xff\xd8\xff\xd9"):
        with pytest.raises(JPEGError):
            read_jpeg(damaged)
