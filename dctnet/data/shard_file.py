"""The file of a shard, read at places.

It is read and not mapped: where it is cut short, or its disk fails, a read is an error that can be named, while a mapping ends
the process (SIGBUS). From the page cache a record of 25 kB takes 2 us; to ask a mapped file for its size before each, which
leaves a gap, 1.3 us.
"""

from __future__ import annotations

import os


class ShardFile:
    """The file ``path`` of ``size`` bytes, open until nobody holds it any more. OSError where it has not that size."""

    handle: int | None = None

    def __init__(self, path: str, size: int):
        self.path, self.size = path, size
        self.handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if os.fstat(self.handle).st_size != size:
            raise self._cut()

    def __del__(self) -> None:
        if self.handle is not None:
            os.close(self.handle)

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on, whatever other threads and processes read. OSError where there are fewer."""
        data = os.pread(self.handle, length, offset)
        if len(data) != length:
            raise self._cut()
        return data

    def _cut(self) -> OSError:
        store = os.path.dirname(self.path)
        return OSError(
            None, f"{self.path} no longer has its {self.size} bytes; `dctnet pack --verify {store}` says what to do"
        )
