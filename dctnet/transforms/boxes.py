"""Sizes of pictures, and the boxes that transforms take of them, placed as torchvision places them."""

from __future__ import annotations

Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
    """(height, width) from a number or a pair."""
    height, width = (size, size) if isinstance(size, int) else tuple(size)
    return int(height), int(width)


def resized_size(size: tuple[int, int], target: Size) -> tuple[int, int]:
    """The size that ``resize`` makes of a picture: ``target``, or the shorter side at ``target``, the longer in proportion.

    >>> resized_size((375, 500), 256)
    (256, 341)
    """
    if not isinstance(target, int):
        return pair(target)
    if target < 1:
        raise ValueError(f"the output size is at least 1 pixel; got {target}")
    height, width = size
    return (target, int(target * width / height)) if height <= width else (int(target * height / width), target)


def center_box(size: tuple[int, int], output_size: Size) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the central box, placed as torchvision places it; ValueError where it does not fit.

    >>> center_box((256, 341), 224)
    (16, 58, 224, 224)
    """
    height, width = pair(output_size)
    if not (0 < height <= size[0] and 0 < width <= size[1]):
        raise ValueError(
            f"a central crop of {height}x{width} does not fit a picture of {size[0]}x{size[1]}; resize it first"
        )
    return round((size[0] - height) / 2.0), round((size[1] - width) / 2.0), height, width
