"""An exponential moving average of the weights, which validation, the checkpoints and predict use."""

from __future__ import annotations

from collections.abc import Sequence

from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


def ema_decay(updates: int, decay: float) -> float:
    """``min(decay, (1 + t) / (10 + t))`` for the t-th update: at the start the average forgets the first weights faster.

    The warm-up is that of TensorFlow's ``ExponentialMovingAverage(num_updates=...)``.

    >>> [round(ema_decay(t, 0.99), 3) for t in (1, 10, 100, 10_000)]
    [0.182, 0.55, 0.918, 0.99]
    """
    return min(decay, (1 + updates) / (10 + updates))


class MovingAverage(WeightAveraging):
    """After each optimizer step, average <- d * average + (1 - d) * weights, d = ``ema_decay(t, decay)``.

    The average starts as the weights after the first step; buffers (the statistics of batch normalisation) are averaged
    like weights. Lightning's ``WeightAveraging`` puts the average in the network's place during validation and after
    training, and writes it as the checkpoint's ``state_dict``; the weights that training goes on with lie beside it
    under ``current_model_state``.
    """

    def __init__(self, decay: float):
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of a moving average lies in [0, 1); got {decay}")
        self.decay = decay
        super().__init__(multi_avg_fn=self._update)

    def _update(self, average: Sequence[Tensor], weights: Sequence[Tensor], updates: Tensor | int) -> None:
        get_ema_multi_avg_fn(ema_decay(int(updates), self.decay))(average, weights, updates)
