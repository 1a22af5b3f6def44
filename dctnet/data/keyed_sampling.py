"""Which sample comes when: a function of the seed, the epoch and the position alone.

Nothing here has a state that workers, ranks or a resumed run could hold differently. The order of an epoch is a
permutation keyed by ``(seed, epoch)``; the random draws of a sample are keyed by ``(seed, epoch, index)``; and the
*global* batch of step s holds the same samples whether one process takes it whole or R processes take a part each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from dctnet.arguments import whole

_MASK = (1 << 64) - 1


class SampleKey(NamedTuple):
    """Which sample, and in which epoch it is drawn (the augmentation differs from epoch to epoch)."""

    epoch: int
    index: int


def mix(*words: int) -> int:
    """One 63-bit seed from several integers, by SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable PRNGs").

    A change of one bit in any word changes about half of the bits of the result, so neighbouring epochs and indices get
    unrelated generators.

    >>> mix(0, 1, 2) != mix(0, 2, 1)
    True
    """
    state = 0
    for word in words:
        state = (state + (word & _MASK) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


def sample_generator(seed: int, key: SampleKey) -> torch.Generator:
    """The generator that a sample's random transforms draw from."""
    return torch.Generator().manual_seed(mix(seed, key.epoch, key.index))


def sample_seeds(seed: int, keys: Sequence[SampleKey]) -> np.ndarray:
    """The seeds of the generators of several samples, uint64: ``mix(seed, epoch, index)`` for each key."""
    state = np.zeros(len(keys), dtype=np.uint64)
    numbers = np.array(keys, dtype=np.int64).reshape(-1, 2).astype(np.uint64)
    for word in (np.uint64(seed & _MASK), numbers[:, 0], numbers[:, 1]):
        state = state + word + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state >> np.uint64(1)


def epoch_order(length: int, seed: int, epoch: int) -> list[int]:
    """The permutation of ``range(length)`` that epoch ``epoch`` follows."""
    # The word -1 keeps this stream apart from those of the samples, whose third word is an index.
    return torch.randperm(length, generator=torch.Generator().manual_seed(mix(seed, epoch, -1))).tolist()


class Place:
    """Where in the epochs a loader is: ``epoch``, and the number of its batches that were handed out.

    ``begin`` says where the next pass starts: at the start of the epoch that ``set_epoch`` named, or, once, at the place
    that ``resume`` named. Without either, a pass follows the last completed one.
    """

    def __init__(self, length: int):
        self.length = length
        self.epoch, self.batch = 0, 0
        self.resumed = False

    def set_epoch(self, epoch: int) -> None:
        """The next pass goes through ``epoch``; a place inside that same epoch to resume from stands."""
        if epoch != self.epoch:
            self.resumed = False
        if not self.resumed:
            self.epoch, self.batch = epoch, 0

    def resume(self, epoch: int, batch: int) -> None:
        """The next pass goes on after ``batch`` batches of ``epoch``."""
        self.epoch, self.batch, self.resumed = epoch, batch, True

    def begin(self) -> tuple[int, int]:
        """Epoch and first batch of the pass that starts now."""
        if self.batch >= self.length:
            self.epoch, self.batch = self.epoch + 1, 0
        elif not self.resumed:
            self.batch = 0
        self.resumed = False
        return self.epoch, self.batch


class KeyedBatches:
    """The batches of sample keys that one rank takes, epoch by epoch.

    Step s of an epoch takes the places ``[s*B, (s+1)*B)`` of the epoch's order, B = ``batch_size`` over all ranks; of
    these rank r takes those at r, r+R, r+2R, ... So the set of samples of a step does not depend on R. The uneven end:

    - ``drop_last=True``: the last ``length mod B`` places of the order are left out of this epoch.
    - ``pad=True``: the last batch is filled up, from the beginning of the order, to a multiple of R, so that all ranks
      have a sample at every step. Training without ``drop_last`` needs this.
    - otherwise every sample comes exactly once; at the last step some ranks may have fewer samples, even none.
      Validation uses this.

    Iterating goes through epoch ``epoch`` from batch ``start`` on (attributes; 0 and 0 at first). ``sampler`` is the
    ``Place``, under the name at which Lightning looks for ``set_epoch``.
    ValueError where R does not divide B, no batch would remain, or r is not one of 0 to R - 1.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        pad: bool = False,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ):
        whole("ranks", ranks, 1)
        whole("rank", rank, 0, ranks - 1)
        if whole("batch_size", batch_size, 1) % ranks:
            raise ValueError(
                f"batch_size counts the samples of a step over all processes, and has to be a multiple of "
                f"their number; got batch_size={batch_size} for {ranks} processes. Try {ranks * max(1, batch_size // ranks)}."
            )
        if drop_last and length < batch_size:
            raise ValueError(
                f"{length} samples do not fill one batch of {batch_size}; choose a batch_size of at most {length}"
            )
        self.length, self.batch_size = length, batch_size
        self.shuffle, self.drop_last, self.pad = shuffle, drop_last, pad
        self.seed, self.rank, self.ranks = seed, rank, ranks
        self.epoch, self.start = 0, 0
        self.sampler = Place(len(self))

    def __len__(self) -> int:
        """Batches in a whole epoch, the same on every rank."""
        return self.length // self.batch_size if self.drop_last else math.ceil(self.length / self.batch_size)

    def order(self) -> list[int]:
        """The places of the present epoch, padding included."""
        order = epoch_order(self.length, self.seed, self.epoch) if self.shuffle else list(range(self.length))
        if self.drop_last:
            return order[: len(self) * self.batch_size]
        missing = -self.length % self.ranks if self.pad else 0
        return order + [order[i % self.length] for i in range(missing)]

    def share(self) -> int:
        """How many samples of an epoch this rank takes, repeats included."""
        total = len(self) * self.batch_size if self.drop_last else self.length
        if self.pad:
            total += -total % self.ranks
        return len(range(self.rank, total, self.ranks))

    def __iter__(self) -> Iterator[list[SampleKey]]:
        order, epoch = self.order(), self.epoch
        for batch in range(self.start, len(self)):
            whole = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [SampleKey(epoch, index) for index in whole[self.rank :: self.ranks]]
