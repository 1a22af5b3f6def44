import numpy as np
from numpy.typing import NDArray

def block_dct(
    samples: NDArray[np.float32],
    blocks: NDArray[np.float32],
    b: int,
    threads: int,
    affine: NDArray[np.float32] | None = None,
) -> None: ...
def block_idct(blocks: NDArray[np.float32], samples: NDArray[np.float32], b: int, threads: int) -> None: ...
def separable(
    planes: NDArray[np.float32],
    vertical_start: NDArray[np.int64],
    vertical_weights: NDArray[np.float32],
    horizontal_start: NDArray[np.int64],
    horizontal_weights: NDArray[np.float32],
    made: NDArray[np.float32],
    threads: int,
) -> None: ...
def warp(
    planes: NDArray[np.float32],
    maps: NDArray[np.float64],
    warped: NDArray[np.float32],
    fill: NDArray[np.float32],
    threads: int,
) -> None: ...
