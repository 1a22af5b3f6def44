"""The layer between planes: feature maps of luma and chroma, on grids of their own, that send each other messages.

With x_1 .. x_G from the finest grid to the coarsest (luma first; a grid may also be equal to the one before),

    x_i <- ReLU(x_i + BN(W_i shrink(x_{i-1})) + grow(BN(V_i x_{i+1})))

shrink and grow bring a map to the grid of its reader (``dctnet.nn.grids``), W and V are 1x1 convolutions. ``kind`` says which
messages there are:

    none             none: the layer is the identity
    luma_to_chroma   from each grid to the next coarser one
    chroma_to_luma   from each grid to the next finer one
    both             both
    gated            both, each multiplied by a gate per channel of its reader, sigmoid(A [mean of sender, mean of reader] + a)

The maps come in after a ReLU. With ``zero_init`` the last BatchNorms start at zero, and the layer as the identity.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import choice
from dctnet.nn.grids import check_kind, grow, shrink

EXCHANGES = ("none", "luma_to_chroma", "chroma_to_luma", "both", "gated")


class PlaneExchange(nn.Module):
    """The layer above on maps ``(n, channels[i], h_i, w_i)``, a list of one or more.

    ``factors[i]`` is how many times finer grid i is than grid i+1, 1 or more, one number less than there are grids.
    ``pooling``: a kind of ``dctnet.nn.grids``. ValueError for a kind that does not exist, and for maps whose grids do not
    have these factors.

    >>> exchange = PlaneExchange((16, 8), (2,), "both")
    >>> [tuple(x.shape) for x in exchange([torch.ones(1, 16, 8, 8), torch.ones(1, 8, 4, 4)])]
    [(1, 16, 8, 8), (1, 8, 4, 4)]
    """

    def __init__(
        self,
        channels: Sequence[int],
        factors: Sequence[int],
        kind: str = "both",
        pooling: str = "average",
        zero_init: bool = False,
    ):
        super().__init__()
        choice("exchange", kind, EXCHANGES)
        check_kind(pooling)
        if len(factors) != len(channels) - 1 or any(factor < 1 for factor in factors):
            raise ValueError(
                f"{len(channels)} grids have {len(channels) - 1} factors between them, 1 or more each; got {tuple(factors)}"
            )
        self.kind, self.factors = kind, tuple(factors)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for fine, coarse, factor in zip(channels[:-1], channels[1:], factors, strict=True):
            gated = kind == "gated"
            if kind in ("luma_to_chroma", "both", "gated"):
                self.down.append(Message(fine, coarse, shrink(pooling, factor), nn.Identity(), gated, zero_init))
            if kind in ("chroma_to_luma", "both", "gated"):
                self.up.append(Message(coarse, fine, nn.Identity(), grow(pooling, factor), gated, zero_init))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        self._check(maps)
        received: list[Tensor | None] = [None] * len(maps)

        def send(message: Message, sender: int, reader: int) -> None:
            said = message(maps[sender], maps[reader])
            received[reader] = said if received[reader] is None else received[reader] + said

        for i, message in enumerate(self.down):
            send(message, i, i + 1)
        for i, message in enumerate(self.up):
            send(message, i + 1, i)
        return [x if said is None else F.relu(x + said) for x, said in zip(maps, received, strict=True)]

    def _check(self, maps: Sequence[Tensor]) -> None:
        sizes = [tuple(x.shape[-2:]) for x in maps]
        fits = len(maps) == len(self.factors) + 1 and all(
            (f * h, f * w) == fine for f, fine, (h, w) in zip(self.factors, sizes[:-1], sizes[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                f"this layer exchanges between {len(self.factors) + 1} grids, each finer than the next by {self.factors}; got "
                f"maps of {sizes}"
            )

    def extra_repr(self) -> str:
        return f"kind={self.kind!r}, factors={self.factors}"


class Message(nn.Module):
    """What one grid tells another: ``after(BN(conv1x1(before(sender))))``, gated or not."""

    def __init__(
        self,
        sender: int,
        reader: int,
        before: nn.Module,
        after: nn.Module,
        gated: bool = False,
        zero_init: bool = False,
    ):
        super().__init__()
        self.before, self.after = before, after
        self.project = nn.Sequential(nn.Conv2d(sender, reader, 1, bias=False), nn.BatchNorm2d(reader))
        self.gate = nn.Linear(sender + reader, reader) if gated else None
        if zero_init:
            nn.init.zeros_(self.project[-1].weight)

    def forward(self, sender: Tensor, reader: Tensor) -> Tensor:
        said = self.project(self.before(sender))
        if self.gate is not None:
            means = torch.cat([sender.mean((2, 3)), reader.mean((2, 3))], 1)
            said = said * torch.sigmoid(self.gate(means))[:, :, None, None].to(said.dtype)
        return self.after(said)
