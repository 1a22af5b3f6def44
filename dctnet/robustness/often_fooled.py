"""The nearest picture that fools a random network whenever it looks, not once.

An attack that looks for the nearest picture stops where it is misclassified for the first time. Attacked by the mean of K
draws, which is drawn anew in each step, that is where one lucky mean was wrong: before the boundary as a rule, and at the picture
itself where a clean one is wrong now and then. On the boundary, too, a look that draws anew is right half of the time. So here

    1. the attack runs with a lead: its logit of the right class is one of LEADS times s_i greater than what is attacked says, s_i
       the deviation of the margin of picture i from draw to draw. It stops where single looks are wrong in their great majority;
    2. of the pictures x + t d on its way, d what it found and t one of FACTORS, each is looked at LOOKS times, with draws that no
       attack has seen. The nearest that is wrong each time is kept, else the one that is wrong most often, of these the nearest.

Pictures that no look sees right are done. The others get the next lead, the last of which is none: an attack of few steps may
find nothing against a lead, and what it finds alone takes part. Looks cost LOOKS passes without gradient for each factor and
picture that is not done.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dctnet.arguments import finite
from dctnet.robustness.attacks import ATTACKS, attack
from dctnet.robustness.budget import within
from dctnet.robustness.conditions import attack_conditions, check_batch

LEADS = (2.0, 0.0)  # of a normal margin 1 look in 44 is right at the first
LOOKS = 16
FACTORS = (0.5, 0.7, 0.85, 1.0, 1.25, 1.6, 2.0, 3.0)
SETTINGS = {"leads": list(LEADS), "looks": LOOKS, "factors": list(FACTORS)}
FRESH = 2**31  # added to a seed: draws of neither attacks nor evaluations, whose seeds are small


class Handicap(nn.Module):
    """``network`` with a ``lead`` (n,) added to the logits of the right classes (n,) of a batch."""

    def __init__(self, network: nn.Module, labels: Tensor, lead: Tensor):
        super().__init__()
        self.network, self.training = network, network.training
        self.labels, self.lead = labels, lead

    def forward(self, pixels: Tensor) -> Tensor:
        logits = self.network(pixels)
        return logits.scatter_add(1, self.labels[:, None], self.lead[:, None].to(logits.dtype))


def often_fooled(
    name: str,
    attacked: nn.Module,
    looked: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    *,
    epsilon: float | None,
    seed: int = 0,
    **options: Any,
) -> Tensor:
    """What the ``minimal`` attack ``name`` on ``attacked`` makes of ``pixels``, as at the top of this file.

    ``looked`` is the random network, one draw a pass; ``attacked`` its expectation. The other arguments, what comes back and the
    errors are those of ``attack``; within ``epsilon`` of the norm of the attack, None for any distance.
    """
    check_batch(looked, pixels, labels)
    epsilon = None if epsilon is None else finite("epsilon", epsilon, 0)
    pixels = pixels.detach()
    with attack_conditions(looked, pixels.device, seed + FRESH), torch.no_grad():
        spread = torch.stack([margins(looked(pixels), labels) for _ in range(LOOKS)]).std(0)
    kept, most = pixels.clone(), torch.full_like(labels, -1)
    for number, lead in enumerate(LEADS):
        which = (most < LOOKS).nonzero()[:, 0]
        if not len(which):
            break
        before, right = pixels[which], labels[which]
        ahead = Handicap(attacked, right, lead * spread[which])
        change = attack(name, ahead, before, right, epsilon=None, seed=seed, **options) - before
        found = change.flatten(1).any(1)  # else all candidates are the picture itself
        with attack_conditions(looked, pixels.device, seed + FRESH + 1 + number), torch.no_grad():
            for factor in FACTORS:
                left = ((most[which] < LOOKS) & (found | (most[which] < 0))).nonzero()[:, 0]
                if not len(left):
                    break
                moved = within(before[left], before[left] + factor * change[left], epsilon, ATTACKS[name].norm)
                wrong = torch.stack([looked(moved).argmax(1) != right[left] for _ in range(LOOKS)]).sum(0)
                better = wrong > most[which[left]]
                kept[which[left[better]]], most[which[left[better]]] = moved[better], wrong[better]
    return kept


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of the right class less the greatest of the others (n,): negative where a picture is wrong.

    >>> margins(torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]]), torch.tensor([0, 1]))
    tensor([ 1., -2.])
    """
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return logits.gather(1, labels[:, None])[:, 0] - others.amax(1)
