"""What rows a table of attacks has: specifications of attacks and channels, and their combinations in order.

clean       network(channel(x))
oblivious   network(channel(x + d)),    d found on the network alone
adaptive    network(channel(x + d)),    d found on network and channel together (``adaptive_network``); of attacks that
            look for the nearest picture, behind channels that draw at random, d that fools whenever it is looked at
            (``often_fooled``)
transfer    other(x + d),               d found on the network; without d as well
checks      what ``checks.check_defence`` says of network and channel: whether the adaptive figure means anything
curvature   gradients and curvature at x, x + d and channel(x + d) (``recovered_pictures``), d found on the network alone
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from dctnet.arguments import choice, finite
from dctnet.robustness.attacks import ATTACKS, options_of
from dctnet.robustness.backward import ways
from dctnet.robustness.budget import EPSILON
from dctnet.robustness.channel import Channel
from dctnet.robustness.channels import CHANNELS, create_channel


class AttackSpec(NamedTuple):
    """An attack by name, its budget in its own norm (None: the nearest), and options that are not its defaults."""

    name: str
    epsilon: float | None
    options: dict[str, Any]

    def key(self) -> dict[str, Any]:
        return {"attack": self.name, "epsilon": self.epsilon, "options": options_of(self.name) | self.options}

    def budget(self) -> tuple[str, float]:
        """The norm and the radius that the checks of a defence use: without one of its own that usual for ImageNet."""
        norm = ATTACKS[self.name].norm
        return norm, EPSILON["imagenet"][norm] if self.epsilon is None else self.epsilon


class ChannelSpec(NamedTuple):
    """A channel by name, its strength, options that are not its defaults; ``backward``: how an adaptive attack differentiates it.

    ``backward`` is one of ``backward.ways``, None for the default.
    """

    name: str
    strength: float
    options: dict[str, Any]
    backward: str | None = None

    def key(self) -> dict[str, Any]:
        return {"channel": self.name, "strength": self.strength, "channel_options": self.options}

    def create(self) -> Channel:
        return create_channel(self.name, self.strength, **self.options).eval()


NO_CHANNEL = ChannelSpec("none", 0.0, {})


class Work(NamedTuple):
    """One row: its ``kind`` (see the top of the file), and what takes part; ``target`` is another network's number."""

    kind: str
    attack: AttackSpec | None = None
    channel: ChannelSpec = NO_CHANNEL
    target: int | None = None

    def __str__(self) -> str:
        size = "" if self.attack is None or self.attack.epsilon is None else f" {self.attack.epsilon:.4g}"
        words = [self.kind, "" if self.attack is None else self.attack.name + size]
        words.append(
            f"{self.channel.name} {self.channel.strength:g}" if self.target is None else f"network {self.target}"
        )
        return ", ".join(word for word in words if word)


def plan(
    attacks: Sequence[AttackSpec],
    channels: Sequence[ChannelSpec],
    adaptive: bool,
    targets: int = 0,
    checks: bool = True,
    curvature: bool = False,
) -> list[Work]:
    """The rows of a table, in an order in which each attack's oblivious pictures are needed one after the other.

    ``channels`` begin with ``NO_CHANNEL``. Attacks of one budget share the checks of a channel.
    """
    rows = [Work("clean", channel=channel) for channel in channels]
    rows += [Work("transfer", target=number) for number in range(targets)]
    for spec in attacks:
        rows += [Work("oblivious", spec, channel) for channel in channels]
        rows += [Work("transfer", spec, target=number) for number in range(targets)]
        rows += [Work("curvature", spec, channel) for channel in channels if curvature]
    done = set()
    for spec in attacks if adaptive else ():
        for number, channel in enumerate(channels):
            if checks and (number, spec.budget()) not in done:
                done.add((number, spec.budget()))
                rows.append(Work("checks", spec, channel))
            rows.append(Work("adaptive", spec, channel))
    return rows


def attack_specs(name: str, options: dict[str, Any], epsilons: dict[str, Sequence[float]]) -> list[AttackSpec]:
    """An attack at each of the ``epsilons`` of its norm. ``options`` may hold ``epsilon``, one or several, which come first.

    Without, the attacks that are minimal have no budget. ValueError for an attack or an option that there is not.

    >>> [spec.epsilon for spec in attack_specs("pgd_l2", {"steps": 5}, {"linf": [0.03], "l2": [0.5, 1.0]})]
    [0.5, 1.0]
    """
    known = options_of(name)
    options = dict(options)
    own = options.pop("epsilon", [None] if ATTACKS[name].minimal else epsilons[ATTACKS[name].norm])
    if unknown := set(options) - set(known):
        raise ValueError(
            f"{name} has no option {', '.join(sorted(map(str, unknown)))}; it has epsilon, {', '.join(known) or 'no other'}"
        )
    budgets = own if isinstance(own, (list, tuple)) else [own]
    if None in budgets and not ATTACKS[name].minimal:
        raise ValueError(f"{name} needs a budget: epsilon, a number; got {own!r}")
    return [
        AttackSpec(name, None if value is None else finite(f"epsilon of {name}", value, 0, open_low=True), options)
        for value in budgets
    ]


def channel_spec(
    name: str, strength: float | None, options: dict[str, Any], backward: str | None = None
) -> ChannelSpec:
    """A channel at a strength, None for its default; differentiated by ``backward``. ValueError for what it refuses.

    >>> channel_spec("jpeg", None, {}, "gradient")                                     # its default
    ChannelSpec(name='jpeg', strength=75.0, options={}, backward=None)
    """
    strength = create_channel(name, strength, **options).strength
    known = ways(CHANNELS[name])
    if backward is not None:
        choice(f"how {name} is differentiated", backward, known)
    return ChannelSpec(name, strength, dict(options), None if backward == known[0] else backward)
