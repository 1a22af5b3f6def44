"""FGSM and PGD with the smallest budget that fools, found for each picture by bisection: attacks that just succeed.

With a(x, e) what foolbox's FGSM or PGD (linf) makes of a picture x within the budget e,

    e* = the least e tried for which network(a(x, e)) is wrong,    the picture is a(x, e*)

A picture is tried at ``largest`` first. Where that fools, the interval between the greatest budget below that did not and the
least that did is halved from then on. Where it does not, the budget is doubled up to the cap, and where that does not help either
it is halved from ``largest`` down, since FGSM may fool at a budget and not at a larger one. Each of the ``search_steps`` is one
attack on all pictures that were right, at a budget of each picture's own. Where ``largest`` fools, e* is known to
``largest`` / 2^(search_steps - 1).

Such pictures lie at the boundary of another class, as those of C&W do; attacks of a fixed budget go as far as they may.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dctnet.arguments import finite, flag, whole
from dctnet.robustness.budget import column
from dctnet.robustness.packages import load_foolbox


def nearest_fgsm(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float | None,
    *,
    search_steps: int = 10,
    largest: float = 1 / 32,
) -> Tensor:
    """FGSM, ``x + e sign(gradient)`` cut to [0, 1], with the e at the top of the file; ``epsilon`` caps it, None: at 1."""
    return _nearest(network, pixels, labels, epsilon, search_steps, largest, 1, 1.0, False)


def nearest_pgd(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float | None,
    *,
    search_steps: int = 10,
    largest: float = 1 / 32,
    steps: int = 20,
    step: float | None = None,
    random_start: bool = False,
) -> Tensor:
    """PGD with the e at the top of the file; ``steps``, ``step`` (in units of e) and ``random_start`` as in ``pgd``."""
    steps = whole("steps", steps, 1)
    step = 2.5 / steps if step is None else finite("step", step, 0, open_low=True)
    return _nearest(
        network, pixels, labels, epsilon, search_steps, largest, steps, step, flag("random_start", random_start)
    )


def _nearest(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float | None,
    search_steps: int,
    largest: float,
    steps: int,
    step: float,
    random_start: bool,
) -> Tensor:
    search_steps = whole("search_steps", search_steps, 1)
    largest = finite("largest", largest, 0, 1, open_low=True)
    tries, rising = budgets(largest, 1.0 if epsilon is None else min(epsilon, 1.0), search_steps)
    foolbox = load_foolbox()
    descent = foolbox.attacks.LinfProjectedGradientDescentAttack(
        rel_stepsize=step, steps=steps, random_start=random_start
    )
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device=pixels.device)
    found = pixels.clone()
    chosen = (~_wrong(network, pixels, labels)).nonzero()[:, 0]
    if not len(chosen):
        return found
    originals, classes = pixels[chosen], labels[chosen]
    nearest = originals.clone()
    low = torch.zeros(len(chosen), dtype=pixels.dtype, device=pixels.device)
    best = torch.full_like(low, torch.inf)
    for number, budget in enumerate(tries):
        if number == rising:  # what did not fool up to here was larger than what comes
            low = torch.where(best.isinf(), 0, low)
        trial = torch.where(best.isinf(), budget, (low + best) / 2)
        # foolbox takes one budget; as a tensor, of the shape that multiplies pictures, it is one of each picture
        tried = descent.run(model, originals, classes, epsilon=column(trial, originals))
        fooled = _wrong(network, tried, classes)
        nearest = torch.where(column(fooled, tried), tried, nearest)
        best = torch.where(fooled, trial, best)
        halving = best.isfinite() if number >= rising else torch.ones_like(fooled)
        low = torch.where(halving & ~fooled, trial, low)
    found[chosen] = nearest
    return found


def budgets(largest: float, cap: float, count: int) -> tuple[list[float], int]:
    """What is tried as long as nothing fools, ``count`` budgets: from ``largest`` doubled up to ``cap``, then halved from it.

    Beside them how many rise.

    >>> budgets(0.25, 0.75, 5)
    ([0.25, 0.5, 0.75, 0.125, 0.0625], 3)
    """
    rising = [min(largest, cap)]
    while rising[-1] < cap:
        rising.append(min(2 * rising[-1], cap))
    falling = [rising[0] / 2**number for number in range(1, count)]
    return (rising + falling)[:count], len(rising)


def _wrong(network: nn.Module, pixels: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return network(pixels).argmax(1) != labels
