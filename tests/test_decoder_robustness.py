"""Damaged, hostile and oversized files: a JPEGError or a reading, soon, whatever the bytes say."""

from __future__ import annotations

import functools
import time

import numpy as np
import pytest

from dctnet.jpeg import _native
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.reader import read_jpeg
from tests.jpeg_writer import ScanSpec, Writer, dqt, flat_huffman, random_components, segment, skewed_huffman
from tests.libjpeg_reference import guarded, reference_of_bytes
from tests.test_decoder import AC_SYMBOLS, DC_SYMBOLS, assert_same, jpeg, picture, planes_of

TABLES = [
    {0: flat_huffman(DC_SYMBOLS), 1: skewed_huffman(DC_SYMBOLS)},
    {0: flat_huffman(AC_SYMBOLS), 1: skewed_huffman(AC_SYMBOLS)},
]
HEAD = dqt(0, [1] * 64) + dqt(1, [1] * 64)


def decode(data: bytes, dequantize: bool = True):
    """An image, or the error as the decoder says it, without the way through pixels."""
    return _native.decode([data], 1, dequantize, 2**24, None, None, JPEGImage, None)[0][0]


def gray_writer(height: int = 16, width: int = 16, **options) -> Writer:
    return Writer(
        height, width, random_components(np.random.default_rng(0), height, width, [(1, 1)]), *TABLES, **options
    )


VICTIMS = ("baseline", "restarts", "progressive", "long codes", "refined")


@functools.cache
def victims() -> dict[str, bytes]:
    color = Writer(17, 30, random_components(np.random.default_rng(5), 17, 30, [(1, 2), (1, 1), (1, 1)]), *TABLES)
    passes = [(0, 0, 0, 1), (1, 63, 0, 1), (0, 0, 1, 0), (1, 63, 1, 0)]
    return {
        "baseline": jpeg(picture(23, 30), quality=90),
        "restarts": jpeg(picture(30, 17), quality=50, restart_marker_blocks=1),
        "progressive": jpeg(picture(24, 24), quality=70, progressive=True),
        "long codes": color.write([ScanSpec([0, 1, 2], tables=((1, 1),) * 3)], head=HEAD),
        "refined": gray_writer(progressive=True).write([ScanSpec([0], *bits) for bits in passes], head=HEAD),
    }


@pytest.mark.parametrize("name", VICTIMS)
def test_cut_at_every_byte(name):
    data = victims()[name]
    whole = planes_of(read_jpeg(data))
    for length in range(len(data) - 2):
        result = decode(data[:length])
        kind, offset, _ = result
        assert kind == ("unsupported" if length == 1 else "corrupt")
        assert offset <= length
    for length in (len(data) - 2, len(data) - 1):
        for ours, expected in zip(planes_of(read_jpeg(data[:length])), whole, strict=True):
            np.testing.assert_array_equal(ours, expected)


def test_progressive_files_end_between_passes_only_where_they_say_so(tmp_path):
    """Cut before its last scan a file is truncated; with the marker EOI there it is a coarse picture, as for libjpeg."""
    data = jpeg(picture(24, 24), quality=70, progressive=True)
    cut = data[: data.rindex(b"\xff\xda")]
    with pytest.raises(JPEGError, match="ends before the last passes of component"):
        read_jpeg(cut)
    coarse = read_jpeg(cut + b"\xff\xd9", dequantize=False)
    for ours, theirs in zip(planes_of(coarse), reference_of_bytes(cut + b"\xff\xd9"), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def mutations(data: bytes, count: int):
    """Copies of ``data`` with one to four flipped bits, other bytes, inserted or missing bytes."""
    generator = np.random.default_rng(11)
    for _ in range(count):
        mutated = bytearray(data)
        for _ in range(generator.integers(1, 5)):
            position = int(generator.integers(0, len(mutated)))
            how = generator.integers(0, 4)
            if how == 0:
                mutated[position] ^= 1 << int(generator.integers(0, 8))
            elif how == 1:
                mutated[position] = int(generator.integers(0, 256))
            elif how == 2:
                mutated[position:position] = generator.bytes(int(generator.integers(1, 4)))
            else:
                del mutated[position : position + int(generator.integers(1, 9))]
        yield bytes(mutated)


@pytest.mark.parametrize("name", VICTIMS)
def test_thousands_of_mutations(name):
    started, kinds = time.perf_counter(), {"read": 0, "corrupt": 0, "unsupported": 0}
    for mutated in mutations(victims()[name], 10_000):
        result = decode(mutated)
        kinds[result[0] if isinstance(result, tuple) else "read"] += 1
    assert time.perf_counter() - started < 30
    assert kinds["corrupt"] > 1000
    assert kinds["read"] > 100


def test_mutations_that_are_read_are_read_as_by_libjpeg(tmp_path):
    files, ours = [], {}
    for name in VICTIMS:
        raw = planes_of(read_jpeg(victims()[name], dequantize=False))
        for mutated in mutations(victims()[name], 4000):
            result = decode(mutated, dequantize=False)
            if isinstance(result, tuple):
                continue
            origin = _native.decoded_of(result)
            planes = list(origin.planes[: len(origin.sampling)])
            if len(planes) == len(raw) and all(np.array_equal(a, b) for a, b in zip(planes, raw, strict=True)):
                continue  # the damage is in a table or a comment
            files.append(tmp_path / f"{len(files)}.jpg")
            files[-1].write_bytes(mutated)
            ours[files[-1]] = planes
            if len(files) % 60 == 0:
                break
    theirs = guarded(files, tmp_path)
    for path in theirs:
        assert_same(ours[path], theirs[path], path)
    assert len(theirs) > 0.8 * len(files) > 100


def test_random_entropy_data():
    generator, data = np.random.default_rng(12), victims()["long codes"]
    start = data.index(b"\xff\xda") + 14
    errors = 0
    for _ in range(1000):
        result = decode(data[:start] + generator.bytes(5000).replace(b"\xff", b"\xff\x00") + b"\xff\xd9")
        errors += isinstance(result, tuple)
    assert errors > 30


def replace_once(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def size_changed(data: bytes, height: int, width: int) -> bytes:
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: at + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 9 :]


def without(data: bytes, marker: int) -> bytes:
    at = data.index(bytes([0xFF, marker]))
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def baseline_with(scans=None, head=HEAD, **options) -> bytes:
    return gray_writer(**options).write(scans or [ScanSpec([0])], head=head)


CASES = {
    "the file is empty": lambda: b"",
    "ends before its first scan": lambda: b"\xff\xd8\xff\xd9",
    "a second marker SOI": lambda: replace_once(baseline_with(), b"\xff\xc0", b"\xff\xd8\xff\xc0"),
    "a second frame header": lambda: baseline_with()[:-2] + baseline_with()[2:],
    "before the frame header": lambda: without(baseline_with(), 0xC0),
    "quantisation table that is not defined": lambda: baseline_with(head=dqt(1, [1] * 64)),
    "Huffman table that is not defined": lambda: baseline_with([ScanSpec([0], tables=[(0, 0)], before=b"")]).replace(
        b"\xff\xda\x00\x08\x01\x01\x00", b"\xff\xda\x00\x08\x01\x01\x02"
    ),
    "an impossible Huffman table": lambda: baseline_with(
        [ScanSpec([0], before=segment(0xC4, bytes([0, 2, *[0] * 15, 1, 2])))]
    ),
    "more symbols than it has room for": lambda: baseline_with(head=HEAD + segment(0xC4, bytes([0, *[200] * 16, 1]))),
    "Huffman table with an index above 3": lambda: baseline_with(head=segment(0xC4, bytes([4, *[0] * 16]))),
    "a Huffman table that is too short": lambda: baseline_with(head=segment(0xC4, bytes(5))),
    "quantisation table with an index above 3": lambda: baseline_with(head=segment(0xDB, bytes([4, *[1] * 64]))),
    "quantisation table that is too short": lambda: baseline_with(head=segment(0xDB, bytes([0, *[1] * 63]))),
    "restart interval segment of wrong length": lambda: baseline_with(head=HEAD + segment(0xDD, b"\0\0\1")),
    "length below 2": lambda: baseline_with(head=HEAD + b"\xff\xdb\x00\x01"),
    "the height is 0": lambda: size_changed(baseline_with(), 0, 16),
    "the width is 0": lambda: size_changed(baseline_with(), 16, 0),
    "more than max_pixels": lambda: size_changed(baseline_with(), 65535, 65535),
    "ends too soon": lambda: size_changed(baseline_with(), 4000, 4000),
    "a marker stands in the middle": lambda: size_changed(baseline_with(), 24, 16),
    "sampling factor outside 1..4": lambda: replace_once(
        baseline_with(), b"\x00\x10\x00\x10\x01\x01\x11", b"\x00\x10\x00\x10\x01\x01\x51"
    ),
    "impossible number of bits": lambda: replace_once(
        baseline_with(), b"\xff\xc0\x00\x0b\x08", b"\xff\xc0\x00\x0b\x09"
    ),
    "frame header of wrong length": lambda: replace_once(baseline_with(), b"\xff\xc0\x00\x0b", b"\xff\xc0\x00\x0c"),
    "scan header of wrong length": lambda: replace_once(baseline_with(), b"\xff\xda\x00\x08", b"\xff\xda\x00\x09"),
    "component that the frame does not have": lambda: replace_once(
        baseline_with(), b"\xff\xda\x00\x08\x01\x01", b"\xff\xda\x00\x08\x01\x02"
    ),
    "second scan of one component": lambda: baseline_with([ScanSpec([0]), ScanSpec([0])]),
    "restart marker RST0 is due": lambda: baseline_with([ScanSpec([0], restart=2)]).replace(b"\xff\xd0", b"\xff\xd1"),
    "unknown marker": lambda: baseline_with(head=HEAD + segment(0xF1, b"")),
    "more than 10 blocks": lambda: Writer(
        8, 8, random_components(np.random.default_rng(0), 8, 8, [(2, 2), (2, 2), (2, 2)]), *TABLES
    ).write([ScanSpec([0, 1, 2])], head=HEAD),
    "impossible band or bit": lambda: baseline_with(
        [ScanSpec([0], 0, 0), ScanSpec([0], 1, 63, 3, 1)], progressive=True
    ),
    "before the scan of component": lambda: baseline_with([ScanSpec([0], 1, 63)], progressive=True),
}


@pytest.mark.parametrize("reason", CASES)
def test_reasons(reason):
    with pytest.raises(JPEGError, match=reason) as caught:
        read_jpeg(CASES[reason]())
    assert caught.value.source == "<bytes>"
    assert 0 <= caught.value.offset <= len(CASES[reason]())


def test_offset_of_an_invalid_code_points_into_the_data():
    # All codes but the last: 16 one-bits begin no code.
    writer = gray_writer(64, 64)
    data = writer.write([ScanSpec([0], tables=[(1, 1)])], head=HEAD)
    middle = (data.index(b"\xff\xda") + len(data)) // 2
    damaged = data[:middle] + b"\xff\x00" * 40 + data[middle + 80 :]
    with pytest.raises(JPEGError, match="invalid Huffman code") as caught:
        read_jpeg(damaged)
    assert middle - 4 <= caught.value.offset <= middle + 80


UNSUPPORTED = {
    "not a JPEG": lambda: b"\x89PNG\r\n",
    "lossless": lambda: replace_once(baseline_with(), b"\xff\xc0", b"\xff\xc3"),
    "arithmetic": lambda: replace_once(baseline_with(), b"\xff\xc0", b"\xff\xc9"),
    "arithmetic coding": lambda: replace_once(baseline_with(), b"\xff\xc0", b"\xff\xca"),
    "hierarchical": lambda: replace_once(baseline_with(), b"\xff\xc0", b"\xff\xc5"),
    "12 bits": lambda: replace_once(baseline_with(), b"\xff\xc0\x00\x0b\x08", b"\xff\xc0\x00\x0b\x0c"),
    "CMYK": lambda: jpeg(picture(9, 9).convert("CMYK")),
    "RGB": lambda: jpeg(picture(9, 9), keep_rgb=True),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_other_kinds_are_told_apart(kind):
    result = decode(UNSUPPORTED[kind]())
    assert result[0] == "unsupported"
    assert kind in result[2]


def test_color_space_is_decided_as_by_libjpeg():
    writer = Writer(8, 8, random_components(np.random.default_rng(0), 8, 8, [(1, 1)] * 3), *TABLES)
    jfif, adobe = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"), b"Adobe\0\x64\0\0\0\0"
    rgb = {}
    for ids in ((1, 2, 3), (82, 71, 66), (0, 1, 2)):
        for component, identifier in zip(writer.components, ids, strict=True):
            component.identifier = identifier
        for name, marker in (
            ("none", b""),
            ("jfif", jfif),
            ("adobe 0", segment(0xEE, adobe + b"\0")),
            ("adobe 1", segment(0xEE, adobe + b"\1")),
            ("both", jfif + segment(0xEE, adobe + b"\0")),
        ):
            rgb[ids, name] = isinstance(decode(writer.write([ScanSpec([0, 1, 2])], head=marker + HEAD)), tuple)
    assert {case for case, is_rgb in rgb.items() if is_rgb} == {
        ((82, 71, 66), "none"),
        *((ids, "adobe 0") for ids in ((1, 2, 3), (82, 71, 66), (0, 1, 2))),
    }


def test_thousands_of_scans_of_a_large_frame_are_refused_soon():
    side = 250  # blocks
    one_bit = flat_huffman((0,)).__class__((1, *[0] * 15), (0,))
    ends = flat_huffman((0xE0, 0))  # a run of 16384 to 32767 ended blocks in 22 bits
    writer = Writer(
        8 * side, 8 * side, random_components(np.random.default_rng(0), 8, 8, [(1, 1)]), {0: one_bit}, {0: ends}
    )
    writer.progressive = True
    bits = "00000000" + "1" * 14 + "00000000" + format(side * side - 32767 - 16384, "014b")
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    head = writer.write([], head=HEAD, tail=b"")
    dc = segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + bytes(side * side // 8 + 1)
    scans = [segment(0xDA, bytes([1, 1, 0, 1, 63, high])) + data for high in (0x0D, 0x10)]
    assert not isinstance(decode(head + dc + scans[0] + scans[1] * 50 + b"\xff\xd9"), tuple)
    started = time.perf_counter()
    bomb = head + dc + scans[0] + scans[1] * 20000 + b"\xff\xd9"
    assert len(bomb) < 600_000
    with pytest.raises(JPEGError, match="more scans than"):
        read_jpeg(bomb)
    assert time.perf_counter() - started < 5


def test_many_scans_of_a_large_file_take_time_for_their_bytes_alone():
    """20,000 scans of a byte each before 33 MB of comments: each scan costs what it holds, not what the file has left."""
    one_bit = flat_huffman((0,)).__class__((1, *[0] * 15), (0,))
    blocks = random_components(np.random.default_rng(0), 8, 8, [(1, 1)])
    writer = Writer(8, 8, blocks, {0: one_bit}, {0: one_bit}, progressive=True)
    head = writer.write([], head=HEAD, tail=b"")
    first, again = (segment(0xDA, bytes([1, 1, 0, 0, 0, bits])) + b"\x7f" for bits in (0x01, 0x10))
    data = head + first + again * 20_000 + segment(0xFE, bytes(65_000)) * 508 + b"\xff\xd9"
    started = time.perf_counter()
    assert not isinstance(decode(data), tuple)
    assert time.perf_counter() - started < 3
