"""Sizes of pictures, and the boxes that transforms take of them, placed as torchvision places them."""

from __future__ import annotations

from dctnet.arguments import several

Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
    """(height, width) from a number or a pair of whole numbers, at least 1; ValueError otherwise."""
    sides = several("size", size, (1, 2), 1, of_whole=True)
    return sides[0], sides[-1]


def checked_target(target: Size) -> Size:
    """What ``resize`` takes: the length of the shorter side, or (height, width); ValueError for anything else."""
    sides = several("size", target, (1, 2), 1, of_whole=True)
    return sides[0] if len(sides) == 1 else sides


def resized_size(size: tuple[int, int], target: Size) -> tuple[int, int]:
    """The size that ``resize`` makes of a picture: ``target``, or the shorter side at ``target``, the longer in proportion.

    ``target`` is a ``checked_target``.

    >>> resized_size((375, 500), 256)
    (256, 341)
    """
    if not isinstance(target, int):
        return target
    height, width = size
    return (target, int(target * width / height)) if height <= width else (int(target * height / width), target)


def center_box(size: tuple[int, int], output_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the central box, placed as torchvision places it; ValueError where it does not fit.

    >>> center_box((256, 341), (224, 224))
    (16, 58, 224, 224)
    """
    height, width = output_size
    if height > size[0] or width > size[1]:
        raise ValueError(
            f"a central crop of {height}x{width} does not fit a picture of {size[0]}x{size[1]}; resize it first"
        )
    return round((size[0] - height) / 2.0), round((size[1] - width) / 2.0), height, width
