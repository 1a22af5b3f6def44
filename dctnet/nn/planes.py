"""What a network may assume about the planes that it reads, checked with a message that helps."""

from __future__ import annotations

from torch import Tensor

from dctnet.bands import Bands
from dctnet.coefficients import Coefficients


def reads_chroma(planes: str) -> bool:
    """What an option ``planes`` means: "ycc" all three planes, "y" luma alone; ValueError for anything else.

    A network of "y" takes the same Coefficients, so that every loader serves it, and does not look at Cb and Cr.
    """
    if planes not in ("ycc", "y"):
        raise ValueError(f'planes is "ycc" (Y, Cb and Cr) or "y" (luma alone); got {planes!r}')
    return planes == "ycc"


def check_planes(
    coefficients: Coefficients, sizes: tuple[int, int], bands: Bands | None = None, chroma: bool = True
) -> None:
    """ValueError where the planes are no batch ``(n, b*b, H/b, W/b)`` of the block sizes (luma, chroma) in ``sizes``.

    With ``bands`` each plane has as many channels as it names. Without ``chroma`` only Y is checked.

    Only shapes are compared, so the check costs nothing on a device and breaks no graph of ``torch.compile``.
    """
    if not isinstance(coefficients, Coefficients):
        got = (
            f"a tensor {tuple(coefficients.shape)}" if isinstance(coefficients, Tensor) else type(coefficients).__name__
        )
        raise ValueError(f"this network reads Coefficients(y, cb, cr), one batch of planes each; got {got}")
    if others := [type(plane).__name__ for plane in coefficients if not isinstance(plane, Tensor)]:
        raise ValueError(
            f"Coefficients hold three tensors; got {', '.join(others)}. Where there is no chroma, pass planes of zeros."
        )
    y, cb, cr = coefficients
    read = (("Y", y), ("Cb", cb), ("Cr", cr)) if chroma else (("Y", y),)
    for number, (name, plane) in enumerate(read):
        size = sizes[min(number, 1)]
        if plane.ndim != 4:
            raise ValueError(
                f"this network reads batches: planes of shape (n, channels, rows, columns); got {name} of shape "
                f"{tuple(plane.shape)}. Add the batch axis to one picture with coefficients.map(lambda p: p[None])."
            )
        if bands is not None and plane.shape[1] != len(bands[number]):
            raise ValueError(
                f"this network reads {len(bands[number])} selected bands of {name}; got {plane.shape[1]} channels. Put the "
                "SelectBands of the network's bands last in the transform."
            )
        if bands is None and plane.shape[1] != size * size:
            raise ValueError(
                f"this network reads block size {size}: {name} with {size * size} channels; got {plane.shape[1]}. "
                f"Re-block with transforms.Reblock({sizes[0] if sizes[0] == sizes[1] else sizes}), or pass the block "
                "size of your planes to create_model as block_size=."
            )
    if not chroma:
        return
    same = cb.shape[2:] == cr.shape[2:] and (bands is not None or cb.shape[1] == cr.shape[1])
    if not same or not y.shape[0] == cb.shape[0] == cr.shape[0]:
        raise ValueError(
            f"Cb and Cr have one shape and the batch size of Y; got Y {tuple(y.shape)}, Cb {tuple(cb.shape)}, "
            f"Cr {tuple(cr.shape)}"
        )


def without_chroma(y: Tensor, sizes: tuple[int, int]) -> Coefficients:
    """The planes of a gray picture: Y, and chroma planes of zeros on the 4:2:0 grid that belongs to it.

    >>> import torch
    >>> [tuple(plane.shape) for plane in without_chroma(torch.zeros(1, 64, 3, 2), (8, 4))]
    [(1, 64, 3, 2), (1, 16, 3, 2), (1, 16, 3, 2)]
    """
    b, c = sizes
    rows, columns = (((side * b + 1) // 2 + c - 1) // c for side in y.shape[2:])
    chroma = y.new_zeros((y.shape[0], c * c, rows, columns))
    return Coefficients(y, chroma, chroma)
