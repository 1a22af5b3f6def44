"""Attacks on networks that read pixels: one function, ``attack``, over one dict from names to algorithms.

FGSM, PGD, C&W, DeepFool and the noise are those of foolbox, AutoAttack and Square those of pyautoattack (``packages``). They
differentiate whatever network they are given, so gradients pass from pixels through the forward DCT of a ``PixelClassifier``
and through the channels of ``adaptive``.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dctnet.arguments import choice, finite, flag, whole
from dctnet.robustness.band_attacks import descend_in_bands
from dctnet.robustness.budget import column, within
from dctnet.robustness.conditions import attack_conditions, check_batch, check_pixels, in_float32, passes_gradients
from dctnet.robustness.nearest_budget import nearest_fgsm, nearest_pgd
from dctnet.robustness.packages import load_autoattack, load_foolbox
from dctnet.robustness.projected_gradient import projected_gradient

ROUNDED = 1e-5  # from pixels to the variables of C&W and back, in float32


class Attack(NamedTuple):
    """An algorithm ``run(network, pixels, labels, epsilon, **options)``, and the norm that its budget is measured in.

    One that is ``minimal`` looks for the nearest misclassified picture, and can do without a budget.
    """

    norm: str
    run: Callable[..., Tensor]
    minimal: bool = False


def attack(
    name: str,
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    *,
    epsilon: float | None,
    seed: int = 0,
    **options: Any,
) -> Tensor:
    """Pictures that ``network`` is to misclassify, ``(n, c, H, W)`` in [0, 1], within ``epsilon`` of ``pixels``.

    ``network`` maps ``pixels``, float in [0, 1], to logits, and is in evaluation mode; ``labels`` (n,) are the true classes.
    ``ATTACKS[name].norm`` says in which norm ``epsilon`` is measured: usual are 8/255 (CIFAR-10) and 4/255 (ImageNet) in
    linf, 0.5 in l2 (``budget.EPSILON``). It is kept to 1e-6, whatever the algorithm does; ``pixels`` are float32 or float64,
    since values of float16 and bfloat16 lie up to 5e-4 and 4e-3 apart. The attacks that are ``minimal`` take None as well, for
    the nearest misclassified picture at any distance; where they find one beyond ``epsilon``, its direction is followed up to
    ``epsilon``, and where they find none, the picture comes back as it was.

    ``options`` are those of ``options_of(name)``. The result is a function of the arguments and ``seed``, with networks that
    are random too, as far as they draw from torch's global generators. ValueError for arguments out of range, where the
    package is not installed, and for an attack by gradients on a network through which none pass.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, bias=False)).eval()
    >>> pixels, labels = torch.full((1, 3, 2, 2), 0.5), torch.tensor([0])
    >>> found = attack("fgsm", network, pixels, labels, epsilon=8 / 255)
    >>> weight = network[1].weight
    >>> torch.allclose(found - pixels, 8 / 255 * (weight[1] - weight[0]).sign().view(1, 3, 2, 2))
    True
    """
    chosen = ATTACKS[choice("name", name, ATTACKS)]
    check_batch(network, pixels, labels)
    check_pixels(pixels)
    if epsilon is not None:
        epsilon = finite("epsilon", epsilon, 0)
    elif not chosen.minimal:
        minimal = ", ".join(other for other in ATTACKS if ATTACKS[other].minimal)
        raise ValueError(f"{name} needs a budget: epsilon, a number; None is for {minimal}")
    if unknown := set(options) - set(options_of(name)):
        known = ", ".join(options_of(name)) or "none"
        raise ValueError(f"{name} has no option {', '.join(sorted(unknown))}; it has {known}")
    pixels = pixels.detach()
    with attack_conditions(network, pixels.device, whole("seed", seed, 0)):
        try:
            found = chosen.run(network, pixels, labels, epsilon, **options).detach().to(pixels.dtype)
        except (RuntimeError, AssertionError) as error:  # what torch and foolbox say of a gradient that is not there
            if passes_gradients(network, pixels):
                raise
            raise ValueError(
                f"{name} follows gradients, and none pass from the logits of this network to its pixels (a cast to whole "
                "numbers, a detach, numpy). Put bpda in the place of what cuts them, or take square, which needs none"
            ) from error
    if bool((broken := ~found.flatten(1).isfinite().all(1)).any()):
        warnings.warn(
            f"{name} left the finite numbers on {int(broken.sum())} of {len(pixels)} pictures, as it does where gradients are "
            "not finite; these come back as they were",
            stacklevel=2,
        )
        found = torch.where(column(broken, pixels), pixels, found)
    return within(pixels, found, epsilon, chosen.norm)


def options_of(name: str) -> dict[str, Any]:
    """The options of an attack and their defaults.

    >>> options_of("deepfool")
    {'steps': 50, 'candidates': 10, 'overshoot': 0.02}
    """
    parameters = inspect.signature(ATTACKS[choice("name", name, ATTACKS)].run).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in ("norm", "kind")}


def _model(network: nn.Module, pixels: Tensor) -> Any:
    return load_foolbox().PyTorchModel(network, bounds=(0, 1), device=pixels.device)


def _fixed(algorithm: Any, network: nn.Module, pixels: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """What an algorithm of foolbox gives that uses up its budget."""
    return algorithm(_model(network, pixels), pixels, labels, epsilons=epsilon)[1]


def _nearest(algorithm: Any, network: nn.Module, pixels: Tensor, labels: Tensor) -> Tensor:
    """What an algorithm of foolbox gives that looks for the nearest picture."""
    return algorithm(_model(network, pixels), pixels, labels, epsilons=None)[0]


def _fgsm(network: nn.Module, pixels: Tensor, labels: Tensor, epsilon: float, *, norm: str) -> Tensor:
    attacks = load_foolbox().attacks
    kind = {"linf": attacks.LinfFastGradientAttack, "l2": attacks.L2FastGradientAttack}[norm]
    return _fixed(kind(random_start=False), network, pixels, labels, epsilon)


def _pgd(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float,
    *,
    norm: str,
    steps: int = 40,
    step: float | None = None,
    random_start: bool = True,
    restarts: int = 1,
) -> Tensor:
    return projected_gradient(
        network, pixels, labels, epsilon, norm, steps=steps, step=step, random_start=random_start, restarts=restarts
    )


def _cw(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float | None,
    *,
    steps: int = 1000,
    step: float = 0.01,
    search_steps: int = 9,
    initial_const: float = 1e-3,
    confidence: float = 0.0,
    abort_early: bool = True,
) -> Tensor:
    algorithm = load_foolbox().attacks.L2CarliniWagnerAttack(
        binary_search_steps=whole("search_steps", search_steps, 1),
        steps=whole("steps", steps, 1),
        stepsize=finite("step", step, 0, open_low=True),
        confidence=finite("confidence", confidence, 0),
        initial_const=finite("initial_const", initial_const, 0, open_low=True),
        abort_early=flag("abort_early", abort_early),
    )
    found = _nearest(algorithm, network, pixels, labels)
    # It gives a black picture where it found none; what was wrong already comes back by way of its variables, which rounds.
    none = (found == 0).flatten(1).all(1) | ((found - pixels).abs().flatten(1).amax(1) < ROUNDED)
    return torch.where(column(none, pixels), pixels, found)


def _deepfool(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float | None,
    *,
    norm: str,
    steps: int = 50,
    candidates: int = 10,
    overshoot: float = 0.02,
) -> Tensor:
    attacks = load_foolbox().attacks
    algorithm = {"linf": attacks.LinfDeepFoolAttack, "l2": attacks.L2DeepFoolAttack}[norm](
        steps=whole("steps", steps, 1),
        candidates=whole("candidates", candidates, 2),
        overshoot=finite("overshoot", overshoot, 0),
    )
    return _nearest(algorithm, network, pixels, labels)


def _autoattack(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float,
    *,
    norm: str,
    version: str = "standard",
    batch_size: int = 250,
) -> Tensor:
    """The four attacks one after the other, each on what the ones before left; ``version="rand"`` for random networks.

    What does not exist for so few classes is left out: the targeted losses need four, the DLR loss three.
    """
    choice("version", version, ("standard", "plus", "rand"))
    if version != "rand":
        _check_square(f"autoattack{'_l2' * (norm == 'l2')}", norm, pixels)
    network = in_float32(network, pixels)
    package = load_autoattack()
    with torch.no_grad():
        classes = network(pixels[:1]).shape[1]
    norm = {"linf": "Linf", "l2": "L2"}[norm]
    made = package.AutoAttack(
        network, norm=norm, eps=epsilon, seed=torch.initial_seed() % 2**31, version=version, device=pixels.device
    )
    made.apgd_targeted.n_target_classes = made.fab.n_target_classes = min(9, classes - 1)
    if classes < 4:
        instead = {"apgd-t": "apgd-dlr", "fab-t": "fab"}
        wanted = [instead.get(name, name) for name in made.attacks_to_run]
        made.attacks_to_run = [name for name in dict.fromkeys(wanted) if name != "apgd-dlr" or classes == 3]
    tracing = sys.gettrace()  # it looks for gradients inside the network with a tracer, and sets none afterwards
    try:
        return made.run_standard_evaluation(pixels.float(), labels, batch_size=whole("batch_size", batch_size, 1))[0]
    finally:
        sys.settrace(tracing)


def _square(
    network: nn.Module, pixels: Tensor, labels: Tensor, epsilon: float, *, norm: str, queries: int = 1000
) -> Tensor:
    """Square attack: random search with the logits alone, no gradients."""
    _check_square("square_l2", norm, pixels)
    made = load_autoattack().square.SquareAttack(
        in_float32(network, pixels),
        norm={"linf": "Linf", "l2": "L2"}[norm],
        n_queries=whole("queries", queries, 1),
        eps=epsilon,
        seed=torch.initial_seed() % 2**31,
        device=pixels.device,
    )
    return made.perturb(pixels.float(), labels)


def _check_square(name: str, norm: str, pixels: Tensor) -> None:
    """ValueError for pictures that Square does not take in l2."""
    height, width = pixels.shape[-2:]
    if norm == "l2" and (height != width or height < 5):
        raise ValueError(f"{name} divides square pictures into 5 x 5 squares; got pictures of {height} x {width}")


def _noise(
    network: nn.Module, pixels: Tensor, labels: Tensor, epsilon: float, *, kind: str, repeats: int = 1
) -> Tensor:
    """Noise as large as the budget; of several ``repeats``, for each picture the first draw that is misclassified."""
    attacks = load_foolbox().attacks
    algorithm = {
        "gaussian": attacks.L2AdditiveGaussianNoiseAttack,
        "uniform": attacks.LinfAdditiveUniformNoiseAttack,
        "uniform_l2": attacks.L2AdditiveUniformNoiseAttack,
    }[kind]()
    if whole("repeats", repeats, 1) > 1:
        algorithm = algorithm.repeat(repeats)
    return _fixed(algorithm, network, pixels, labels, epsilon)


ATTACKS: dict[str, Attack] = {
    "fgsm": Attack("linf", partial(_fgsm, norm="linf")),
    "fgsm_l2": Attack("l2", partial(_fgsm, norm="l2")),
    "pgd": Attack("linf", partial(_pgd, norm="linf")),
    "pgd_l2": Attack("l2", partial(_pgd, norm="l2")),
    "fgsm_nearest": Attack("linf", nearest_fgsm, minimal=True),
    "pgd_nearest": Attack("linf", nearest_pgd, minimal=True),
    "cw": Attack("l2", _cw, minimal=True),
    "deepfool": Attack("l2", partial(_deepfool, norm="l2"), minimal=True),
    "deepfool_linf": Attack("linf", partial(_deepfool, norm="linf"), minimal=True),
    "autoattack": Attack("linf", partial(_autoattack, norm="linf")),
    "autoattack_l2": Attack("l2", partial(_autoattack, norm="l2")),
    "square": Attack("linf", partial(_square, norm="linf")),
    "square_l2": Attack("l2", partial(_square, norm="l2")),
    "pgd_bands": Attack("linf", partial(descend_in_bands, norm="linf")),
    "pgd_bands_l2": Attack("l2", partial(descend_in_bands, norm="l2")),
    "gaussian": Attack("l2", partial(_noise, kind="gaussian")),
    "uniform": Attack("linf", partial(_noise, kind="uniform")),
    "uniform_l2": Attack("l2", partial(_noise, kind="uniform_l2")),
}
