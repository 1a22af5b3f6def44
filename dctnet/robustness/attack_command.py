"""The command ``dctnet attack``: attacks x lossy channels on a trained network, as rows of a file, a table and pictures."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dctnet.arguments import choice
from dctnet.data.folder import DataError
from dctnet.device import usable_device
from dctnet.report.figures import recovery_windows, share_panels
from dctnet.robustness.attack_picture import draw_attack
from dctnet.robustness.attack_plan import NO_CHANNEL, ChannelSpec, attack_specs, channel_spec, plan
from dctnet.robustness.attack_table import FEWEST, agreement_table, attack_table, check_lists, window_panels
from dctnet.robustness.attack_trial import try_attack
from dctnet.robustness.attacks import ATTACKS
from dctnet.robustness.backward import OWN, ways
from dctnet.robustness.budget import EPSILON
from dctnet.robustness.channels import CHANNELS
from dctnet.robustness.checks import check_defence, check_settings
from dctnet.robustness.curvature_table import curvature_table
from dctnet.robustness.evaluation import Evaluation, Settings
from dctnet.robustness.often_fooled import LOOKS
from dctnet.robustness.packages import load_foolbox
from dctnet.robustness.recovery import DETERMINES, Recovery, recoveries
from dctnet.robustness.robustness_curves import by_compression, by_strength, curves_table
from dctnet.robustness.row_file import RowFile
from dctnet.robustness.subject import Pictures, Subject, load_pictures, pretrained_subject, trained_subject
from dctnet.training.named_values import named_values
from dctnet.whole_file import whole_file

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


def main(arguments: list[str]) -> int:
    """Run the command."""
    options = _parser().parse_intermixed_args(arguments)
    device = usable_device(options.device)
    attacks = _given("--options", options.options, ATTACKS)
    of_channels = _given("--channel_options", options.channel_options, CHANNELS)
    backward = _backward(options.backward)
    settings = Settings(
        options.samples, options.trials, options.batch_size, options.seed, options.checks,
        _check_options(options.check_options), options.curvature,
    )  # fmt: skip
    channels = [NO_CHANNEL, *(_channel(word, of_channels, backward) for word in options.channels)]
    channels = [one for number, one in enumerate(channels) if one not in channels[:number]]
    for name in options.attacks:
        choice("an attack", name, ATTACKS)
    for name, given in attacks.items():  # of those that do not run, too: a slip is a slip
        attack_specs(name, given, dict.fromkeys(EPSILON["imagenet"], (1.0,)))
    if absent := [name for name in backward if name not in {channel.name for channel in channels}]:
        raise DataError(
            f"--backward has {', '.join(absent)}, which is not among the channels: {' '.join(options.channels)}"
        )
    if 0 < options.checks < FEWEST:
        raise DataError(f"--checks takes {FEWEST} pictures at least, or 0 for no list; got {options.checks}")
    load_foolbox()
    rows, folder = RowFile(options.out), Path(options.out).with_suffix("")
    subject, data = _subject(options.words, options.pretrained, options.coefficients)
    pictures = load_pictures(subject, data, options.limit)
    epsilons = _epsilons(options, pictures)
    specs = [spec for name in options.attacks for spec in attack_specs(name, attacks.get(name, {}), epsilons)]
    for spec in specs:
        try_attack(spec.name, spec.epsilon, spec.options, pictures.pixels.shape[1:])
    evaluation = Evaluation(
        subject.network.to(device),
        pictures.pixels.to(device),
        pictures.labels.to(device),
        subject.identity,
        pictures.digest,
        settings,
        [_target(path, subject, device) for path in options.targets],
        subject.about,
    )
    rows.begin()
    works = plan(specs, channels, options.adaptive, len(options.targets), settings.checked > 0, settings.curvature > 0)
    with _shown(evaluation, len(works)) as finished:
        for number, work in enumerate(works, 1):
            finished(number - 1, str(work))
            key = evaluation.key(work)
            row = rows.find(key)
            if row is None:
                row = evaluation.row(work)
                rows.append(row)
            if work.kind == "oblivious" and work.channel == channels[-1] and options.pictures:
                try:
                    draw_attack(evaluation, rows, work.attack, channels, subject, pictures.names, folder)
                except OSError as error:  # the figures are what takes hours
                    print(f"dctnet attack: no picture of {work.attack.name}: {error}", file=sys.stderr)
        finished(len(works), "done")
    found = [rows.find(evaluation.key(work)) for work in works]
    ways = [
        other
        for row in found
        if row["key"]["kind"] in ("adaptive", "checks")
        for other in rows.alike(row["key"], "backward")
    ]
    found += [row for number, row in enumerate(ways) if row not in found and row not in ways[:number]]
    console = Console(width=None if sys.stdout.isatty() else 150)
    title = f"{subject.about['network']}, {len(pictures.pixels)} pictures of {Path(data).name}, seed {settings.seed}"
    names = {evaluation.targets[number][1]["checkpoint"]: path for number, path in enumerate(options.targets)}
    table, remarks = attack_table(found, title, names)
    console.print(table)
    for remark in remarks:
        print(remark)
    for line in check_lists(found):
        print(line)
    if settings.curvature:
        console.print(curvature_table(found, title))
    if options.analysis:
        _analyse(found, rows.rows, title, console, folder)
    print(f"rows in {options.out}" + (f", pictures in {folder}" if folder.is_dir() else ""))
    return 0


def _analyse(
    rows: list[dict[str, Any]], in_file: list[dict[str, Any]], title: str, console: Console, folder: Path
) -> None:
    """Which channels, at the first of their strengths, recover the same pictures, and how many they recover at which strength.

    And accuracy under adaptive attacks against strength, and, of the networks ``in_file``, against compression.
    """
    found = recoveries(rows)
    settings = [name for name in DETERMINES if name != "network"]
    alike = [row for row in in_file if all(row["key"].get(name) == rows[0]["key"][name] for name in settings)]
    panels = [*by_strength(rows), *by_compression(alike)]
    if not found and not panels:
        raise DataError(
            "--analysis needs a picture that an attack took from the network, and channels beside none; or adaptive rows of "
            "several strengths of a channel, or of networks of several rates of compression"
        )
    first = {one.channel: one.strength for one in reversed(found)}
    by_attack: dict[tuple[Any, ...], list[Recovery]] = {}
    for one in found:
        if one.strength == first[one.channel]:
            by_attack.setdefault((one.attack, one.epsilon, one.lost), []).append(one)
    for together in by_attack.values():
        console.print(agreement_table(together))
    if found:
        with whole_file(folder / "windows.png", shared=True) as png:
            recovery_windows(window_panels(found), f"recovered, of pictures lost: {title}", png)
    for panel in panels:
        console.print(curves_table(panel))
    if panels:
        with whole_file(folder / "robustness.png", shared=True) as png:
            share_panels(panels, f"right, clean and under adaptive attacks: {title}", "right", png)


def _parser() -> argparse.ArgumentParser:
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


def _subject(words: Sequence[str], pretrained: str | None, coefficients: bool) -> tuple[Subject, str]:
    """The network and the folder that the command line names."""
    if coefficients and not pretrained:
        raise DataError("--coefficients goes with --pretrained NAME; a checkpoint reads what it was trained on")
    if len(words) != (1 if pretrained else 2):
        wanted = "--pretrained NAME and one folder, DATA" if pretrained else "CKPT DATA, or --pretrained NAME DATA"
        raise DataError(f"give {wanted}; got {' '.join(words)}")
    return (pretrained_subject(pretrained, coefficients) if pretrained else trained_subject(words[0])), words[-1]


def _target(path: str, subject: Subject, device: torch.device) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Another network and its identity. DataError for one of other classes, or of pictures of another size."""
    target = trained_subject(path)
    for name, theirs, ours in (
        ("pixels a side", target.about["image_size"], subject.about["image_size"]),
        ("classes", list(target.classes), list(subject.classes)),
    ):
        if theirs != ours:
            raise DataError(f"{path} has other {name} than the network that is attacked: {theirs}, not {ours}"[:300])
    return target.network.to(device), target.identity


def _check_options(text: str) -> dict[str, Any]:
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


def _given(option: str, text: str, known: dict[str, Any]) -> dict[str, dict[str, Any]]:
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


def _backward(text: str) -> dict[str, str]:
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


def _epsilons(options: argparse.Namespace, pictures: Pictures) -> dict[str, list[float]]:
    usual = EPSILON["cifar10" if max(pictures.pixels.shape[-2:]) <= SMALL else "imagenet"]
    given = {"linf": options.epsilon_linf, "l2": options.epsilon_l2}
    return {
        norm: [usual[norm]] if texts is None else [_number(text) for text in texts] for norm, texts in given.items()
    }


def _channel(word: str, options: dict[str, dict[str, Any]], backward: dict[str, str]) -> ChannelSpec:
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


@contextmanager
def _shown(evaluation: Evaluation, count: int) -> Iterator[Callable[[int, str], None]]:
    """A bar of rows, and of the pictures of the row; on a terminal. Elsewhere a line a row. All of it on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, text: print(f"{done}/{count} {text}", file=sys.stderr, flush=True)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        rows, pictures = progress.add_task("rows", total=count), progress.add_task("", total=None)
        evaluation.tick = lambda done, total: progress.update(pictures, completed=done, total=total)

        def finished(done: int, text: str) -> None:
            progress.update(rows, completed=done)
            progress.update(pictures, description=text, completed=0)

        yield finished
