"""Three groups of pictures for ``curvature_groups``: natural, adversarial, and recovered by a lossy channel.

Natural are pictures that a network has right and an attack makes wrong, adversarial what the attack made of them, and recovered
what a channel makes of these, as far as it brings the right class back: of fewer pictures than the other two.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dctnet.robustness.budget import lengths
from dctnet.robustness.channel import Channel
from dctnet.robustness.curvature_groups import compare

QUANTITIES = ("l2", "eigenvalue 1")


class Taken(NamedTuple):
    """``natural`` and ``adversarial`` pixels (n, 3, H, W), their ``labels`` (n,) and the ``wrong`` classes after the attack."""

    natural: Tensor
    adversarial: Tensor
    labels: Tensor
    wrong: Tensor


class Group(NamedTuple):
    """``pixels`` of the pictures of ``taken`` that ``members`` (n,) says, of which the group ``name`` consists."""

    name: str
    pixels: Tensor
    members: Tensor


def taken(
    network: nn.Module, pixels: Tensor, attacked: Tensor, labels: Tensor, count: int | None = None, batch: int = 64
) -> Taken:
    """The first ``count`` pictures (None: all) that the network has right, and wrong as they are ``attacked``."""
    wrong = classes_of(network, attacked, batch)
    lost = ((classes_of(network, pixels, batch) == labels) & (wrong != labels)).nonzero()[:count, 0]
    return Taken(pixels[lost], attacked[lost], labels[lost], wrong[lost])


def natural_and_adversarial(found: Taken) -> list[Group]:
    every = torch.ones_like(found.labels, dtype=torch.bool)
    return [Group("natural", found.natural, every), Group("adversarial", found.adversarial, every)]


def recovered(network: nn.Module, found: Taken, channel: Channel, seed: int = 0, batch: int = 64) -> Group:
    """Those of ``found`` that are right again behind ``channel``, as it leaves them; of a random one a draw keyed by ``seed``."""
    devices = [found.labels.device] if found.labels.is_cuda else []
    with torch.random.fork_rng(devices), torch.no_grad():
        torch.manual_seed(seed)
        parts = [channel(part) for part in found.adversarial.split(batch)]
    behind = torch.cat(parts) if parts else found.adversarial
    return Group("recovered", behind, classes_of(network, behind, batch) == found.labels)


def curvature_of(network: nn.Module, found: Taken, group: Group, batch: int = 64) -> dict[str, Any]:
    """What is told of a group: its name, how many ``pictures``, how far they moved (the median L2), and medians.

    ``medians`` are those of ``curvature_groups.compare`` as dicts, of the norm (l2) of the loss gradient towards the right and
    towards the wrong class, and of the greatest eigenvalue of the Hessian of the loss towards the right one (where a network is
    linear but for ReLU, that towards the other is the same). Numbers that are not known are None.
    """
    which, count = group.members, int(group.members.sum())
    row: dict[str, Any] = {"group": group.name, "pictures": count, "distance": None, "medians": []}
    if not count:
        return row
    pixels = group.pixels[which]
    medians = compare(
        network,
        {group.name: pixels},
        found.labels[which],
        found.wrong[which],
        hessian_towards=["original"],
        batch_size=batch,
    )
    row["distance"] = lengths(pixels - found.natural[which], "l2").median().item()
    row["medians"] = [
        {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in one._asdict().items()
        }
        for one in medians
        if one.quantity in QUANTITIES
    ]
    return row


@torch.no_grad()
def classes_of(network: nn.Module, pixels: Tensor, batch: int = 64) -> Tensor:
    """The class (n,) of the greatest logit of each picture."""
    parts = [network(part).argmax(1) for part in pixels.split(batch) if len(part)]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64, device=pixels.device)
