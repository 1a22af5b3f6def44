"""The packed store: the layout of its files, and one record to bytes and back.

A store is a folder:

    index.json          what the store holds; written last, so a folder without it is not a store yet
    plan.json           the settings and a digest of the source list, with a crc like the index's, written first: what a
                        resumed run compares
    shard-00000.bin     the records of the first shard
    shard-00000.npy     its table, one row a record (numpy's format 1.0, ``TABLE``; no pickle)
    shard-00000.json    what ``index.json`` says of the shard, written after the two: the mark that it is finished
    broken.csv          the source files that could not be read (``path``, ``reason``), if there are any

**Index** (JSON): ``format`` "dctnet store", ``version`` 1, ``block_size`` 8; ``bands``: for "y", "cb", "cr" the row-major
channels 8*v + u that are kept, ascending; ``dtype`` "int8" or "int16"; ``resize``: the shorter side that larger pictures
were brought to, or null; ``classes``: the names, a label counts them; ``records``; ``shards``: a list of ``name``,
``records``, ``bytes`` (of the .bin file), ``table_bytes`` and ``table_crc`` (of the .npy file); ``crc`` of all the rest, as
JSON with sorted keys and no spaces. Each crc here is the CRC-32 of zlib.

**Record**: at a multiple of 64 bytes, everything little-endian, in this order and without gaps:

    scales   float32, one for each band of Y, then of Cb, then of Cr
    Y, Cb, Cr values, int8 or int16, each (rows, columns, bands): the bands of one block are neighbours
    name     of the source file, UTF-8 (bytes that are none are kept as they were)

Coefficient = value * scale, in float32. Planes have rows = ceil(height * v / (8 * V)) blocks, v the plane's vertical
sampling factor and V the greatest of the three; columns likewise. The scale of a band is

- the quantiser's step of the JPEG file (1 for int16) where the values fit: then nothing is lost;
- max|x| / 127 of the record's band (/ 32767 for int16) otherwise, x the coefficient: an error of half a scale at most.

**Table row** (``TABLE``): ``offset`` and ``length`` of the record in bytes, ``crc`` of these bytes, ``name``: how many of
them, at the end, are the name; ``label``; ``height`` and ``width`` of the picture in pixels; ``sampling``: the (vertical,
horizontal) factors of Y, Cb and Cr.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np

from dctnet.bands import Bands, bands_of
from dctnet.coefficients import Grid
from dctnet.data.folder import DataError

FORMAT, VERSION, BLOCK_SIZE, ALIGNMENT = "dctnet store", 1, 8, 64
Whole = TypeVar("Whole", int, np.ndarray)  # a number, or one for each of many records

LIMITS = {"int8": 127, "int16": 32767}
LONGEST = 2**27  # of a side in pixels, as many as the reader takes for a whole picture

TABLE = np.dtype(
    [
        ("offset", "<u8"),
        ("length", "<u4"),
        ("crc", "<u4"),
        ("name", "<u4"),
        ("label", "<i4"),
        ("height", "<u4"),
        ("width", "<u4"),
        ("sampling", "u1", (3, 2)),
    ]
)


@dataclass(frozen=True, slots=True)
class Layout:
    """What all records of a store share: the bands of each plane, the type of a value, the resizing.

    ValueError for a type that is not int8 or int16, or a ``resize`` below 8 pixels.
    """

    bands: Bands
    dtype: str = "int8"
    resize: int | None = None

    def __post_init__(self) -> None:
        if self.dtype not in LIMITS:
            raise ValueError(f"a store holds int8 or int16; got dtype {self.dtype!r}")
        if self.resize is not None and not 8 <= self.resize <= 65535:
            raise ValueError(f"resize is the length of the shorter side, from 8 to 65535 pixels; got {self.resize}")

    @property
    def widths(self) -> tuple[int, int, int]:
        """The numbers of bands of Y, Cb and Cr."""
        return len(self.bands.y), len(self.bands.cb), len(self.bands.cr)

    def to_json(self) -> dict[str, Any]:
        """The part of the index that says this."""
        bands = {name: list(channels) for name, channels in self.bands._asdict().items()}
        return {
            "format": FORMAT,
            "version": VERSION,
            "block_size": BLOCK_SIZE,
            "bands": bands,
            "dtype": self.dtype,
            "resize": self.resize,
        }


class Record(NamedTuple):
    """One picture of a store: values ``(rows, columns, bands)`` and scales ``(bands,)`` of Y, Cb, Cr, and whose they are."""

    planes: tuple[np.ndarray, np.ndarray, np.ndarray]
    scales: tuple[np.ndarray, np.ndarray, np.ndarray]
    grid: Grid


def checksum(value: dict[str, Any]) -> int:
    """The CRC-32 of a JSON object without its entry ``crc``.

    >>> checksum({"b": 1, "a": 2, "crc": 3}) == checksum({"a": 2, "b": 1})
    True
    """
    rest = {key: value[key] for key in value if key != "crc"}
    return zlib.crc32(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())


def quantise(plane: np.ndarray, steps: np.ndarray | None, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Values (rows, columns, bands) of ``dtype`` and float32 scales (bands,) with plane = values * scales, nearly.

    ``steps`` are the steps whose multiples the integers of ``plane`` are; None for real numbers.

    >>> plane = np.array([[[30, -1000]]], dtype=np.int16)
    >>> values, scales = quantise(plane, np.array([10, 5]), "int8")
    >>> values.tolist(), [f"{scale:.3f}" for scale in scales]       # 3 * 10 exactly; 200 * 5 does not fit
    ([[[3, -127]]], ['10.000', '7.874'])
    """
    if steps is not None and dtype == "int16":
        return plane.astype(np.int16), np.ones(plane.shape[-1], np.float32)
    limit = LIMITS[dtype]
    x = plane.astype(np.float32)
    peak = np.abs(x).max((0, 1))
    scales = np.where(peak > 0, peak / limit, 1).astype(np.float32)
    if steps is not None:  # the reader saturates at 32767, where x is no multiple
        scales = np.where((peak <= limit * steps) & (peak < 32767), steps, scales).astype(np.float32)
    values = x / scales
    return np.clip(np.rint(values, out=values), -limit, limit).astype(dtype), scales


def blocks(height: Whole, width: Whole, sampling: Any) -> list[tuple[Whole, Whole]]:
    """(rows, columns) of blocks of Y, Cb and Cr. Also for arrays of many records, ``sampling`` (3, 2, n).

    >>> blocks(33, 20, [(2, 2), (1, 1), (1, 1)])
    [(5, 3), (3, 2), (3, 2)]
    """
    (a, b), (c, d), (e, f) = sampling
    tallest, widest = 8 * _greatest(a, c, e), 8 * _greatest(b, d, f)
    return [(-(-height * v // tallest), -(-width * h // widest)) for v, h in sampling]


def _greatest(a: Whole, b: Whole, c: Whole) -> Whole:
    return max(a, b, c) if isinstance(a, int) else np.maximum(np.maximum(a, b), c)


@lru_cache(maxsize=256)
def spacing(sampling: tuple[tuple[int, int], ...]) -> tuple[tuple[int | Fraction, int | Fraction], ...]:
    """The spacing of a ``Grid`` from the sampling factors of Y, Cb and Cr."""
    tallest, widest = (max(factors) for factors in zip(*sampling, strict=True))
    return tuple((_ratio(tallest, v), _ratio(widest, h)) for v, h in sampling)


def _ratio(a: int, b: int) -> int | Fraction:
    return Fraction(a, b) if a % b else a // b


def write_record(planes: Sequence[np.ndarray], scales: Sequence[np.ndarray], name: str) -> bytes:
    """The bytes of a record, without the padding before it."""
    parts = [*(scale.astype("<f4").tobytes() for scale in scales)]
    parts += [plane.astype(plane.dtype.newbyteorder("<"), copy=False).tobytes() for plane in planes]
    return b"".join((*parts, name.encode("utf-8", "surrogateescape")))


def read_record(data: np.ndarray, row: tuple[Any, ...], layout: Layout) -> Record:
    """The record of a row of the table (``row.tolist()``), which was checked, in its bytes, without a copy."""
    place, height, width = 0, row[5], row[6]
    sampling = tuple(map(tuple, row[7].tolist()))  # the one field that stays an array
    dtype = np.dtype(layout.dtype)
    scales, planes = [], []
    for count in layout.widths:
        scales.append(np.ndarray(count, np.float32, data, place))
        place += 4 * count
    for (rows, columns), count in zip(blocks(height, width, sampling), layout.widths, strict=True):
        planes.append(np.ndarray((rows, columns, count), dtype, data, place))
        place += rows * columns * count * dtype.itemsize
    return Record(tuple(planes), tuple(scales), Grid((height, width), spacing(sampling)))


def check_table(table: np.ndarray, layout: Layout, classes: int, size: int) -> None:
    """ValueError where rows of a table cannot belong to a file of ``size`` bytes: then nothing of it may be read."""
    if table.dtype != TABLE or table.ndim != 1:
        raise ValueError(f"its rows are {table.dtype}, not those of version {VERSION}")
    sampling = table["sampling"].astype(np.int64).transpose(1, 2, 0)
    height, width = table["height"].astype(np.int64), table["width"].astype(np.int64)
    sides_fit = (height >= 1) & (height <= LONGEST) & (width >= 1) & (width <= LONGEST)
    sides_fit &= ((sampling >= 1) & (sampling <= 4)).all((0, 1))
    if not sides_fit.all():
        raise ValueError(f"row {int(np.argmin(sides_fit))} has an impossible size or sampling")
    # In floating point: a product of two sides may pass int64, and equality decides only where it is small.
    need = np.full(len(table), 4.0 * sum(layout.widths)) + table["name"]
    for (rows, columns), count in zip(blocks(height, width, sampling), layout.widths, strict=True):
        need += rows.astype(np.float64) * columns * (count * np.dtype(layout.dtype).itemsize)
    offset, length = table["offset"], table["length"].astype(np.uint64)
    inside = (need == length) & (offset % ALIGNMENT == 0) & (offset <= size) & (offset + length <= size)
    inside &= (table["label"] >= 0) & (table["label"] < classes)
    if not inside.all():
        raise ValueError(f"row {int(np.argmin(inside))} does not fit the shard, the bands or the classes of the index")


def read_layout(index: dict[str, Any]) -> Layout:
    """The layout that an index or plan names; DataError where it is of another format or version, or makes no sense."""
    if index.get("format") != FORMAT:
        raise DataError(f"format is {index.get('format')!r}, not {FORMAT!r}")
    if index.get("version") != VERSION:
        raise DataError(
            f"it is of version {index.get('version')!r}, this dctnet reads version {VERSION}: install the release that "
            "packed it, or pack again"
        )
    if index.get("block_size") != BLOCK_SIZE:
        raise DataError(f"block_size is {index.get('block_size')!r}; version {VERSION} has blocks of {BLOCK_SIZE}")
    try:
        bands = index["bands"]
        return Layout(bands_of([bands["y"], bands["cb"], bands["cr"]]), index["dtype"], index["resize"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"its bands, dtype or resize are no settings of a store ({error!r})") from error
