"""Whether the robustness that was measured is robustness, or an attack that could not work: a list of checks.

A defence may look robust because gradients vanish, because rounding has none, because each query draws other numbers, or because
the attack stopped early. Each of these leaves a trace that can be measured:

- gradients    the loss of every picture has a gradient
- iterations   more steps do not leave more pictures right
- unbounded    without a budget every picture is lost, since any picture can become any other; from the picture itself, since of
               a random start as large as the picture nothing is left before the first step
- direction    there is a size at which the attack takes half of the pictures that the same perturbation leaves right when it is
               turned around, or when its signs are drawn: what a gradient that says nothing finds is no worse than noise
- black box    who sees logits alone does not do better than who sees gradients
- randomness   a defence that draws numbers is attacked by its expectation, over draws enough for a gradient
- budget       the pictures are within the budget, and pictures

Two networks take part: the ``network`` that defends, on which everything is counted, and the one that is ``attacked`` in its
place, what the attacker differentiates: the same, or one made with ``bpda`` and ``expectation``. A passed list does not prove
that there is no stronger attack. A failed check says that the robust accuracy means nothing yet.

Differences of the loss would not do in place of ``direction``: logits of a class alone, with a small leak added, change just as
the gradient of the leak says, by a step of any length that keeps the class; and with BPDA the gradient is not that of the values.
That perturbations lead somewhere is what counts, whatever they come from.

Source: Carlini et al., "On evaluating adversarial robustness", 2019; Athalye et al., ICML 2018, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dctnet.arguments import choice, finite, whole
from dctnet.robustness.budget import NORMS, lengths
from dctnet.robustness.conditions import WithoutGradient, check_batch, check_pixels, passes_gradients
from dctnet.robustness.defence import Check, Defence
from dctnet.robustness.random_draws import compare_draws, is_random, loss_gradients

PGD = {"linf": "pgd", "l2": "pgd_l2"}
QUERIES = {"linf": "square", "l2": "square_l2"}
NOISE = {"linf": "uniform", "l2": "gaussian"}
STEPS = (1, 10, 40)
CHECKS = ("gradients", "iterations", "unbounded", "direction", "black box", "randomness", "budget")
# Below it nothing moves: of l2 the norm that foolbox divides by at least, of linf, where signs count, what is no normal number.
LEAST_GRADIENT = {"linf": torch.finfo(torch.float32).tiny, "l2": 1e-12}
# Sizes, a factor of 2 from one to the next, at which ``direction`` looks, and its steps at each after the first.
SIZES, SIZE_STEPS = 8, 6
# What of the clean pictures is right under noise of a size that tells something: where it takes more, one direction or other may.
TELLING = 0.8
# Of a mean over K draws the measured number of draws is K within a tenth or two: 3 keeps 2 out and lets 4 in.
LEAST_DRAWS = 3.0
# Where two gradients have a cosine of 1/4, either has one of 1/2 with that of the expectation: half of a step leads there.
LEAST_AGREEMENT = 0.25
# Of the mean of 8 draws it is 1/6 by chance; of EfficientNet-Lite0 without its noise of 0.03 it is 5 to 14.
GREATEST_BIAS = 0.5


class Report(NamedTuple):
    """The checks of a defence and its accuracies; as a string, the list to print.

    ``robust`` is the least accuracy under PGD, ``black_box`` the least without gradients, all within ``budget``; ``tolerance``
    the difference of two accuracies that counts as none.
    """

    checks: tuple[Check, ...]
    clean: float
    robust: float
    black_box: float
    budget: str
    tolerance: float = 0.02

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
    """PGD from the picture that may change every value to any other."""
    left = defence.accuracy(defence.perturbed("pgd", epsilon=1.0, steps=steps, random_start=False))
    return Check(
        "unbounded",
        left <= defence.tolerance,
        f"{left:.1%} right where any change is allowed ({steps} steps)",
        "Within this budget every picture can be lost, so the attack fails, not the pictures.",
    )


def check_direction(defence: Defence, clean: float, found: Tensor) -> Check:
    """Whether what PGD ``found`` within the budget, or what it finds within more or less, leads where noise does not.

    The controls are x - d and x + s d, d the perturbation of x and s a sign drawn for each value: as large as d, the first as
    smooth, too. A size tells something where the share TELLING of the pictures stands them; it passes where PGD leaves at most
    half of those. From the budget sizes are doubled as long as PGD leaves more, and halved as long as the controls leave
    less: a network whose gradients lead somewhere is lost along them long before noise takes it, by the root of the number of
    values for a linear one.
    """
    size, factor, seen = defence.epsilon, 1.0, []
    generator = torch.Generator().manual_seed(defence.seed)
    for number in range(SIZES):
        if number:
            size *= factor
            found = defence.perturbed(PGD[defence.norm], epsilon=size, steps=SIZE_STEPS, random_start=False)
        change = found - defence.pixels
        signs = torch.randint(0, 2, change.shape, generator=generator).mul(2).sub(1).to(change)
        left = defence.accuracy(found)
        control = min(defence.accuracy((defence.pixels + turned).clamp(0, 1)) for turned in (-change, signs * change))
        telling = control >= TELLING * clean
        passed = telling and left <= control / 2
        seen.append(f"{left:.1%} of {control:.1%} at {size:.4g}")
        before, factor = factor, 2.0 if telling else 0.5
        if passed or before * factor == 1:  # it would go back
            break
    return Check(
        "direction",
        passed or not clean,
        "right under PGD, of those that stand its perturbation turned around or scattered: " + ", ".join(seen),
        "The attack takes no more than noise of its size: the gradient says nothing about the classes.",
    )


def black_box(defence: Defence, queries: int) -> tuple[float, float]:
    """The accuracy under random search with the logits of the network itself, and under noise."""
    attacks = ((QUERIES[defence.norm], {"queries": queries}), (NOISE[defence.norm], {"repeats": 10}))
    search, noise = (defence.accuracy(defence.perturbed(name, defence.network, **options)) for name, options in attacks)
    return search, noise


def check_black_box(defence: Defence, white: float, search: float, noise: float, queries: int) -> Check:
    """What was lost without gradients, against the best of PGD."""
    return Check(
        "black box",
        min(search, noise) >= white - defence.tolerance,
        f"right under random search {search:.1%} ({queries} queries), under noise {noise:.1%}, under PGD {white:.1%}",
        "Without gradients the attack is stronger than with them: the gradients mislead.",
    )


def check_randomness(defence: Defence) -> Check:
    """Whether what is attacked is the mean of the random network, over draws enough, and its gradients agree.

    Judged by what ``random_draws`` measures, not by how it is made: LEAST_DRAWS of ``averaged``, GREATEST_BIAS of ``bias``,
    LEAST_AGREEMENT of the cosine. Gaussian noise of 0.03 before EfficientNet-Lite0 (8 pictures, the medians) has a cosine of
    0.12, 0.21, 0.36 and 0.52 for means over 1, 2, 4 and 8 draws, and 1.0, 2.3, 4.6 and 8.3 draws are found: one and two fail.
    Where the draws hardly move the gradient a single one would agree, but a mean is still what the attacker should see.
    """
    if not is_random(defence.network, defence.pixels, defence.seed):
        return Check("randomness", True, "two passes over the same pictures agree", "")
    found = compare_draws(defence.network, defence.attacked, defence.pixels, defence.labels, defence.seed)
    passed = found.averaged >= LEAST_DRAWS and found.bias <= GREATEST_BIAS and found.agreement >= LEAST_AGREEMENT
    return Check(
        "randomness",
        passed or not found.varies,
        f"the network is random; what is attacked varies as the mean of {found.averaged:.1f} draws, {found.bias:.2g} variances "
        f"from the network's, and the gradients of two draws have a cosine of {found.agreement:.2f}",
        "An attack that sees other numbers in each step follows noise. Attack expectation(network, channel, samples), of more "
        "samples if need be.",
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


def check_settings(
    steps: Sequence[int] = STEPS,
    unbounded_steps: int = 100,
    queries: int = 500,
    draws: int = 5,
    tolerance: float = 0.02,
) -> None:
    """ValueError for what ``check_defence`` cannot be told."""
    for name, values in (
        ("steps", steps),
        ("unbounded_steps", [unbounded_steps]),
        ("queries", [queries]),
        ("draws", [draws]),
    ):
        for value in values:
            whole(name, value, 1)
    finite("tolerance", tolerance, 0, 1)
    if len(set(steps)) < 2:
        raise ValueError(f"steps are two numbers at least, to compare what more of them do; got {list(steps)}")


def check_defence(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    norm: str = "linf",
    attacked: nn.Module | None = None,
    steps: tuple[int, ...] = STEPS,
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
    check_settings(steps, unbounded_steps, queries, draws, tolerance)
    if not passes_gradients(attacked, pixels[:1]):  # attacks by gradients move nothing then, and the list says so
        attacked = WithoutGradient(attacked).eval()
    defence = Defence(
        network,
        attacked,
        pixels.detach(),
        labels,
        choice("norm", norm, NORMS),
        finite("epsilon", epsilon, 0, open_low=True),
        seed,
        draws if is_random(network, pixels, seed) else 1,
        tolerance,
    )
    pictures = {count: defence.perturbed(PGD[norm], steps=count) for count in steps}
    runs = {count: defence.accuracy(found) for count, found in pictures.items()}
    white, clean = min(runs.values()), defence.accuracy(defence.pixels)
    search, noise = black_box(defence, queries)
    checks = (
        check_gradients(defence),
        check_iterations(defence, runs),
        check_unbounded(defence, unbounded_steps),
        check_direction(defence, clean, pictures[max(pictures)]),
        check_black_box(defence, white, search, noise, queries),
        check_randomness(defence),
        check_budget(defence, list(pictures.values())),
    )
    return Report(checks, clean, white, min(search, noise), f"{epsilon:.4g} of {norm}", defence.tolerance)
