"""Whether the robustness that was measured is robustness, or an attack that could not work: a list of checks.

A defence may look robust because gradients vanish, because rounding has none, because each query draws other numbers, or because
the attack stopped early. Each of these leaves a trace that can be measured:

- gradients    the loss of every picture has a gradient
- iterations   more steps do not leave more pictures right
- unbounded    without a budget every picture is lost, since any picture can become any other
- black box    who sees logits alone does not do better than who sees gradients
- randomness   a defence that draws numbers is attacked by its expectation
- budget       the pictures are within the budget, and pictures

Two networks take part: the ``network`` that defends, on which everything is counted, and the one that is ``attacked`` in its
place, what the attacker differentiates: the same, or one made with ``bpda`` and ``expectation``. A passed list does not prove
that there is no stronger attack. A failed check says that the robust accuracy means nothing yet.

Source: Carlini et al., "On evaluating adversarial robustness", 2019; Athalye et al., ICML 2018, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import choice, finite, whole
from dctnet.robustness.adaptive import Expectation
from dctnet.robustness.attacks import attack
from dctnet.robustness.budget import NORMS, lengths
from dctnet.robustness.conditions import attack_conditions, check_batch, check_pixels

PGD = {"linf": "pgd", "l2": "pgd_l2"}
QUERIES = {"linf": "square", "l2": "square_l2"}
NOISE = {"linf": "uniform", "l2": "gaussian"}
# Below it nothing moves: of l2 the norm that foolbox divides by at least, of linf, where signs count, what is no normal number.
LEAST_GRADIENT = {"linf": torch.finfo(torch.float32).tiny, "l2": 1e-12}


class Check(NamedTuple):
    """One entry of the list: whether it passed, what was measured, and what that means."""

    name: str
    passed: bool
    measured: str
    meaning: str


class Defence(NamedTuple):
    """What is checked: network, what the attacker differentiates, pictures, labels, budget; how it is measured."""

    network: nn.Module
    attacked: nn.Module
    pixels: Tensor
    labels: Tensor
    norm: str
    epsilon: float
    seed: int
    draws: int
    tolerance: float

    def accuracy(self, pixels: Tensor) -> float:
        """The share of ``pixels`` that the network gets right, the mean over the draws of a random one."""
        return right(self.network, pixels, self.labels, self.draws, self.seed).mean().item()

    def perturbed(self, name: str, network: nn.Module | None = None, **options) -> Tensor:
        """What an attack makes of the pictures, by default on what the attacker differentiates."""
        options = {"epsilon": self.epsilon, "seed": self.seed} | options
        return attack(name, self.attacked if network is None else network, self.pixels, self.labels, **options)


class Report(NamedTuple):
    """The checks of a defence and its accuracies; as a string, the list to print."""

    checks: tuple[Check, ...]
    clean: float
    robust: float
    budget: str

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def __str__(self) -> str:
        lines = [f"{self.clean:.1%} of the pictures are right, {self.robust:.1%} within {self.budget}"]
        for check in self.checks:
            lines.append(f"  {'passed' if check.passed else 'FAILED':8}{check.name}: {check.measured}")
            if not check.passed:
                lines.append(f"  {'':8}{check.meaning}")
        failed = [check.name for check in self.checks if not check.passed]
        if failed:
            lines.append(
                f"MARKED: {len(failed)} of {len(self.checks)} checks failed ({', '.join(failed)}); the accuracy under attack "
                "is no measure of robustness"
            )
        else:
            lines.append(f"all {len(self.checks)} checks passed")
        return "\n".join(lines)


def right(network: nn.Module, pixels: Tensor, labels: Tensor, draws: int = 1, seed: int = 0) -> Tensor:
    """The share of ``draws`` (n,) in which each picture is classified as ``labels`` say."""
    with (
        attack_conditions(network, pixels.device, seed + 1),
        torch.no_grad(),
    ):  # not the draws that an attack began with
        hits = torch.stack([network(pixels).argmax(1) == labels for _ in range(draws)])
    return hits.double().mean(0)


def loss_gradients(network: nn.Module, pixels: Tensor, labels: Tensor, seed: int = 0) -> Tensor:
    """The gradient of the cross-entropy with respect to each picture; zeros where the network passes none."""
    with attack_conditions(network, pixels.device, seed):
        inputs = pixels.detach().clone().requires_grad_()
        logits = network(inputs)
        if not logits.requires_grad:
            return torch.zeros_like(pixels)
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits, labels, reduction="sum"), inputs, allow_unused=True)
    return torch.zeros_like(pixels) if gradient is None else gradient


def is_random(network: nn.Module, pixels: Tensor, seed: int = 0) -> bool:
    """Whether two passes over the same pictures differ, or a part of the network says that it is ``random``."""
    if any(getattr(part, "random", False) is True for part in network.modules()):
        return True
    with attack_conditions(network, pixels.device, seed), torch.no_grad():
        first, second = network(pixels), network(pixels)
    return not torch.allclose(
        first, second, rtol=1e-4, atol=1e-4 * first.abs().max().item()
    )  # sums of a GPU may differ


def check_gradients(defence: Defence) -> Check:
    """Gradients of what is attacked: finite, and large enough to move a picture."""
    sizes = lengths(loss_gradients(defence.attacked, defence.pixels, defence.labels, defence.seed).double(), "l2")
    lost = int((~(sizes >= LEAST_GRADIENT[defence.norm]) | sizes.isinf()).sum())  # not a number counts as lost
    return Check(
        "gradients",
        lost == 0,
        f"{lost} of {len(sizes)} pictures have no gradient, the median norm is {sizes.nanmedian().item():.1e}",
        "Attacks by gradients do nothing here. Attack the logits (cw), or with bpda what has no gradient.",
    )


def check_iterations(defence: Defence, runs: dict[int, float]) -> Check:
    """The accuracy under PGD of each number of steps, in ``runs``."""
    steps = sorted(runs)
    rises = [runs[more] - runs[less] for less, more in pairwise(steps)]
    return Check(
        "iterations",
        all(rise <= defence.tolerance for rise in rises),
        "right after " + ", ".join(f"{count} steps {runs[count]:.1%}" for count in steps),
        "More steps are weaker: the gradient does not lead where the loss grows. Look for randomness and for non-smooth layers.",
    )


def check_unbounded(defence: Defence, steps: int) -> Check:
    """PGD that may change every value to any other."""
    left = defence.accuracy(
        attack("pgd", defence.attacked, defence.pixels, defence.labels, epsilon=1.0, steps=steps, seed=defence.seed)
    )
    return Check(
        "unbounded",
        left <= defence.tolerance,
        f"{left:.1%} right where any change is allowed ({steps} steps)",
        "Within this budget every picture can be lost, so the attack fails, not the pictures.",
    )


def check_black_box(defence: Defence, white: float, queries: int) -> Check:
    """Random search with the logits of the network itself, and noise, against the best of PGD."""
    search, noise = (
        defence.accuracy(defence.perturbed(name, defence.network, **options))
        for name, options in ((QUERIES[defence.norm], {"queries": queries}), (NOISE[defence.norm], {"repeats": 10}))
    )
    return Check(
        "black box",
        min(search, noise) >= white - defence.tolerance,
        f"right under random search {search:.1%} ({queries} queries), under noise {noise:.1%}, under PGD {white:.1%}",
        "Without gradients the attack is stronger than with them: the gradients mislead.",
    )


def check_randomness(defence: Defence) -> Check:
    """Whether a random network is attacked by its expectation, and how much the gradients of two draws agree."""
    if not is_random(defence.network, defence.pixels, defence.seed):
        return Check("randomness", True, "two passes over the same pictures agree", "")
    first, second = (
        loss_gradients(defence.attacked, defence.pixels, defence.labels, seed).flatten(1).double()
        for seed in (defence.seed, defence.seed + 1)
    )
    agreement = F.cosine_similarity(first, second).median().item()
    samples = [part.samples for part in defence.attacked.modules() if isinstance(part, Expectation)]
    averaged = max(samples, default=1) > 1
    how = f"by its expectation over {max(samples)} draws" if averaged else "one draw at a time"
    return Check(
        "randomness",
        averaged,
        f"the network is random and attacked {how}; the gradients of two draws have a cosine of {agreement:.2f}",
        "An attack that sees one draw a step follows noise. Attack expectation(network, channel, samples).",
    )


def check_budget(defence: Defence, runs: Sequence[Tensor]) -> Check:
    """The distance of the pictures that count as attacked, of each run."""
    changes = [perturbed.double() - defence.pixels.double() for perturbed in runs]
    longest = max(lengths(change, defence.norm).max().item() for change in changes)
    low, high = (value.item() for value in torch.stack(list(runs)).aminmax())
    return Check(
        "budget",
        longest <= defence.epsilon + 1e-6 and low >= 0 and high <= 1,
        f"the largest distance is {longest:.5f} of {defence.epsilon:.5f}, values lie in [{low:.3f}, {high:.3f}]",
        "The pictures are none that the budget allows.",
    )


def check_defence(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    norm: str = "linf",
    attacked: nn.Module | None = None,
    steps: tuple[int, ...] = (1, 10, 40),
    unbounded_steps: int = 100,
    queries: int = 500,
    draws: int = 5,
    tolerance: float = 0.02,
    seed: int = 0,
) -> Report:
    """The checks at the top of this file, of ``network`` where the attacker differentiates ``attacked`` (default: the same).

    ``pixels`` ``(n, 3, H, W)`` in [0, 1]: some dozens that the network gets right are enough. The robust accuracy is the least
    under PGD of each number of ``steps``, within ``epsilon`` of ``norm``; of a random network each accuracy is the mean over
    ``draws``. ``tolerance`` is the difference of two accuracies that counts as none. Print the report with each evaluation.
    ValueError for arguments out of range.
    """
    attacked = network if attacked is None else attacked
    check_batch(network, pixels, labels)
    check_batch(attacked, pixels, labels)
    check_pixels(pixels)
    defence = Defence(
        network,
        attacked,
        pixels.detach(),
        labels,
        choice("norm", norm, NORMS),
        finite("epsilon", epsilon, 0, open_low=True),
        seed,
        whole("draws", draws, 1) if is_random(network, pixels, seed) else 1,
        finite("tolerance", tolerance, 0, 1),
    )
    pictures = {count: defence.perturbed(PGD[norm], steps=whole("steps", count, 1)) for count in steps}
    runs = {count: defence.accuracy(found) for count, found in pictures.items()}
    white = min(runs.values())
    checks = (
        check_gradients(defence),
        check_iterations(defence, runs),
        check_unbounded(defence, unbounded_steps),
        check_black_box(defence, white, queries),
        check_randomness(defence),
        check_budget(defence, list(pictures.values())),
    )
    return Report(checks, defence.accuracy(defence.pixels), white, f"{epsilon:.4g} of {norm}")
