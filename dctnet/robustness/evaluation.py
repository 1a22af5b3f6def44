"""How many pictures a network gets right: as they are, attacked, and attacked by somebody who knows of the channel.

Each `attack_plan.Work` is a row, and a row is a pure function of its key. Shares are of all pictures, not of those that are right
when clean: that is another column. The channel "none" takes part, and its adaptive attack is the oblivious one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dctnet.arguments import whole
from dctnet.machine import measured_with
from dctnet.robustness.adaptive import expectation
from dctnet.robustness.attack_plan import AttackSpec, Work
from dctnet.robustness.attacks import ATTACKS, attack
from dctnet.robustness.backward import differentiated
from dctnet.robustness.channel import Channel, distortion
from dctnet.robustness.checks import CHECKS, check_defence
from dctnet.robustness.intervals import wilson
from dctnet.robustness.often_fooled import SETTINGS, often_fooled
from dctnet.robustness.recomputed import Recomputed
from dctnet.robustness.recovered_pictures import curvature_of, natural_and_adversarial, recovered, taken
from dctnet.robustness.vote import majority_vote


class Settings(NamedTuple):
    """How rows are measured.

    ``samples``: draws of a random channel in each step of an adaptive attack; ``trials``: looks through a random channel, whose
    majority decides; ``batch``: pictures at a time; ``checked``: pictures for the list of checks, which are among those that
    are right behind the channel; ``check_options``: of ``check_defence``; ``curvature``: pictures for gradients and curvature.
    """

    samples: int = 16
    trials: int = 1
    batch: int = 16
    seed: int = 0
    checked: int = 24
    check_options: Mapping[str, Any] = MappingProxyType({})
    curvature: int = 0


class Outcome(NamedTuple):
    """Of each picture (n,): the class that was found, probabilities of the right and of the found class, what the channel did.

    Probabilities and distances are means over the trials; distances are those of the channel's output from the original.
    """

    found: Tensor
    right: Tensor
    sure: Tensor
    l2: Tensor
    linf: Tensor


def adaptive_network(network: nn.Module, channel: Channel, samples: int, backward: str | None = None) -> nn.Module:
    """What an attacker differentiates who knows of ``channel`` in front of ``network``; see ``adaptive`` and ``backward``.

    BPDA by the identity where the channel has no useful gradient, the expectation over ``samples`` draws where it is random; its
    memory is that of one draw, for which it takes a pass more.
    """
    if channel.strength == channel.lossless:
        return network
    front = differentiated(channel, backward)
    if channel.random:
        return expectation(Recomputed(network), front, samples)
    return nn.Sequential(front, network).eval()


@torch.no_grad()
def outcome(
    network: nn.Module, channel: Channel, pixels: Tensor, originals: Tensor, labels: Tensor, settings: Settings
) -> Outcome:
    """What the majority of ``settings.trials`` looks through the channel says of ``pixels``, made of ``originals``."""
    parts = []
    with torch.random.fork_rng([pixels.device] if pixels.device.type == "cuda" else []):
        torch.manual_seed(settings.seed + 1)  # not the draws that an attack began with
        for chosen in torch.arange(len(pixels)).split(settings.batch):
            seen: list[tuple[Tensor, Tensor, Tensor]] = []

            def classify(
                changed: Tensor, before: Tensor = originals[chosen], seen: list[tuple[Tensor, Tensor, Tensor]] = seen
            ) -> Tensor:
                logits = network(changed)
                seen.append((logits.double().softmax(1), *distortion(before, changed)))
                return logits

            trials = settings.trials if channel.random else 1
            found = majority_vote(classify, pixels[chosen], channel, trials).labels
            probabilities, l2, linf = (torch.stack(values).mean(0) for values in zip(*seen, strict=True))
            of_right, of_found = (probabilities.gather(1, which[:, None])[:, 0] for which in (labels[chosen], found))
            parts.append((found, of_right, of_found, l2, linf))
    return Outcome(*(torch.cat(values).cpu() for values in zip(*parts, strict=True)))


class Evaluation:
    """A network with its pictures, from which ``row`` measures what a ``Work`` asks for.

    ``identity`` determines the network, ``digest`` the pictures; ``targets`` are other networks on the same pixels, each with its
    identity. ``tick(done, count)`` is called as an attack goes through its pictures.
    """

    def __init__(
        self,
        network: nn.Module,
        pixels: Tensor,
        labels: Tensor,
        identity: dict[str, Any],
        digest: str,
        settings: Settings,
        targets: Sequence[tuple[nn.Module, dict[str, Any]]] = (),
        about: dict[str, Any] | None = None,
        tick: Callable[[int, int], None] = lambda done, count: None,
    ):
        for name, low in (("samples", 1), ("trials", 1), ("batch", 1), ("seed", 0), ("checked", 0), ("curvature", 0)):
            whole(name, getattr(settings, name), low)
        self.network, self.pixels, self.labels = network, pixels, labels
        self.identity, self.digest, self.settings = identity, digest, settings
        self.targets, self.about, self.tick = targets, about or {}, tick
        self._kept: tuple[AttackSpec, Tensor] | None = None

    def key(self, work: Work) -> dict[str, Any]:
        """All that determines the row."""
        settings = self.settings
        key = {"kind": work.kind, "network": self.identity, "pictures": self.digest, "count": len(self.pixels)}
        key |= {"seed": settings.seed, "batch": settings.batch, "trials": settings.trials}
        if work.target is not None:
            key["target"] = self.targets[work.target][1]
        if work.kind == "checks":
            norm, epsilon = work.attack.budget()
            key |= {"norm": norm, "epsilon": epsilon, "checked": settings.checked}
            key |= {"check_options": dict(settings.check_options), "checks": list(CHECKS)}
        elif work.attack is not None:
            key |= work.attack.key()
        if work.kind != "transfer":
            key |= work.channel.key()
        if work.kind == "curvature":
            key["curvature"] = settings.curvature
        if work.kind in ("checks", "adaptive"):
            key |= {} if work.channel.backward is None else {"backward": work.channel.backward}
            key |= {"samples": settings.samples} if work.channel.create().random else {}
        if _often(work):
            key["often_fooled"] = SETTINGS
        return key

    def row(self, work: Work) -> dict[str, Any]:
        """The row: its key, what was found, and how long it took."""
        start = time.perf_counter()
        found = {"checks": self._checks, "curvature": self._curvature}.get(work.kind, self._accuracy)(work)
        seconds = {"seconds": round(time.perf_counter() - start, 2)}
        return {"key": self.key(work)} | self.about | found | seconds | _origin(self.pixels.device)

    def perturbed(self, work: Work) -> Tensor:
        """The pictures that the attack of a row makes; the last ones that were made on the network alone are kept."""
        channel = work.channel.create()
        alone = work.kind != "adaptive" or channel.strength == channel.lossless
        if alone and self._kept is not None and self._kept[0] == work.attack:
            return self._kept[1]
        network = self.network if alone else self._known(work)
        run = partial(attack, work.attack.name, network)
        if _often(work):
            run = partial(often_fooled, work.attack.name, network, nn.Sequential(channel, self.network).eval())
        parts, size, count = [], self.settings.batch, len(self.pixels)
        for first in range(0, count, size):
            self.tick(first, count)
            chosen = slice(first, first + size)
            parts.append(
                run(
                    self.pixels[chosen],
                    self.labels[chosen],
                    epsilon=work.attack.epsilon,
                    seed=self.settings.seed + first,
                    **work.attack.options,
                )
            )
        found = torch.cat(parts)
        if alone:
            self._kept = (work.attack, found)
        return found

    def outcome(self, work: Work, pixels: Tensor, which: slice = slice(None)) -> Outcome:
        """What the network of ``work`` finds in ``pixels``, made of those pictures of ``which``."""
        network = self.network if work.target is None else self.targets[work.target][0]
        return outcome(network, work.channel.create(), pixels, self.pixels[which], self.labels[which], self.settings)

    def _known(self, work: Work) -> nn.Module:
        """What somebody differentiates who knows of the channel."""
        return adaptive_network(self.network, work.channel.create(), self.settings.samples, work.channel.backward)

    def _accuracy(self, work: Work) -> dict[str, Any]:
        pixels = self.pixels if work.attack is None else self.perturbed(work)
        seen = self.outcome(work, pixels)
        hits = seen.found == self.labels.cpu()
        interval = wilson(int(hits.sum()), len(hits))
        moved = distortion(self.pixels, pixels)
        return {
            "accuracy": int(hits.sum()) / len(hits),
            "low": interval.low,
            "high": interval.high,
            "confidence": seen.right.mean().item(),
            "l2": moved.l2.double().mean().item(),
            "linf": moved.linf.double().mean().item(),
            "channel_l2": seen.l2.double().mean().item(),
            "channel_linf": seen.linf.double().mean().item(),
            "each": "".join("1" if hit else "0" for hit in hits.tolist()),
        }

    def _curvature(self, work: Work) -> dict[str, Any]:
        """Natural and adversarial pictures without a channel, recovered ones behind it; the first that the attack took."""
        settings, channel = self.settings, work.channel.create()
        attacked = self.perturbed(work)
        found = taken(self.network, self.pixels, attacked, self.labels, settings.curvature, settings.batch)
        if channel.strength == channel.lossless:
            groups = natural_and_adversarial(found)
        else:
            groups = [recovered(self.network, found, channel, settings.seed + 1, settings.batch)]
        return {"groups": [curvature_of(self.network, found, group, settings.batch) for group in groups]}

    def _checks(self, work: Work) -> dict[str, Any]:
        """The list of checks, on the first pictures that are right behind the channel; without one, nothing can be said.

        ``which`` are their places among the pictures, ``robust`` and ``black_box`` what was left of them by PGD and without
        gradients, ``tolerance`` what counts as no difference.
        """
        channel, settings = work.channel.create(), self.settings
        hits = self.outcome(work, self.pixels).found.to(self.labels.device) == self.labels
        chosen = hits.nonzero()[: settings.checked, 0]
        if not len(chosen):
            return {"passed": False, "failed": ["no picture is right"], "list": [], "checked": 0}
        norm, epsilon = work.attack.budget()
        report = check_defence(
            nn.Sequential(channel, self.network).eval(),
            self.pixels[chosen],
            self.labels[chosen],
            epsilon=epsilon,
            norm=norm,
            attacked=self._known(work),
            seed=settings.seed,
            **(
                {"tolerance": max(0.02, 1 / len(chosen))} | dict(settings.check_options)
            ),  # one picture of few is chance
        )
        return {
            "passed": report.passed,
            "failed": [check.name for check in report.checks if not check.passed],
            "list": str(report).splitlines(),
            "checked": len(chosen),
            "which": chosen.tolist(),
            "clean": report.clean,
            "robust": report.robust,
            "black_box": report.black_box,
            "tolerance": report.tolerance,
        }


def _often(work: Work) -> bool:
    """Whether the row is that of an attack for the nearest picture on a network that is random."""
    if work.kind != "adaptive" or not ATTACKS[work.attack.name].minimal:
        return False
    channel = work.channel.create()
    return channel.random and channel.strength != channel.lossless


_origin = cache(measured_with)  # one answer a process: a commit made meanwhile is not what runs
