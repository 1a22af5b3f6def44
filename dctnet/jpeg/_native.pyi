from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

class Origin: ...

class Decoded:
    @property
    def planes(self) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]: ...
    @property
    def quantization(self) -> NDArray[np.uint16]: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def sampling(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def progressive(self) -> bool: ...
    @property
    def orientation(self) -> int: ...
    @property
    def source(self) -> Any: ...
    @property
    def request(self) -> Any: ...
    @property
    def index(self) -> int: ...

def decode(
    sources: list[Any],
    threads: int,
    dequantize: bool,
    max_pixels: int,
    bands: Sequence[Sequence[int]] | None,
    out: Sequence[NDArray[np.int16]] | None,
    type: type[Origin],
    request: object | None,
) -> tuple[list[Any], bool]: ...
def decoded_of(image: object) -> Decoded: ...
def pooled_bytes() -> int: ...

class Streams:
    def __init__(self, seeds: NDArray[np.uint64]) -> None: ...
    def boxes(
        self,
        sizes: NDArray[np.int64],
        scale: tuple[float, float],
        ratio: tuple[float, float],
        log_ratio: tuple[float, float],
    ) -> NDArray[np.int64]: ...
    def uniform(self, low: float, high: float) -> NDArray[np.float64]: ...

def encode(
    planes: Sequence[NDArray[np.int16]],
    sampling: Sequence[tuple[int, int]],
    quantization: NDArray[np.uint16],
    size: tuple[int, int],
    dequantized: bool,
    restart_interval: int,
    segments: bytes,
) -> bytes: ...

class Files:
    def __init__(self, sources: Sequence[Any], threads: int, max_pixels: int) -> None: ...
    @property
    def heads(self) -> list[tuple[tuple[int, int], tuple[tuple[int, int], ...]] | None]: ...
    def load(
        self,
        files: Sequence[int],
        operators: object,
        formats: Sequence[PlaneFormat],
        outputs: Sequence[object],
        places: Sequence[int],
        threads: int,
    ) -> list[bool]: ...
    def pack(
        self, windows: Sequence[Sequence[Sequence[int]]], outputs: Sequence[NDArray[np.int16]], threads: int
    ) -> list[bool]: ...

class PlaneFormat:
    def __init__(
        self,
        bands_in: Sequence[int],
        scale_in: Sequence[float],
        block_out: int,
        bands_out: Sequence[int],
        gain: Sequence[float],
        shift: Sequence[float],
    ) -> None: ...

def memory(bytes: int) -> NDArray[np.uint8]: ...
def lift_planes(
    planes: Sequence[object],
    operators: object,
    formats: Sequence[PlaneFormat],
    outputs: Sequence[object],
    threads: int,
) -> None: ...
def lift_records(
    shards: Sequence[NDArray[np.uint8]],
    places: NDArray[np.int64],
    blocks: NDArray[np.int64],
    item: int,
    operators: object,
    formats: Sequence[PlaneFormat],
    outputs: Sequence[object],
    threads: int,
) -> None: ...
