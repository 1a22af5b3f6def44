"""Windows of planes are decoded to their place: the same blocks as of the whole planes, and nothing beside them is touched."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dctnet.jpeg import _native
from dctnet.jpeg.reader import MAX_PIXELS, read_jpeg

MARK = 12345  # of memory that nobody writes to
KINDS = {
    "4:2:0": {"subsampling": 2},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0},
    "progressive": {"subsampling": 2, "progressive": True},
    "restarts": {"subsampling": 2, "restart_marker_blocks": 3},
    "gray": {},
}


def encoded(size: tuple[int, int], kind: str) -> bytes:
    noise = np.random.default_rng(sum(size)).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert("L" if kind == "gray" else "RGB")
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80, **KINDS[kind])
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_holds_the_blocks_of_the_whole_plane(kind):
    draw = np.random.default_rng(7)
    data = encoded((75, 131), kind)
    planes = [plane.permute(1, 2, 0).numpy() for plane in read_jpeg(data).coefficients]
    for _ in range(40):
        windows, outputs, expected = [], [], []
        for plane in planes:
            (top, bottom), (left, right) = (np.sort(draw.integers(0, size + 1, 2)) for size in plane.shape[:2])
            row, below, beside = draw.integers(0, 4, 3)
            output = np.full((row + bottom - top + below, right - left + beside, 64), MARK, dtype=np.int16)
            wanted = output.copy()
            wanted[row : row + bottom - top, : right - left] = plane[top:bottom, left:right]
            windows.append(tuple(map(int, (top, bottom, left, right, row))))
            outputs.append(output)
            expected.append(wanted)
        assert _native.Files([data], 1, MAX_PIXELS).pack([windows], outputs, 1) == [True]
        for output, wanted in zip(outputs, expected, strict=True):
            assert np.array_equal(output, wanted)


@pytest.mark.parametrize(
    "window, message",
    [
        ((0, 9, 0, 5, 0), "not inside its plane"),
        ((0, 5, 0, 9, 0), "not inside its plane"),
        ((3, 2, 0, 5, 0), "not inside its plane"),
        ((0, 8, 0, 5, 3), "does not fit into its place"),
        ((0, 8, 0, 8, 2**64 - 4), "does not fit into its place"),
    ],
)
def test_a_window_that_does_not_fit_is_refused(window, message):
    data = encoded((64, 64), "4:4:4")
    outputs = [np.zeros((10, 9, 64), dtype=np.int16) for _ in range(3)]
    with pytest.raises(ValueError, match=message):
        _native.Files([data], 1, MAX_PIXELS).pack([[(0, 8, 0, 8, 0), (0, 8, 0, 8, 0), window]], outputs, 1)


def test_a_damaged_file_is_told_apart(tmp_path):
    data = encoded((64, 64), "4:4:4")
    (tmp_path / "whole.jpg").write_bytes(data)
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    window = [(0, 8, 0, 8, 0)] * 3
    outputs = [np.zeros((16, 8, 64), dtype=np.int16) for _ in range(3)]
    files = _native.Files([tmp_path / "whole.jpg", tmp_path / "cut.jpg"], 2, MAX_PIXELS)
    assert files.pack([window, [(0, 8, 0, 8, 8)] * 3], outputs, 2) == [True, False]
    planes = read_jpeg(data).coefficients
    for output, plane in zip(outputs, planes, strict=True):
        assert np.array_equal(output[:8], plane.permute(1, 2, 0).numpy())
