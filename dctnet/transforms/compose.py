"""A chain of transforms, in which consecutive geometric ones become a single operator."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dctnet.coefficients import Coefficients, Grid, Pictured, block_size, block_sizes, infer_grid
from dctnet.transforms.frequency import SelectBands
from dctnet.transforms.geometric import Geometric, Reblock
from dctnet.transforms.normalize import Normalize
from dctnet.transforms.passing import Passing
from dctnet.transforms.photometric import Photometric
from dctnet.transforms.policy import Policy, Transform, check_transforms
from dctnet.transforms.reduced import Reduced, reduce
from dctnet.transforms.steps import Drawn


class Compose:
    """Transforms one after the other, from a ``JPEGImage`` (or bare ``Coefficients``) to float ``Coefficients``.

    The pixel operators R of consecutive geometric transforms are multiplied, lifted once and applied once, so a resize,
    a crop and a flip cost as much as one of them; a ``Normalize`` behind them is applied with them. The result lies on the
    4:2:0 grid whatever the file's sampling, in blocks of ``block_size`` (a number, or a pair for luma and chroma; default:
    that of the input) until a ``Reblock`` says otherwise. ``dtype`` is that of the result (default: that of the planes that
    come, float32 of integers); half precision is computed in float32 and rounded once, at the end.

    A data set asks ``reduced`` what the chain comes to, so as to do the whole of it in one pass over many pictures. The
    draws are the same, the values equal to rounding.

    >>> from dctnet.transforms.geometric import CenterCrop, Resize
    >>> transform = Compose([Resize(256), CenterCrop(224)], block_size=(8, 4))
    >>> transform
    Compose([Resize(size=256), CenterCrop(size=(224, 224))], block_size=(8, 4))
    >>> picture = Coefficients(*(torch.zeros(64, n, m, dtype=torch.int16) for n, m in ((47, 63), (24, 32), (24, 32))))
    >>> [tuple(plane.shape) for plane in transform(picture)]
    [(64, 28, 28), (16, 28, 28), (16, 28, 28)]
    """

    def __init__(
        self,
        transforms: Sequence[Transform],
        block_size: int | tuple[int, int] | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.transforms = tuple(check_transforms(transforms))
        self.dtype = None if dtype is None else floating(dtype)
        check_order(self.transforms)
        self.block_size = None if block_size is None else block_sizes(block_size)

    def __call__(self, image: Pictured | Coefficients, generator: torch.Generator | None = None) -> Coefficients:
        """``image`` has ``.coefficients`` and ``.grid``, or is ``Coefficients`` that are all picture."""
        return self.with_grid(image, generator)[0]

    def with_grid(
        self, image: Pictured | Coefficients, generator: torch.Generator | None = None
    ) -> tuple[Coefficients, Grid]:
        """The same, and the grid of the result: the size of its picture, which need not fill the last blocks."""
        coefficients, grid = planes_of(image)
        picture = Passing(
            coefficients, grid, self.block_size or (block_size(coefficients.y), block_size(coefficients.cb))
        )
        self._pass(picture, self.transforms, generator)
        # Even without a geometric transform the chroma is brought to the 4:2:0 grid, and the blocks to their size.
        return picture.result(self.dtype), picture.grid

    def _pass(self, picture: Passing, transforms: Sequence[Transform], generator: torch.Generator | None) -> None:
        for transform in transforms:
            if isinstance(transform, Policy):
                self._pass(picture, transform.choose(picture.grid.size, generator), generator)
            elif isinstance(transform, Geometric):
                picture.move(transform.draw(picture.grid.size, generator))
                picture.blocks = transform.block_size if isinstance(transform, Reblock) else picture.blocks
            elif type(transform) is Normalize and picture.pending and (ending := transform.ending(picture.blocks)):
                picture.settle(ending=ending)
            else:
                picture.settle_for(transform)
                picture.coefficients = transform(picture.coefficients, generator, picture.grid.size)

    def reduced(self, block_size: tuple[int, int] = (8, 8)) -> Reduced | None:
        """What the chain does to pictures in blocks of ``block_size``; None where that is more than one lifted operator.

        ValueError where the bands do not fit those of a ``Normalize`` or ``SelectBands``.
        """
        return reduce(self.transforms, self.block_size or block_size)

    def parted(self) -> tuple[Compose, Compose]:
        """Two chains that come to this one: the boxes of the picture in front, in float32, and what follows them."""
        boxes = (isinstance(one, Geometric) and one.steps is Drawn for one in self.transforms)
        count = next((i for i, box in enumerate(boxes) if not box), len(self.transforms))
        front = Compose(self.transforms[:count], self.block_size, torch.float32)
        sizes = [one.block_size for one in front.transforms if isinstance(one, Reblock)]
        return front, Compose(self.transforms[count:], sizes[-1] if sizes else self.block_size, self.dtype)

    def __repr__(self) -> str:
        dtype = "" if self.dtype is None else f", dtype={self.dtype}"
        return f"Compose({list(self.transforms)}, block_size={self.block_size}{dtype})"


def floating(dtype: torch.dtype) -> torch.dtype:
    """The dtype; ValueError where it is none of floats."""
    if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ValueError(f"coefficients become floats; got dtype={dtype}")
    return dtype


def planes_of(image: Pictured | Coefficients) -> tuple[Coefficients, Grid]:
    """The coefficients of an image and their grid; of ``Coefficients`` all is taken to be picture. ValueError for others."""
    if isinstance(image, Coefficients):
        return image, infer_grid(image)
    if not (hasattr(image, "coefficients") and hasattr(image, "grid")):
        raise ValueError(f"an image is a JPEGImage, or Coefficients that are all picture; got a {type(image).__name__}")
    return image.coefficients, image.grid


def check_order(
    transforms: Sequence[Transform], ungrayed: Transform | None = None, selected: Transform | None = None
) -> tuple[Transform | None, Transform | None]:
    """ValueError where a transform needs gray levels, or all bands, which one before it has changed or may have changed.

    ``ungrayed`` and ``selected`` are the last that did so before, and are returned as they are behind the transforms.
    """
    for transform in transforms:
        if isinstance(transform, Geometric):
            if selected is not None:
                raise ValueError(f"{transform!r} needs all bands of a block: put it before {selected!r}")
            if ungrayed is not None:
                raise ValueError(f"{transform!r} mixes the bands of neighbouring blocks: put it before {ungrayed!r}")
        elif isinstance(transform, Policy) and (ways := transform.ways()) is not None:
            behind = [check_order(way, ungrayed, selected) for way in ways]
            ungrayed, selected = (next((t for t in those if t), None) for those in zip(*behind, strict=True))
        elif isinstance(transform, Photometric) and not transform.in_gray_levels:
            ungrayed, selected = transform, transform if isinstance(transform, SelectBands) else selected
        elif ungrayed is not None:
            raise ValueError(f"{transform!r} needs values in gray levels: put it before {ungrayed!r}")
    return ungrayed, selected
