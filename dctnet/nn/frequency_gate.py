"""A layer that learns which bands a network needs: a gate for each channel, open or closed for each picture.

    p = average over the plane of |x|                                   (n, C), the channels of Y, Cb and Cr side by side
    scores = W2 ReLU(W1 p + b1) + b2                                    (n, C, 2): closed, open
    gate = [scores_open + g_open > scores_closed + g_closed]            g Gumbel noise, in training only
    y = gate * x

The gradient of the gate is that of softmax((scores + g) / temperature) (straight-through). Magnitudes are averaged, since
the plain mean of an AC band is near 0 whatever it holds. Source: Xu, Qin, Sun, Wang, Chen and Ren, "Learning in the
frequency domain", CVPR 2020, where the plain mean is taken; E. Jang, S. Gu and B. Poole, "Categorical reparameterization with
Gumbel-softmax", ICLR 2017.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import finite, whole
from dctnet.bands import CHANNELS, Bands, top_bands
from dctnet.coefficients import Coefficients
from dctnet.nn.planes import check_planes
from dctnet.precision import full_precision


class FrequencyGate(nn.Module):
    """Planes ``(n, 64, H/8, W/8)`` with the channels of closed gates set to zero.

    The planes come normalised, so that zero is the mean of a band. In training the gates are drawn by torch's generator
    of the device, and ``penalty()`` after a step is ``weight`` times the expected number of open gates a picture, a term for
    the loss. In evaluation a gate is open where its score says so, the same at each call. ``openness`` (192,) is the
    running mean of the probability of being open, ``momentum`` the share of a new batch in it.

    ``harden`` fixes the gates for all pictures. ``hidden`` is the width of W1; gates start open with the probability ``start``.
    ValueError for numbers out of range.

    >>> gate = FrequencyGate(weight=0.1).eval()
    >>> planes = Coefficients(*(torch.ones(2, 64, n, n) for n in (4, 2, 2)))
    >>> gate.harden(count=24)
    Bands(y=(0, ...
    >>> [int(plane[0, :, 0, 0].sum()) for plane in gate(planes)]
    [22, 1, 1]
    """

    def __init__(
        self,
        weight: float = 0.01,
        temperature: float = 1.0,
        hidden: int = 48,
        start: float = 0.9,
        momentum: float = 0.05,
    ):
        super().__init__()
        self.weight, self.temperature = (
            finite("weight", weight, 0),
            finite("temperature", temperature, 0, open_low=True),
        )
        self.momentum, hidden = finite("momentum", momentum, 0, 1, open_low=True), whole("hidden", hidden, 1)
        start = finite("start", start, 2**-20, 1 - 2**-20)  # of which the logits are finite in float32
        self.reduce = nn.Linear(3 * CHANNELS, hidden)
        self.scores = nn.Linear(hidden, 2 * 3 * CHANNELS)
        nn.init.normal_(self.scores.weight, std=0.01)
        half = torch.logit(torch.tensor(float(start))) / 2
        with torch.no_grad():
            self.scores.bias.copy_(torch.stack([-half, half]).repeat(3 * CHANNELS))
        self.register_buffer("openness", torch.full((3 * CHANNELS,), float(start)))
        self.bands: Bands | None = None  # after harden
        self._expected: Tensor | None = None  # gates open in the last step of training, with its gradient

    def forward(self, coefficients: Coefficients) -> Coefficients:
        check_planes(coefficients, (8, 8))
        gates = self.gates(coefficients) if self.bands is None else _mask(self.bands, coefficients.y.device)[None]
        parts = gates[:, :, None, None].split(CHANNELS, 1)
        return Coefficients(*(plane * part.to(plane.dtype) for plane, part in zip(coefficients, parts, strict=True)))

    def gates(self, coefficients: Coefficients) -> Tensor:
        """Ones and zeros (n, 192), the channels of Y, Cb and Cr."""
        with full_precision(coefficients.y.device):
            dtype = self.scores.weight.dtype
            pooled = torch.cat([plane.to(dtype).abs().mean((2, 3)) for plane in coefficients], 1)
            scores = self.scores(F.relu(self.reduce(pooled))).unflatten(1, (3 * CHANNELS, 2))
            if not self.training:
                return (scores[..., 1] > scores[..., 0]).to(dtype)
            probability = scores.softmax(-1)[..., 1]
            self._expected = probability.sum(1).mean()
            self.openness.lerp_(probability.detach().mean(0).to(self.openness.dtype), self.momentum)
            soft = F.gumbel_softmax(scores, self.temperature, hard=False)[..., 1]
            return (soft > 0.5).to(dtype) + (soft - soft.detach())

    def penalty(self) -> Tensor:
        """``weight`` times the expected number of open gates of a picture of the last training batch; 0 before and if hard."""
        if self._expected is None or self.bands is not None:
            return self.scores.weight.new_zeros(())
        return self.weight * self._expected

    def harden(self, threshold: float = 0.5, count: int | None = None) -> Bands:
        """Fix the gates: open those whose ``openness`` is above ``threshold``, or the ``count`` greatest; returns these bands.

        Each plane keeps one band at least. ValueError for a threshold outside of 0..1 or a count outside of 3..192.
        """
        if count is None:
            threshold, parts = finite("threshold", threshold, 0, 1), self.openness.split(CHANNELS)
            count = sum(max(1, int((part > threshold).sum())) for part in parts)
        count = whole("count", count, 3, 3 * CHANNELS)
        self.bands = top_bands([part.tolist() for part in self.openness.split(CHANNELS)], count)
        return self.bands

    def get_extra_state(self) -> list[list[int]] | None:
        """The bands of hard gates, for a checkpoint."""
        return None if self.bands is None else [list(plane) for plane in self.bands]

    def set_extra_state(self, state: list[list[int]] | None) -> None:
        """Hard gates as a checkpoint holds them."""
        self.bands = None if state is None else Bands(*(tuple(plane) for plane in state))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_expected": None}  # a tensor with a graph can be neither copied nor pickled

    def extra_repr(self) -> str:
        hard = "" if self.bands is None else f", hard={'+'.join(str(len(plane)) for plane in self.bands)} bands"
        return f"weight={self.weight:g}, temperature={self.temperature:g}{hard}"


def _mask(bands: Bands, device: torch.device) -> Tensor:
    mask = torch.zeros(3, CHANNELS, device=device)
    for plane, channels in zip(mask, bands, strict=True):
        plane[list(channels)] = 1
    return mask.flatten()
