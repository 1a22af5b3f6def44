"""What libjpeg-turbo reads, through jpeglib: the independent truth of the decoder's tests.

As a program it reads many files into OUT/NUMBER.npz, so that a file on which libjpeg crashes ends only this process.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

import jpeglib
import numpy as np

VERSION = "turbo210"


def reference(path: str | Path) -> list[np.ndarray]:
    """Raw row-major blocks (rows, columns, 64) of each component. Raises what jpeglib raises."""
    jpeglib.version.set(VERSION)
    jpeg = jpeglib.read_dct(str(path))
    planes = [jpeg.Y, jpeg.Cb, jpeg.Cr]
    return [plane.reshape(*plane.shape[:2], 64) for plane in planes if plane is not None]


def reference_of_bytes(data: bytes) -> list[np.ndarray]:
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(data)
        file.flush()
        return reference(file.name)


def guarded(paths: list[Path], folder: Path, seconds: float = 120) -> dict[Path, list[np.ndarray]]:
    """``reference`` of each file that libjpeg reads without an error, a crash or a hang."""
    found, number = {}, 0
    while number < len(paths):
        for old in folder.glob("*.npz"):
            old.unlink()
        command = [sys.executable, __file__, str(folder), *map(str, paths[number:])]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=seconds, check=False)
        reached = 0
        for i, path in enumerate(paths[number:]):
            file = folder / f"{i}.npz"
            if file.exists():
                with np.load(file) as planes:
                    if planes:
                        found[path] = [planes[name] for name in planes]
                reached = i + 1
        number += reached + 1  # the one after the last answer is to blame
    return found


def main(folder: str, *paths: str) -> None:
    for number, path in enumerate(paths):
        try:
            planes = reference(path)
        except Exception:  # libjpeg's errors reach us as many kinds; none of them is a reading
            planes = []
        np.savez(Path(folder) / f"{number}.npz", *planes)


if __name__ == "__main__":
    main(*sys.argv[1:])
