"""The writer: files that read as the same integers, here, by libjpeg-turbo, and by Pillow as the same pixels."""

from __future__ import annotations

import heapq
import io
import itertools
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dctnet.coefficients import Coefficients
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.pixels import to_pixels
from dctnet.jpeg.reader import read_jpeg, read_jpegs
from dctnet.jpeg.writer import write_jpeg, write_jpegs
from tests.jpeg_writer import ZIGZAG, Writer, random_components
from tests.libjpeg_reference import reference_of_bytes
from tests.test_decoder import PILLOW_OPTIONS, assert_same, jpeg, picture, planes_of

FACTORS = {
    "gray": [(1, 1)],
    "gray 2x2": [(2, 2)],
    "4:4:4": [(1, 1), (1, 1), (1, 1)],
    "4:2:0": [(2, 2), (1, 1), (1, 1)],
    "4:2:2": [(1, 2), (1, 1), (1, 1)],
    "4:4:0": [(2, 1), (1, 1), (1, 1)],
    "4:1:1": [(1, 4), (1, 1), (1, 1)],
    "4:1:0": [(2, 4), (1, 1), (1, 1)],
    "chroma finer than luma": [(1, 1), (2, 2), (1, 2)],
    "12 blocks an MCU": [(2, 2), (2, 2), (2, 2)],
    "thirds": [(3, 1), (1, 3), (3, 3)],
    "that do not divide": [(3, 2), (2, 3), (1, 1)],
    "48 blocks an MCU": [(4, 4), (4, 4), (4, 4)],
}
SIZES = [(1, 1), (8, 8), (17, 33), (30, 41), (64, 16)]


def random_image(height: int, width: int, factors: list[tuple[int, int]], seed: int = 0, **fields) -> JPEGImage:
    """An image of raw random integers, and steps of 1 to 16 that differ between the components."""
    generator = np.random.default_rng(seed)
    components = random_components(generator, height, width, factors)
    writer = Writer(height, width, components, {}, {})
    planes = []
    for c, component in enumerate(components):
        rows, columns = writer.in_blocks(c)
        planes.append(component.blocks[:rows, :columns].astype(np.int16))
    if len(factors) == 1:
        planes += [np.zeros((-(-height // 16), -(-width // 16), 64), np.int16)] * 2
    steps = torch.from_numpy(generator.integers(1, 17, (len(factors), 64)).astype(np.uint16))
    coefficients = Coefficients(*(torch.from_numpy(plane).permute(2, 0, 1) for plane in planes))
    image = JPEGImage(coefficients, (height, width), tuple(factors), steps, False, False, 1, "made")
    return replace(image, **fields)


def assert_equal(a: JPEGImage, b: JPEGImage) -> None:
    for name, x, y in zip(Coefficients._fields, a.coefficients, b.coefficients, strict=True):
        assert torch.equal(x, y), name
    assert a.quantization.tolist() == b.quantization.tolist()
    assert (a.size, a.sampling, a.orientation) == (b.size, b.sampling, b.orientation)


def segments(data: bytes) -> list[tuple[int, bytes]]:
    """(marker, content) of every segment; of SOS also the entropy-coded data that follow."""
    found, at = [], 2
    while data[at + 1] != 0xD9:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        if data[at + 1] == 0xDA:
            while not (data[end] == 0xFF and data[end + 1] not in (0, *range(0xD0, 0xD8))):
                end += 1
        found.append((data[at + 1], data[at + 4 : end]))
        at = end
    assert data[at:] == b"\xff\xd9"
    return found


@pytest.mark.parametrize("name", FACTORS)
def test_written_integers_are_read_again_here_and_by_libjpeg(name):
    factors = FACTORS[name]
    tallest, widest = (max(pair) for pair in zip(*factors, strict=True))
    for seed, size in enumerate(SIZES):
        image = random_image(*size, factors, seed)
        for restart_interval in (0, 1, 3):
            data = write_jpeg(image, restart_interval=restart_interval)
            assert_equal(read_jpeg(data, dequantize=False), image)
            if all(tallest % v == 0 and widest % h == 0 for v, h in factors):  # jpeglib has no other way to open a file
                assert_same(planes_of(image), reference_of_bytes(data), size)
        scaled = read_jpeg(data)
        assert_equal(read_jpeg(write_jpeg(scaled), dequantize=False), image)
        scans = [content[0] for marker, content in segments(data) if marker == 0xDA]
        blocks = sum(v * h for v, h in factors)
        assert scans == ([1] * len(factors) if len(factors) == 1 or blocks > 10 else [3])


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("name", PILLOW_OPTIONS)
def test_pillow_shows_the_same_pixels(name, mode):
    for height, width in ((1, 1), (8, 8), (17, 33), (40, 23)):
        data = jpeg(picture(height, width, mode), **PILLOW_OPTIONS[name])
        written = write_jpeg(read_jpeg(data))
        with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(written)) as after:
            assert (after.mode, after.size, after.info["jfif"]) == (before.mode, before.size, 257)
            np.testing.assert_array_equal(np.asarray(before), np.asarray(after))
            tables = [read_jpeg(file).quantization.tolist() for file in (data, written)]
            assert tables[0] == tables[1]
            assert after.quantization[0] == before.quantization[0]


def test_an_incomplete_progressive_file_is_shown_without_smoothing():
    """libjpeg smooths blocks of which no scan has brought the AC coefficients; they are zero all the same, and written so."""
    whole = jpeg(picture(64, 80, "L"), progressive=True)
    scans = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    tables = whole.index(b"\xff\xc4", scans[0])  # those of the second scan
    coarse = whole[:tables] + b"\xff\xd9"
    image = read_jpeg(coarse)
    written = write_jpeg(image)
    assert_equal(read_jpeg(written), image)
    assert image.coefficients.y[0].any() and not image.coefficients.y[1:].any()
    flat = np.clip(np.rint(image.coefficients.y[0].numpy() / 8 + 128), 0, 255).repeat(8, 0).repeat(8, 1)
    assert np.abs(np.asarray(Image.open(io.BytesIO(written)), int) - flat).max() <= 1  # each block one gray level
    assert np.abs(np.asarray(Image.open(io.BytesIO(coarse)), int) - flat).max() > 10


@pytest.mark.parametrize("quality", [20, 75, 95])
def test_files_are_as_small_as_libjpeg_makes_them(quality):
    for mode, subsampling in (("RGB", 0), ("RGB", 2), ("L", 0)):
        data = jpeg(picture(240, 320, mode), quality=quality, subsampling=subsampling, optimize=True)
        # The order of symbols that occur equally often decides how often FF has to be stuffed.
        assert len(data) * 0.999 < len(write_jpeg(read_jpeg(data))) < len(data) * 1.001


def test_padding_repeats_the_dc_of_the_block_before():
    image = random_image(8, 8, [(2, 2), (1, 1), (1, 1)])
    luma = next(content for marker, content in segments(write_jpeg(image)) if marker == 0xC4 and content[0] == 0)
    # Three of four differences are 0, so their symbol has the one code of one bit.
    assert (luma[1], luma[17]) == (1, 0)


def unlimited_cost(counts: list[int]) -> int:
    """Bits of Huffman's code (1952) for the counts and one symbol more that never occurs, as the all-ones code stands for."""
    heap = [*counts, 0]
    heapq.heapify(heap)
    cost = 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        cost += both
        heapq.heappush(heap, both)
    return cost


def annex_k_cost(counts: list[int]) -> int:
    """Bits of the code that T.81 makes in K.2: Huffman's, cut to 16 bits as in figure K.3."""
    heap = [(count, [i]) for i, count in enumerate([*counts, 0])]
    heapq.heapify(heap)
    lengths = [0] * len(heap)
    while len(heap) > 1:
        (a, first), (b, second) = heapq.heappop(heap), heapq.heappop(heap)
        for i in first + second:
            lengths[i] += 1
        heapq.heappush(heap, (a + b, first + second))
    bits = Counter(lengths)
    for length in range(max(lengths), 16, -1):
        while bits[length]:
            shorter = next(j for j in range(length - 2, 0, -1) if bits[j])
            bits[length] -= 2
            bits[length - 1] += 1
            bits[shorter + 1] += 2
            bits[shorter] -= 1
    ordered = sorted(length for length, count in bits.items() for _ in range(count))
    return sum(count * length for count, length in zip(sorted(counts, reverse=True), ordered, strict=False))


@pytest.mark.parametrize("symbols", [1, 2, 5, 18, 24, 100])
def test_codes_are_the_shortest_of_16_bits(symbols):
    # AC symbols (run 0, size s) ... with Fibonacci's numbers as counts, for which Huffman's codes are the longest.
    counts = [1, 1]
    while len(counts) < symbols:
        counts.append(counts[-1] + counts[-2] if len(counts) < 24 else 7)
    pairs = [(run, size) for size in range(1, 11) for run in range(15)][: symbols - 1]
    blocks = []
    for (run, size), count in zip(pairs, counts, strict=False):
        for start in range(0, count, 63 // (run + 1)):
            block = np.zeros(64, np.int16)
            for i in range(min(63 // (run + 1), count - start)):
                block[ZIGZAG[(run + 1) * (i + 1)]] = 1 << (size - 1)
            blocks.append(block)
    blocks = np.stack(blocks or [np.zeros(64, np.int16)])
    plane = np.zeros((-(-len(blocks) // 100), 100, 64), np.int16)
    plane.reshape(-1, 64)[: len(blocks)] = blocks
    size = (plane.shape[0] * 8, 800)
    gray = [torch.zeros(64, -(-size[0] // 16), 50, dtype=torch.int16)] * 2
    image = replace(
        random_image(1, 1, [(1, 1)]),
        coefficients=Coefficients(torch.from_numpy(plane).permute(2, 0, 1), *gray),
        size=size,
    )
    data = write_jpeg(image)
    assert_equal(read_jpeg(data, dequantize=False), image)

    table = next(content for marker, content in segments(data) if marker == 0xC4 and content[0] == 0x10)
    lengths = [length for length in range(1, 17) for _ in range(table[length])]
    assert sum(2.0**-length for length in lengths) < 1  # so no code is all ones
    occurrences = Counter()
    for block in plane.reshape(-1, 64):
        places = [0, *np.flatnonzero(block[ZIGZAG])]
        for before, at in itertools.pairwise(places):
            occurrences[(at - before - 1) << 4 | int(block[ZIGZAG[at]]).bit_length()] += 1
        occurrences[0] += places[-1] != 63
    codes = dict(zip(table[17:], lengths, strict=True))
    assert set(codes) == {symbol for symbol, count in occurrences.items() if count}
    cost = sum(count * codes[symbol] for symbol, count in occurrences.items() if count)
    shown = [count for count in occurrences.values() if count]
    assert unlimited_cost(shown) <= cost <= annex_k_cost(shown)
    if symbols == 24:
        assert max(lengths) == 16
        assert unlimited_cost(shown) < cost < annex_k_cost(shown)


def levels(image: JPEGImage, *values: tuple[int, int, int]) -> JPEGImage:
    """The image with (coefficient, column, value) of the first row of luma blocks changed."""
    planes = image.coefficients.map(torch.clone)
    for coefficient, column, value in values:
        planes.y[coefficient, 0, column] = value
    return replace(image, coefficients=planes)


def frame_marker(data: bytes) -> int:
    return next(marker for marker, _ in segments(data) if 0xC0 <= marker <= 0xC2)


def test_extended_files_where_the_values_need_them():
    image = random_image(16, 24, FACTORS["4:4:4"])
    flat = replace(image, coefficients=image.coefficients.map(torch.zeros_like))
    wide = replace(flat, quantization=torch.full((3, 64), 300, dtype=torch.int32).to(torch.uint16))
    for made, marker in [
        (flat, 0xC0),
        (levels(flat, (0, 0, -1024), (0, 1, 1023), (5, 1, -1023)), 0xC0),
        (levels(flat, (0, 0, -1024), (0, 1, 1024)), 0xC1),
        (levels(flat, (5, 0, 1024)), 0xC1),
        (levels(flat, (63, 0, -32767), (0, 0, 32767), (0, 1, 1)), 0xC1),
        (wide, 0xC1),
    ]:
        data = write_jpeg(made)
        assert frame_marker(data) == marker
        assert_equal(read_jpeg(data, dequantize=False), made)
        assert_same(planes_of(made), reference_of_bytes(data))


def test_integers_of_16_bits():
    image = random_image(8, 24, [(1, 1)])
    far = levels(image, (0, 0, 32767), (0, 1, -32768), (0, 2, 32767))  # differences that wrap round to +1 and -1
    assert_equal(read_jpeg(write_jpeg(far), dequantize=False), far)
    with pytest.raises(ValueError, match=r"coefficient 9 of block \(0, 1\) of plane y is -32768, which no sequential"):
        write_jpeg(levels(image, (9, 1, -32768)))
    with pytest.raises(ValueError, match=r"coefficient 0 of block \(0, 0\) of plane y differs by 32768"):
        write_jpeg(levels(image, (0, 0, -32768)))


def test_products_that_no_integer_explains():
    image = replace(random_image(8, 24, [(1, 1)]), dequantized=True)
    ten = replace(image, quantization=torch.full((1, 64), 10, dtype=torch.int32).to(torch.uint16))
    ten = replace(ten, coefficients=ten.coefficients._replace(y=ten.coefficients.y * 0 + 30))
    assert_equal(read_jpeg(write_jpeg(levels(ten, (3, 0, -70)))), levels(ten, (3, 0, -70)))
    with pytest.raises(
        ValueError, match=r"coefficient 3 of block \(0, 1\) of plane y is 31, no multiple of its step 10"
    ):
        write_jpeg(levels(ten, (3, 1, 31)))
    for step, end in ((7, 32767), (2, -32768)):  # both divide, and both may stand for more
        steps = replace(ten, quantization=torch.full((1, 64), step, dtype=torch.int32).to(torch.uint16))
        steps = replace(steps, coefficients=steps.coefficients.map(torch.zeros_like))
        with pytest.raises(
            ValueError, match="end of int16, where products are cut off; read the file with dequantize=False"
        ):
            write_jpeg(levels(steps, (1, 0, end)))
    none = replace(ten, quantization=torch.zeros(1, 64, dtype=torch.int32).to(torch.uint16))
    with pytest.raises(ValueError, match="a step of 0"):
        write_jpeg(none)
    assert_equal(read_jpeg(write_jpeg(replace(none, dequantized=False)), dequantize=False), none)


def test_metadata_that_are_kept():
    image = random_image(20, 30, FACTORS["4:2:0"])
    profile = np.random.default_rng(0).bytes(150_000)
    for orientation in range(1, 9):
        data = write_jpeg(replace(image, orientation=orientation), icc_profile=profile)
        assert read_jpeg(data).orientation == orientation
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.getexif().get(0x0112, 1) == orientation
            assert opened.info["icc_profile"] == profile
    with Image.open(io.BytesIO(write_jpeg(image))) as opened:
        assert "exif" not in opened.info
        assert "icc_profile" not in opened.info


def test_many_at_once():
    images = [random_image(20 + i, 30, FACTORS["4:2:0"], seed=i) for i in range(9)]
    assert write_jpegs(images, threads=3, restart_interval=2) == [write_jpeg(i, restart_interval=2) for i in images]
    assert write_jpegs([]) == []
    with pytest.raises(ValueError, match="differs by 32768"):
        write_jpegs([images[0], levels(images[1], (0, 0, -32768))])


def test_memory_of_any_layout_is_written():
    image = random_image(30, 41, FACTORS["4:2:0"])
    other = replace(image, coefficients=image.coefficients.map(torch.Tensor.contiguous))
    assert other.coefficients.y.stride() != image.coefficients.y.stride()
    assert write_jpeg(other) == write_jpeg(image)


def test_an_image_that_came_through_pixels_is_written_as_it_is():
    file = io.BytesIO()
    picture(20, 30).save(file, "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = read_jpeg(file.getvalue())
    again = read_jpeg(write_jpeg(image))
    assert_equal(again, image)
    shown = to_pixels(again).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(shown - np.asarray(picture(20, 30), int)).max() <= 3


GOOD = random_image(20, 30, FACTORS["4:2:0"])


@pytest.mark.parametrize(
    ("image", "options", "says"),
    [
        (GOOD.coefficients, {}, "got Coefficients. quantize"),
        (GOOD, {"restart_interval": 65536}, "0 to 65535; got 65536"),
        (GOOD, {"restart_interval": True}, "got True"),
        (replace(GOOD, orientation=9), {}, "1 to 8; got 9"),
        (replace(GOOD, size=(20, 33)), {}, r"plane y has 3x4 blocks; a picture of 20x33 pixels .* has 3x5"),
        (replace(GOOD, size=(0, 30)), {}, "the size is 0x30"),
        (replace(GOOD, size=(65536, 30)), {}, "the size is 65536x30"),
        (replace(GOOD, sampling=((2, 2), (1, 1))), {}, "1 or 3 components"),
        (replace(GOOD, sampling=((2, 2), (1, 1), (1, 5))), {}, "plane cr are 1x5"),
        (replace(GOOD, sampling=((1, 1), (1, 1), (1, 1))), {}, "plane cb has 2x2 blocks"),
        (replace(GOOD, quantization=GOOD.quantization[:1]), {}, r"\(3, 64\); got uint16 \(1, 64\)"),
        (replace(GOOD, quantization=torch.ones(3, 64)), {}, "got float32"),
        (replace(GOOD, coefficients=GOOD.coefficients.to(torch.float32)), {}, r"got float32 \(64, 3, 4\). quantize"),
        (replace(GOOD, coefficients=GOOD.coefficients.map(lambda p: p[None])), {}, r"got int16 \(1, 64, 3, 4\)"),
        (GOOD, {"icc_profile": bytes(255 * 65519 + 1)}, "does not fit"),
    ],
)
def test_what_cannot_be_written_says_why(image, options, says):
    with pytest.raises(ValueError, match=says):
        write_jpeg(image, **options)


def test_real_files(real_data):
    paths = [p for p in sorted((real_data / "edge_jpegs").glob("*.jp*g")) if p.stat().st_size < 12_000]
    paths += sorted((real_data / "imagenet_samples").glob("*"))[:4]
    written = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in paths:
            for dequantize in (False, True):
                image = read_jpegs([path], dequantize=dequantize, on_error="skip")[0]
                if image is None or image.from_pixels or (dequantize and not image.quantization.all()):
                    break
                assert_equal(read_jpeg(write_jpeg(image), dequantize=dequantize), image)
                written += 1
    assert written > 100


@pytest.mark.parametrize("options", [{"bands": 24}, {"scale": 1 / 2}])
def test_an_image_that_was_not_read_whole_is_refused(options):
    image = read_jpeg(jpeg(picture(16, 24)), **options)
    with pytest.raises(ValueError, match="read it whole to write it"):
        write_jpeg(image)
