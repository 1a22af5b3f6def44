"""What `dctnet attack` is told: its options, and what their words mean."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

from dctnet.arguments import choice
from dctnet.data.folder import DataError
from dctnet.robustness.attack_plan import ChannelSpec, channel_spec
from dctnet.robustness.attacks import ATTACKS
from dctnet.robustness.backward import OWN, ways
from dctnet.robustness.budget import EPSILON
from dctnet.robustness.channels import CHANNELS
from dctnet.robustness.checks import check_defence, check_settings
from dctnet.robustness.often_fooled import LOOKS
from dctnet.robustness.subject import Pictures
from dctnet.training.named_values import named_values

SMALL = 64  # pixels a side up to which the budget is that usual for CIFAR-10

EPILOG = f"""columns of the table, shares of all pictures with their 95 % interval (Wilson):
  clean      right behind the channel
  oblivious  right behind the channel, attacked without it
  adaptive   right behind the channel, attacked with it: its gradient, BPDA where it has none, the expectation over draws
             where it is random. * marks rows of a list of checks that did not pass: they are no measure of robustness;
             ? rows without a list; ^ rows whose attack moved nothing, or left some without a budget, or did less than
             another within its budget: the oblivious one, that of another --backward, or those of the list, on the
             pictures that were checked. cw and deepfool behind a random channel look for the nearest picture that fools
             {LOOKS} fresh looks.

attacks:  {" ".join(ATTACKS)}
channels: {" ".join(CHANNELS)}
--backward, the default first: {"; ".join(f"{name} {' '.join(ways(kind))}" for name, kind in CHANNELS.items() if kind in OWN)};
others: {" ".join(ways(CHANNELS["fft"]))}

--curvature [N]: medians of the norms of input gradients and of the greatest eigenvalue of the input Hessian, of the first N
pictures that are right, and wrong under the attack: natural, adversarial, and those that each channel brings back.

--analysis with --adaptive: robustness.png, accuracy against each channel of several strengths, and against the compression of the
networks whose rows are in OUT.

Rows are appended to OUT as they are finished, with all that determines them; the same command goes on where it was killed,
and others add to the same file. Pictures go beside it.

  dctnet attack runs/cifar10/best.ckpt data/cifar10 --attacks pgd cw --channels fft:0.5 jpeg:75 gaussian:0.03 --adaptive
  dctnet attack --pretrained efficientnet_lite0 FOLDER --attacks pgd --epsilon_linf 1/255 4/255 --channels fft:0.25 fft:0.5
  dctnet attack ... --channels depth:4 jpeg:75 --adaptive --backward '{{depth: smooth, jpeg: identity}}'
  dctnet attack ... --options '{{cw: {{steps: 100, search_steps: 5}}, pgd: {{steps: 20}}}}'
"""


def attack_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dctnet attack",
        description="Attacks a trained network with and without lossy channels in front of it, and counts what it still gets "
        "right. Needs: pip install dctnet[robustness].",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument(
        "words", nargs="+", metavar="CKPT DATA",
        help="best.ckpt or last.ckpt of a run, and a folder of JPEG files by class, or the one that holds it as val/; with "
        "--pretrained the folder alone",
    )  # fmt: skip
    parser.add_argument(
        "--pretrained", metavar="NAME",
        help="in place of CKPT a network with ImageNet weights: efficientnet_lite0, or one of torchvision",
    )  # fmt: skip
    parser.add_argument(
        "--coefficients", action="store_true",
        help="the network of --pretrained reads the block DCT of the pixels, through from_rgb; a checkpoint reads what it was "
        "trained on",
    )  # fmt: skip
    parser.add_argument(
        "--attacks", nargs="+", default=["fgsm", "pgd", "cw"], metavar="NAME", help="(default fgsm pgd cw)"
    )
    parser.add_argument(
        "--channels", nargs="+", default=["fft", "depth", "gaussian", "jpeg", "dct_bands"], metavar="NAME[:STRENGTH]",
        help="beside none, which is always there (default fft depth gaussian jpeg dct_bands, each at its own strength)",
    )  # fmt: skip
    parser.add_argument("--adaptive", action="store_true", help="the adaptive column, and its list of checks")
    for norm, usual in (("linf", f"8/255 up to {SMALL} pixels a side, else 4/255"), ("l2", "0.5")):
        parser.add_argument(
            f"--epsilon_{norm}", nargs="+", metavar="E",
            help=f"budgets of the attacks in {norm}, on pixels of 0..1 (default {usual}); cw and deepfool need none",
        )  # fmt: skip
    parser.add_argument(
        "--options", default="{}", metavar="YAML",
        help="of attacks, by name, epsilon among them, such as '{pgd: {steps: 10, epsilon: 2/255}}'",
    )  # fmt: skip
    parser.add_argument(
        "--channel_options", default="{}", metavar="YAML", help="of channels, such as '{jpeg: {rounding: smooth}}'"
    )
    parser.add_argument(
        "--backward", default="{}", metavar="YAML",
        help="how adaptive attacks differentiate channels, such as '{depth: smooth, jpeg: identity}'",
    )  # fmt: skip
    parser.add_argument(
        "--analysis", action="store_true",
        help="which channels recover the same pictures, and windows.png: how many at which strength; with --adaptive also "
        "robustness.png: accuracy against strengths, and against the compression of all networks in OUT",
    )  # fmt: skip
    parser.add_argument(
        "--curvature", type=int, nargs="?", const=20, default=0, metavar="N",
        help="gradients and curvature of the loss at the first N pictures (default 20) that each attack takes: natural, "
        "adversarial, recovered behind each channel",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=int, default=100, metavar="N", help="pictures, evenly over the classes (default 100)"
    )
    parser.add_argument("--samples", type=int, default=16, metavar="K",
                        help="draws of a random channel in each step of an adaptive attack (default 16)")  # fmt: skip
    parser.add_argument("--trials", type=int, default=1, metavar="K",
                        help="looks through a random channel, whose majority decides (default 1)")  # fmt: skip
    parser.add_argument("--checks", type=int, default=24, metavar="N",
                        help="pictures for the list of checks; 0 leaves it out, and marks the rows (default 24)")  # fmt: skip
    parser.add_argument("--check_options", default="{}", metavar="YAML",
                        help="such as '{steps: [1, 10], unbounded_steps: 50, queries: 100, draws: 3}'")  # fmt: skip
    parser.add_argument("--targets", nargs="+", default=[], metavar="CKPT",
                        help="other networks, which see the pictures that were made against this one")  # fmt: skip
    parser.add_argument("--out", default="attacks.jsonl", metavar="ROWS.jsonl", help="(default attacks.jsonl)")
    parser.add_argument("--no-pictures", dest="pictures", action="store_false", help="draw none")
    parser.add_argument("--batch_size", type=int, default=16, metavar="N", help="pictures at a time (default 16)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default 0)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    return parser


def check_options(text: str) -> dict[str, Any]:
    """Options of ``check_defence`` that are not the command's own, of the kind of their defaults. DataError for others."""
    given = named_values("--check_options", text, "{queries: 100}")
    own = ("epsilon", "norm", "attacked", "seed")
    parameters = inspect.signature(check_defence).parameters.values()
    known = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in own}
    for name, value in given.items():
        choice("a name in --check_options", name, known)
        if isinstance(known[name], tuple):
            fits = isinstance(value, list) and len(value) > 0 and all(type(one) is int and one > 0 for one in value)
        else:
            fits = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
            fits = fits and (isinstance(known[name], float) or (isinstance(value, int) and value > 0))
        if not fits:
            kind = "whole numbers in brackets" if isinstance(known[name], tuple) else "a number"
            raise DataError(f"{name} in --check_options is {kind}, such as {known[name]}; got {value!r}")
    try:
        check_settings(**given)
    except ValueError as error:
        raise DataError(f"--check_options: {error}") from error
    return given


def given_options(option: str, text: str, known: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Options by the name of what they are of; a budget may be written as a fraction."""
    given = named_values(option, text, "{name: {option: value}}")
    for name, values in given.items():
        choice(f"a name in {option}", name, known)
        if not isinstance(values, dict):
            raise DataError(f"{option} of {name} are names and values, {{{name}: {{option: value}}}}; got {values!r}")
        if "epsilon" in values and known is ATTACKS:
            several = values["epsilon"] if isinstance(values["epsilon"], list) else [values["epsilon"]]
            values["epsilon"] = [_number(value) if isinstance(value, str) else value for value in several]
    return given


def backward_ways(text: str) -> dict[str, str]:
    """Ways to differentiate channels, by the name of the channel."""
    given = named_values("--backward", text, "{depth: smooth}")
    for name, way in given.items():
        choice("a name in --backward", name, CHANNELS)
        choice(f"{name} in --backward", way, ways(CHANNELS[name]))
    return given


def _number(text: str) -> float:
    """A number, or a fraction such as 8/255."""
    above, slash, below = text.partition("/")
    try:
        return float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError) as error:
        raise DataError(f"epsilon is a number or a fraction, such as 0.5 or 8/255; got {text!r}") from error


def epsilons_of(options: argparse.Namespace, pictures: Pictures) -> dict[str, list[float]]:
    usual = EPSILON["cifar10" if max(pictures.pixels.shape[-2:]) <= SMALL else "imagenet"]
    given = {"linf": options.epsilon_linf, "l2": options.epsilon_l2}
    return {
        norm: [usual[norm]] if texts is None else [_number(text) for text in texts] for norm, texts in given.items()
    }


def channel_of(word: str, options: dict[str, dict[str, Any]], backward: dict[str, str]) -> ChannelSpec:
    """NAME or NAME:STRENGTH."""
    name, given, strength = word.partition(":")
    choice("a channel", name, CHANNELS)
    try:
        value = float(strength) if given else None
    except ValueError as error:
        raise DataError(f"a channel is NAME or NAME:STRENGTH, such as fft:0.5; got {word!r}") from error
    if value is not None and not abs(value) < float("inf"):
        raise DataError(f"the strength of {name} is a finite number; got {word!r}. The channel none loses nothing")
    return channel_spec(name, value, options.get(name, {}), backward.get(name))
