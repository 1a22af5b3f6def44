"""Batches whose pictures are mixed with each other, and their labels alike: MixUp and CutMix.

Picture i is mixed with picture i - 1, the last with the first: the batch rolled by one, as torchvision does. The labels of a
mixed batch are shares ``(n, classes)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from dctnet.arguments import finite, flag, whole
from dctnet.coefficients import Coefficients, Grid, check_kind, infer_grid
from dctnet.transforms.masking import checked_boxes, paste
from dctnet.transforms.per_sample import Number, check_range


def mixup(
    coefficients: Coefficients, labels: Tensor, lam: Number, num_classes: int | None = None
) -> tuple[Coefficients, Tensor]:
    """``lam`` X + (1 - lam) rolled X, of planes ``(n, C, H/b, W/b)`` and of labels: exact, also of normalised or selected bands.

    ``lam`` in [0, 1]: a number, or one for each picture. ``labels``: class numbers ``(n,)``, which need ``num_classes``, or
    shares ``(n, classes)``. Returns the planes and the shares. ValueError for numbers out of range. (Labels on an
    accelerator are not looked at, which would be to wait for it.)

    Source: Zhang et al., "mixup: Beyond empirical risk minimization", ICLR 2018.

    >>> planes = Coefficients(*(torch.tensor([0.0, 4.0]).view(2, 1, 1, 1) for _ in range(3)))
    >>> mixed, shares = mixup(planes, torch.tensor([0, 2]), 0.75, num_classes=3)
    >>> mixed.y.flatten().tolist(), shares.tolist()
    ([1.0, 3.0], [[0.75, 0.0, 0.25], [0.25, 0.0, 0.75]])
    """
    shares = label_shares(labels, num_classes)
    _check_batch(coefficients, shares)
    lam = lam.cpu() if isinstance(lam, Tensor) else lam
    check_range("lam", lam, 0, 1)
    lam = torch.as_tensor(lam, dtype=torch.float64)
    if lam.ndim and lam.shape != labels.shape[:1]:
        raise ValueError(f"lam is one number or one for each of {len(labels)} pictures; got shape {tuple(lam.shape)}")

    def mixed(plane: Tensor) -> Tensor:
        wide = plane.to(torch.promote_types(plane.dtype, torch.float32))
        weight = lam[..., None, None, None].to(wide.device, wide.dtype)
        result = _rolled(wide) * (1 - weight) + wide * weight
        return result.to(plane.dtype) if plane.is_floating_point() else result

    return coefficients.map(mixed), _mixed_shares(shares, lam)


def cutmix(
    coefficients: Coefficients,
    labels: Tensor,
    top: Number,
    left: Number,
    height: Number,
    width: Number,
    num_classes: int | None = None,
    *,
    grid: Grid | None = None,
) -> tuple[Coefficients, Tensor]:
    """The box of the rolled batch in the batch, at any offset, and the labels mixed by the area of the box.

    The box is in pixels, one for all pictures or one for each; chroma samples that it cuts are mixed by the share that it
    covers. The planes are in gray levels, or divided by one number a plane, with all their bands; ``grid`` says where their
    samples lie (default: all of the planes is picture). Labels as in ``mixup``. ValueError where a box leaves the picture, and
    for ``SelectedBands``.

    Source: Yun et al., "CutMix: Regularization strategy to train strong classifiers with localizable features", ICCV 2019.

    >>> planes = Coefficients(*(torch.tensor([0.0, 4.0]).view(2, 1, 1, 1).repeat(1, 1, 2, 2) for _ in range(3)))
    >>> mixed, shares = cutmix(planes, torch.tensor([0, 1]), 0, 0, 1, 2, num_classes=2)
    >>> mixed.y[0, 0].tolist(), shares[0].tolist()
    ([[4.0, 4.0], [0.0, 0.0]], [0.5, 0.5])
    """
    shares = label_shares(labels, num_classes)
    _check_batch(coefficients, shares)
    grid = grid or infer_grid(coefficients)
    boxes = checked_boxes((top, left, height, width), coefficients.y.shape[:-3], grid.size)
    mixed = paste(coefficients, coefficients.map(_rolled), *boxes.unbind(-1), grid=grid)
    return mixed, _mixed_shares(shares, 1 - boxes[:, 2] * boxes[:, 3] / (grid.size[0] * grid.size[1]))


def label_shares(labels: Tensor, num_classes: int | None) -> Tensor:
    """Class numbers ``(n,)`` as shares ``(n, num_classes)`` float32; shares as they are. ValueError where they do not fit."""
    if not isinstance(labels, Tensor):
        raise ValueError(f"labels are a tensor of class numbers (n,) or of shares (n, classes); got {labels!r}")
    if labels.ndim == 2 and num_classes in (None, labels.shape[1]):
        return labels if labels.is_floating_point() else labels.to(torch.float32)
    if labels.ndim == 2:
        raise ValueError(f"shares are (n, {num_classes}), or num_classes is None; got shape {tuple(labels.shape)}")
    if labels.ndim != 1 or labels.is_floating_point():
        raise ValueError(
            f"labels are class numbers (n,) or shares (n, classes); got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    num_classes = None if num_classes is None else whole("num_classes", num_classes, 1)
    if num_classes is None:
        raise ValueError("num_classes is needed where labels are class numbers")
    if labels.device.type == "cpu":
        wrong = labels[(labels < 0) | (labels >= num_classes)]
        if len(wrong):
            raise ValueError(f"labels are class numbers from 0 to {num_classes - 1}; got {wrong[0].item()}")
    return (labels[:, None] == torch.arange(num_classes, device=labels.device)).to(torch.float32)


def _check_batch(coefficients: Coefficients, shares: Tensor) -> None:
    check_kind(coefficients)
    for name, plane in zip(Coefficients._fields, coefficients, strict=True):
        if plane.ndim != 4 or len(plane) != len(shares):
            raise ValueError(
                f"pictures are mixed in a batch (n, C, H/b, W/b) of as many as there are labels, {len(shares)}; "
                f"plane {name} has shape {tuple(plane.shape)}"
            )


def _rolled(plane: Tensor) -> Tensor:
    return plane.movedim(-3, -1).roll(1, 0).movedim(-1, -3)  # so that blocks stay contiguous


def _mixed_shares(shares: Tensor, lam: Tensor) -> Tensor:
    weight = lam[..., None].to(shares.device, shares.dtype)
    return shares.roll(1, 0) * (1 - weight) + shares * weight


class Mixing(ABC):
    """A mixture of the pictures of a batch, its parameters drawn for all of them, or for each (``per_sample``)."""

    def __init__(self, *, alpha: float = 1.0, num_classes: int | None = None, per_sample: bool = False):
        self.alpha = finite("alpha, of Beta(alpha, alpha),", alpha, 0, open_low=True)
        # None where labels are shares.
        self.num_classes = None if num_classes is None else whole("num_classes", num_classes, 1)
        self.per_sample = flag("per_sample", per_sample)

    @abstractmethod
    def __call__(
        self,
        coefficients: Coefficients,
        labels: Tensor,
        generator: torch.Generator | None = None,
        size: tuple[int, int] | None = None,
    ) -> tuple[Coefficients, Tensor]:
        """A batch of pictures of ``size`` (default: whole blocks) and its labels, mixed; the labels are shares then."""

    def draw_lam(self, count: int, generator: torch.Generator | None) -> Tensor:
        """``count`` draws ``(count,)`` float64 of Beta(alpha, alpha): the first of a pair of Dirichlet(alpha, alpha).

        That is how ``torch.distributions.Beta`` draws, which knows no generator; in float32, as there, so that torchvision's
        draws come out. Below an alpha of about 0.01 both of a pair may underflow, and lam is 1/2 (a quarter of them at 0.001).
        """
        concentration = torch.full((count, 2), self.alpha)
        return torch._sample_dirichlet(concentration, generator=generator)[:, 0].to(torch.float64)

    def __repr__(self) -> str:
        each = ", per_sample=True" if self.per_sample else ""
        return f"{type(self).__name__}(alpha={self.alpha}, num_classes={self.num_classes}{each})"


class MixUp(Mixing):
    """``mixup`` with lam drawn from Beta(alpha, alpha), with torchvision's arguments, and from one state of a generator its lam.

    ``per_sample`` draws one lam for each picture. No band is needed, and no gray levels: it may follow any transform.
    """

    def __call__(
        self,
        coefficients: Coefficients,
        labels: Tensor,
        generator: torch.Generator | None = None,
        size: tuple[int, int] | None = None,
    ) -> tuple[Coefficients, Tensor]:
        lam = self.draw_lam(len(labels) if self.per_sample else 1, generator)
        return mixup(coefficients, labels, lam if self.per_sample else lam[0], self.num_classes)


class CutMix(Mixing):
    """``cutmix`` with a box of about (1 - lam) of the area, lam drawn from Beta(alpha, alpha), about a pixel anywhere.

    The box is cut off at the picture's edge, and the labels are mixed by the area that is left of it. Arguments and draws are
    torchvision's: from one state of a generator both cut the same box. ``per_sample`` draws one box for each picture. All
    bands are needed.
    """

    def draw(self, count: int, size: tuple[int, int], generator: torch.Generator | None) -> tuple[Tensor, ...]:
        """top, left, height and width, each ``(count,)`` int64."""
        lam = self.draw_lam(count, generator)
        across = torch.randint(size[1], (count,), generator=generator)
        down = torch.randint(size[0], (count,), generator=generator)
        starts, lengths = [], []
        for length, centre in zip(size, (down, across), strict=True):
            half = (0.5 * (1 - lam).sqrt() * length).long()
            starts.append((centre - half).clamp(min=0))
            lengths.append((centre + half).clamp(max=length) - starts[-1])
        return *starts, *lengths

    def __call__(
        self,
        coefficients: Coefficients,
        labels: Tensor,
        generator: torch.Generator | None = None,
        size: tuple[int, int] | None = None,
    ) -> tuple[Coefficients, Tensor]:
        grid = infer_grid(coefficients, size)
        box = self.draw(len(labels) if self.per_sample else 1, grid.size, generator)
        box = box if self.per_sample else [number[0] for number in box]
        return cutmix(coefficients, labels, *box, self.num_classes, grid=grid)
