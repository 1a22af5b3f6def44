"""Loss and top-1/top-5 accuracy over a data set, exact whatever the batches and the ranks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def hits(logits: Tensor, labels: Tensor, k: int) -> Tensor:
    """For each row of ``logits`` (n, classes), whether the label is among the k greatest; a bool (n,).

    With fewer than k classes every label is.
    """
    best = logits.topk(min(k, logits.shape[1]), dim=1).indices
    return (best == labels[:, None]).any(dim=1)


class Sums:
    """Sums over the samples seen: loss, top-1 hits, top-5 hits, samples.

    The mean of batch means is wrong where batches differ in size; the quotient of sums is not. ``means(reduce)`` adds
    over ranks first, ``reduce`` being the function that sums a tensor over them.
    """

    NAMES = ("loss", "top1", "top5")

    def __init__(self) -> None:
        self.totals: Tensor | None = None

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: ``losses`` (n,), ``logits`` (n, classes), ``labels`` (n,)."""
        values = [losses, hits(logits, labels, 1), hits(logits, labels, 5), torch.ones_like(losses)]
        batch = torch.stack([value.double().sum() for value in values])
        self.totals = batch if self.totals is None else self.totals + batch

    def means(
        self, device: torch.device, reduce: Callable[[Tensor], Tensor] = lambda total: total
    ) -> dict[str, Tensor]:
        """Mean loss and accuracies in [0, 1] (nan where nothing was counted); the sums start anew."""
        totals = torch.zeros(4, dtype=torch.float64, device=device) if self.totals is None else self.totals
        self.totals = None
        totals = reduce(totals)
        return dict(zip(self.NAMES, (totals[:3] / totals[3]).float(), strict=True))
