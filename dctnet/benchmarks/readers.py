"""The readers that ``dctnet bench read`` measures ours beside, each where it is installed."""

from __future__ import annotations

import ctypes
import importlib.util
import io
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.reader import read_jpegs

Blocks = list[np.ndarray]  # (rows, columns, 64) of each component


def blocks_of(image: JPEGImage) -> Blocks:
    """(rows, columns, 64) of each component that the file has."""
    return [plane.permute(1, 2, 0).numpy() for plane in image.coefficients][: len(image.sampling)]


class Peer:
    """``run(input)`` reads a file, or all where ``inputs`` is one item; ``blocks(i)`` gives coefficients of file i to compare."""

    def __init__(
        self,
        run: Callable[[object], object],
        inputs: Sequence[object],
        by_path: bool = False,
        blocks: Callable[[int], Blocks] | None = None,
    ):
        self.run, self.inputs, self.by_path, self.blocks = run, inputs, by_path, blocks

    def read_all(self) -> None:
        run = self.run
        for item in self.inputs:
            run(item)


def installed_peers(workshop: Path, paths: list[Path], files: list[bytes]) -> tuple[dict[str, Peer], dict[str, str]]:
    """The peers that run here, and why the others do not."""
    makers = {
        "libjpeg-turbo": lambda: libjpeg_peer(workshop, files),
        "jpeglib": lambda: jpeglib_peer(paths),
        "jpeg2dct": lambda: jpeg2dct_peer(files),
        "simplejpeg (RGB)": lambda: simplejpeg_peer(files),
        "torchvision (RGB)": lambda: torchvision_peer(files),
        "Pillow (RGB)": lambda: pillow_peer(files),
    }
    peers, missing = {}, {}
    for name, make in makers.items():
        module = name.split()[0]
        if module in ("jpeglib", "jpeg2dct", "simplejpeg") and importlib.util.find_spec(module) is None:
            missing[name] = "not installed"
            continue
        made = make()
        if isinstance(made, Peer):
            peers[name] = made
        else:
            missing[name] = made
    return peers, missing


def libjpeg_peer(workshop: Path, files: list[bytes]) -> Peer | str:
    path = workshop / "libjpeg_peer.so"
    source = Path(__file__).with_name("libjpeg_peer.c")
    command = [os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", str(source), "-ljpeg", "-o", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return "needs a C compiler and libjpeg's headers (Debian: libjpeg62-turbo-dev)"
    library = ctypes.CDLL(str(path))
    function = library.read_coefficients
    function.restype, function.argtypes = ctypes.c_long, [ctypes.c_char_p, ctypes.c_ulong, ctypes.c_void_p]

    def blocks(i: int) -> Blocks:
        count = function(files[i], len(files[i]), None)
        if count < 0:
            raise ValueError(f"libjpeg-turbo cannot read file {i} of the benchmark without a warning")
        flat = np.empty((count, 64), np.int16)
        function(files[i], len(files[i]), flat.ctypes.data)
        planes, start = [], 0
        for shape in [plane.shape[:2] for plane in blocks_of(read_jpegs([files[i]])[0])]:
            planes.append(flat[start : start + shape[0] * shape[1]].reshape(*shape, 64))
            start += shape[0] * shape[1]
        if start != count:
            raise ValueError(f"libjpeg-turbo has {count} blocks for file {i} of the benchmark, we have {start}")
        return planes

    pointers = (ctypes.c_char_p * len(files))(*files)
    sizes = (ctypes.c_ulong * len(files))(*map(len, files))
    return Peer(lambda count: library.read_all(pointers, sizes, ctypes.c_long(count)), [len(files)], blocks=blocks)


def jpeglib_peer(paths: list[Path]) -> Peer:
    import jpeglib

    jpeglib.version.set("turbo210")

    def blocks(i: int) -> Blocks:
        file = jpeglib.read_dct(str(paths[i]))
        return [plane.reshape(*plane.shape[:2], 64) for plane in (file.Y, file.Cb, file.Cr) if plane is not None]

    return Peer(lambda path: jpeglib.read_dct(path).Y, [str(path) for path in paths], by_path=True, blocks=blocks)


def jpeg2dct_peer(files: list[bytes]) -> Peer:
    import jpeg2dct.numpy as jpeg2dct

    return Peer(jpeg2dct.loads, files, blocks=lambda i: [np.asarray(plane) for plane in jpeg2dct.loads(files[i])])


def simplejpeg_peer(files: list[bytes]) -> Peer:
    import simplejpeg

    return Peer(simplejpeg.decode_jpeg, files)


def torchvision_peer(files: list[bytes]) -> Peer:
    from torchvision.io import ImageReadMode, decode_jpeg

    inputs = [torch.from_numpy(np.frombuffer(data, np.uint8).copy()) for data in files]
    return Peer(lambda data: decode_jpeg(data, mode=ImageReadMode.RGB), inputs)


def pillow_peer(files: list[bytes]) -> Peer:
    from PIL import Image

    return Peer(lambda data: Image.open(io.BytesIO(data)).convert("RGB"), files)
