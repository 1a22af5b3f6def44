"""One shard written: from the pictures of a part to finished files, exclusively, atomically, or not at all."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import tarfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from dctnet.coefficients import grid_420
from dctnet.data.batch import why_broken
from dctnet.data.broken import Broken, BrokenList
from dctnet.data.folder import DataError
from dctnet.data.pack_sources import FolderPart, TarPart
from dctnet.data.store_format import ALIGNMENT, TABLE, Layout, quantise, write_record
from dctnet.data.store_index import read_json
from dctnet.jpeg import _native
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.reader import read_jpeg
from dctnet.transforms.boxes import resized_size
from dctnet.transforms.separable import box_to_size
from dctnet.whole_file import room_for, sync_folder, write_whole

UNLOCKABLE = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}  # file systems without locks: there the user keeps order
CHROMA_HALVED = ((2, 2), (1, 1), (1, 1))  # 4:2:0: what transforms write, and the zero chroma of gray pictures


class Partial:
    """A shard in the making: ``write`` appends all bytes or raises OSError; how many there are, and their CRC-32."""

    def __init__(self, handle: int):
        self.handle, self.bytes, self.crc = handle, 0, 0

    def write(self, data: bytes | bytearray | memoryview[int]) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.handle, rest) :]
        self.bytes, self.crc = self.bytes + len(data), zlib.crc32(data, self.crc)
        return len(data)


@contextmanager
def exclusively(path: Path) -> Iterator[Partial]:
    """``path.partial``, empty and locked against other processes, for a block that ends with renaming it to ``path``.

    An exception inside removes it. The lock goes with the process, however it ends. DataError where another process holds it.
    """
    partial = path.with_name(path.name + ".partial")
    handle = os.open(partial, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lost = not partial.exists() or partial.stat().st_ino != os.fstat(handle).st_ino  # finished meanwhile
        except OSError as error:
            if error.errno in UNLOCKABLE:
                lost = False
            elif error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                lost = True
            else:
                raise
        if lost:
            raise DataError(
                f"another process is writing {path} now. Wait until it is done, or part the work: each of N processes takes "
                "its own shards with --shard 1/N, --shard 2/N, ..."
            )
        try:
            os.ftruncate(handle, 0)
            yield Partial(handle)
        except BaseException:
            with suppress(FileNotFoundError):
                partial.unlink()
            raise
    finally:
        os.close(handle)


def finished(folder: Path, number: int, suffix: str) -> dict[str, Any] | None:
    """What is known of shard ``number`` if it is finished and its files have the sizes they were written with."""
    name = f"shard-{number:05d}"
    mark = folder / f"{name}.json"
    if not mark.is_file():
        return None
    try:
        info = read_json(mark)
        sizes = {suffix: info["bytes"], ".npy": info.get("table_bytes")}
        whole = info["name"] == name and isinstance(info["records"], int) and info["records"] >= 0
        whole = whole and all(isinstance(text, str) for path, reason in info["broken"] for text in (path, reason))
        whole = whole and (suffix != ".bin" or isinstance(info["table_crc"], int))
    except (DataError, KeyError, TypeError, ValueError):
        return None
    for end, size in sizes.items():
        path = folder / (name + end)
        if size is not None and not (path.is_file() and path.stat().st_size == size):
            return None
    return info if whole else None


def write_shard(
    folder: Path, number: int, part: FolderPart | TarPart, layout: Layout | None, allowed: float
) -> dict[str, Any]:
    """Write shard ``number`` of a store (``layout``) or of WebDataset tars (None), if it is not finished; what is known of it.

    ``allowed`` is the number of files that may be unreadable: with one more the shard is given up. DataError for that, a
    damaged tar, or another process at the same shard; OSError that names the shard where the disk is full.
    """
    suffix, write = (".tar", _write_tar) if layout is None else (".bin", _write_records)
    path = folder / f"shard-{number:05d}{suffix}"
    if info := finished(folder, number, suffix):
        return info
    with room_for(path), exclusively(path) as file:
        path.with_suffix(".json").unlink(missing_ok=True)
        broken: list[Broken] = []

        def leave_out(name: str, error: JPEGError | OSError) -> None:
            broken.append(Broken(name, why_broken(error)))
            if len(broken) > allowed:
                BrokenList(folder / "broken.csv").add(broken)
                raise DataError(
                    f"{len(broken)} files of {path.name} could not be read, more than --max_broken allows; the last is "
                    f"{name} ({broken[-1].reason}). They are named in {folder / 'broken.csv'}: repair them under the "
                    "same names or raise --max_broken, and go on here; or remove them and pack into another folder."
                )

        info = write(file, part, layout, leave_out)
        os.fsync(file.handle)
        table = info.pop("table", None)
        if table is not None:
            write_whole(path.with_suffix(".npy"), table)
            info |= {"table_bytes": len(table), "table_crc": zlib.crc32(table)}
        path.with_name(path.name + ".partial").rename(path)
        sync_folder(folder)
        info = {"name": path.stem, "bytes": file.bytes, **info, "broken": [list(item) for item in broken]}
        write_whole(path.with_suffix(".json"), json.dumps(info, indent=1).encode())
    return info


def _write_records(
    file: Partial, part: FolderPart | TarPart, layout: Layout, leave_out: Callable[[str, JPEGError | OSError], None]
) -> dict[str, Any]:
    rows, through_pixels, source_bytes = [], 0, 0
    for item in part.items():
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*read through pixels")
                image = read_jpeg(item.source)
        except (JPEGError, OSError) as error:
            leave_out(item.name, error)
            continue
        through_pixels += image.from_pixels is not None
        source_bytes += len(item.source) if isinstance(item.source, bytes) else os.path.getsize(item.source)
        data, row = make_record(image, layout, item.name)
        file.write(bytes(-file.bytes % ALIGNMENT))
        rows.append((file.bytes, len(data), zlib.crc32(data), *row[:1], item.label, *row[1:]))
        file.write(data)
    table = io.BytesIO()
    np.lib.format.write_array(table, np.array(rows, dtype=TABLE), version=(1, 0), allow_pickle=False)
    return {
        "records": len(rows),
        "through_pixels": through_pixels,
        "source_bytes": source_bytes,
        "table": table.getvalue(),
    }


def make_record(image: JPEGImage, layout: Layout, name: str) -> tuple[bytes, tuple[Any, ...]]:
    """The bytes of the record of a picture, and (bytes of the name, height, width, sampling) for its row.

    A picture whose shorter side is longer than ``layout.resize`` is brought to it, antialiased, as 4:2:0; a smaller one stays.
    """
    size = image.size
    if layout.resize is not None and min(size) > layout.resize:
        size, sampling = resized_size(size, layout.resize), CHROMA_HALVED
        kept, steps = _resized(image, layout, size), [None] * 3
    else:
        sampling = image.sampling if len(image.sampling) == 3 else CHROMA_HALVED
        bands = [list(plane) for plane in layout.bands]
        kept = [plane.movedim(0, -1).numpy()[..., own] for plane, own in zip(image.coefficients, bands, strict=True)]
        steps = [*image.quantization.numpy().astype(np.float32)]
        steps += [np.ones(64, np.float32)] * (3 - len(steps))
        steps = [step[own] for step, own in zip(steps, bands, strict=True)]
    planes, scales = zip(*(quantise(*pair, layout.dtype) for pair in zip(kept, steps, strict=True)), strict=True)
    return write_record(planes, scales, name), (len(name.encode("utf-8", "surrogateescape")), *size, sampling)


def _resized(image: JPEGImage, layout: Layout, size: tuple[int, int]) -> list[np.ndarray]:
    """The bands of the picture at ``size``, antialiased: three float32 arrays (rows, columns, bands) on the 4:2:0 grid."""
    grid = grid_420(size)
    shapes = [[-(-length // 8) for length in grid.samples(plane)] for plane in range(3)]
    outputs = [np.empty((1, *shape, count), np.float32) for shape, count in zip(shapes, layout.widths, strict=True)]
    formats = [_native.PlaneFormat(range(64), [], 8, bands, [], []) for bands in layout.bands]
    planes = [plane.movedim(0, -1).numpy() for plane in image.coefficients]
    _native.lift_planes([planes], [box_to_size(image.grid, 0, 0, *image.size, size)], formats, outputs, 1)
    return [output[0] for output in outputs]


def _write_tar(
    file: Partial, part: FolderPart | TarPart, layout: None, leave_out: Callable[[str, JPEGError | OSError], None]
) -> dict[str, Any]:
    """The files as they are: ``NUMBER.jpg``, ``NUMBER.cls`` with the label, ``NUMBER.json`` with the source's name.

    Numbers count within the shard. The names of files stay out of the names of members, whose first dot has a meaning.
    """
    records = 0
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        for item in part.items():
            try:
                data = item.source if isinstance(item.source, bytes) else Path(item.source).read_bytes()
            except OSError as error:
                leave_out(item.name, error)
                continue
            about = json.dumps({"name": item.name}).encode()
            for extension, content in (("cls", str(item.label).encode()), ("jpg", data), ("json", about)):
                member = tarfile.TarInfo(f"{records:08d}.{extension}")
                member.size, member.mode = len(content), 0o644
                archive.addfile(member, io.BytesIO(content))
            records += 1
    return {"records": records, "crc": file.crc}
