"""A chain of transforms applied to images in memory, all at once, in C++ where that can be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dctnet.arguments import whole
from dctnet.coefficients import Coefficients, block_size, stack
from dctnet.data.lifted_batch import Lifting, lifting_of
from dctnet.jpeg import _native
from dctnet.jpeg.image import JPEGImage
from dctnet.transforms.batched import plan
from dctnet.transforms.compose import Compose
from dctnet.transforms.separable import Separable
from dctnet.transforms.together import one_shape


def lift_images(
    transform: Compose, images: Sequence[JPEGImage], seeds: Sequence[int], threads: int = 1
) -> Coefficients:
    """What ``transform`` makes of each image with the generator ``torch.Generator().manual_seed(seed)``, as one batch.

    Planes ``(n, c*c, P, Q)``, blocks contiguous. A chain that is one lifted operator, then ``Normalize`` and
    ``SelectBands``, is done in C++ on ``threads`` threads, the GIL released, from int16 coefficients in blocks of 8; of any
    other the crops and resizes in front, and the rest picture by picture. Equal to the transform of each image by itself to
    1e-3 gray levels. ValueError where the images come out in different sizes, there is not one seed an image, or an image
    has no ``coefficients``.
    """
    whole("threads", threads, 1)
    for image in images:
        if not hasattr(image, "coefficients"):
            raise ValueError(
                f"lift_images takes pictures as read_jpegs gives them; got a {type(image).__name__}. Bare coefficients go "
                "through transforms.batched.plan."
            )
    if len(images) != len(seeds):
        raise ValueError(f"each image needs a seed; got {len(images)} images and {len(seeds)} seeds")
    planes = [image.coefficients for image in images]
    lifting = lifting_of(transform)
    fits = all(p.dtype == torch.int16 and block_size(p) == 8 for picture in planes for p in picture)
    sizes = {image.size for image in images}
    if lifting is None and len(sizes) > 1:  # such a chain goes its own way with each size
        generators = (torch.Generator().manual_seed(seed) for seed in seeds)
        return stack([transform(image, generator) for image, generator in zip(images, generators, strict=True)])
    if not images or lifting is None or not fits:
        made = plan(transform, images, [torch.Generator().manual_seed(seed) for seed in seeds])
        return made.apply(made.pack(planes), transform.dtype or torch.float32)
    operators, size = _operators(lifting, images, seeds)
    outputs = lifting.outputs(len(images), size)
    arrays = [tuple(plane.movedim(0, -1).numpy() for plane in picture) for picture in planes]
    _native.lift_planes(arrays, operators, lifting.formats, outputs, threads)
    planes = lifting.kind(*(plane.movedim(-1, -3) for plane in outputs))
    generators = (torch.Generator().manual_seed(seed) for seed in seeds)
    return lifting.finished(planes, size, [image.size for image in images], generators)


def _operators(
    lifting: Lifting, images: Sequence[JPEGImage], seeds: Sequence[int]
) -> tuple[np.ndarray | list[Separable], tuple[int, int]]:
    """The operators of all images, drawn at once where there is a form for that, and the size that they lead to."""
    sizes = np.array([image.size for image in images], dtype=np.int64)
    # Sampling factors: inversely as the distance of samples, whole numbers for every distance that JPEG knows.
    sampling = np.array(
        [[[12 / step for step in plane] for plane in image.grid.spacing] for image in images], dtype=np.float64
    )
    drawn = lifting.reduced.operators_of_many(
        sizes, sampling, _native.Streams(np.array([seed % 2**64 for seed in seeds], dtype=np.uint64))
    )
    if drawn is not None:
        return drawn
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    operators = [lifting.reduced.operators(i.grid, g) for i, g in zip(images, generators, strict=True)]
    return operators, one_shape({one.size for one in operators})
