"""Files that are whole or not there: written beside their name, forced to the disk, renamed. And what a full disk means."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def room_for(path: str | Path) -> Iterator[None]:
    """A block that writes ``path``: where the disk is full its OSError names the file and says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OSError(
            error.errno,
            f"no room left while writing {path} ({os.strerror(error.errno)}). Make room in {Path(path).parent}, then run the "
            "same command again",
        ) from error


@contextmanager
def whole_file(path: str | Path, *, sync: bool = True, shared: bool = False) -> Iterator[BinaryIO]:
    """A file for bytes that takes the name ``path`` when the block ends, in folders that are made where they are missing.

    A reader sees the old file or the new one, whole; an exception leaves the old one. Until the end the file is called
    ``PATH.partial``: what a kill leaves of it is overwritten by the next run. ``shared``: other processes may write the same
    file at this moment, so its name has random letters in it. ``sync=False`` does not wait for the disk: after a power
    failure, not a kill, the file may be cut short.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial" if shared else f"{path.name}.partial")
    with room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                yield file
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        if sync:
            sync_folder(path.parent)


def write_whole(path: str | Path, data: bytes, *, sync: bool = True, shared: bool = False) -> None:
    """``data`` as a ``whole_file``."""
    with whole_file(path, sync=sync, shared=shared) as file:
        file.write(data)


def write_changed(path: Path, data: bytes) -> None:
    """``data`` as a shared ``whole_file``, unless it is what the file holds already."""
    if not (path.is_file() and path.read_bytes() == data):
        write_whole(path, data, shared=True)


def sync_folder(folder: Path) -> None:
    """Force renames in ``folder`` to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
