"""The command ``dctnet attack``: attacks x lossy channels on a trained network, as rows of a file, a table and pictures."""

from __future__ import annotations

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
from dctnet.robustness.attack_arguments import (
    attack_parser,
    backward_ways,
    channel_of,
    check_options,
    epsilons_of,
    given_options,
)
from dctnet.robustness.attack_picture import draw_attack
from dctnet.robustness.attack_plan import NO_CHANNEL, attack_specs, plan
from dctnet.robustness.attack_table import FEWEST, agreement_table, attack_table, check_lists, window_panels
from dctnet.robustness.attack_trial import try_attack
from dctnet.robustness.attacks import ATTACKS
from dctnet.robustness.budget import EPSILON
from dctnet.robustness.channels import CHANNELS
from dctnet.robustness.curvature_table import curvature_table
from dctnet.robustness.evaluation import Evaluation, Settings
from dctnet.robustness.packages import load_foolbox
from dctnet.robustness.recovery import DETERMINES, Recovery, recoveries
from dctnet.robustness.robustness_curves import by_compression, by_strength, curves_table
from dctnet.robustness.row_file import RowFile
from dctnet.robustness.subject import Subject, load_pictures, pretrained_subject, trained_subject
from dctnet.whole_file import whole_file


def main(arguments: list[str]) -> int:
    """Run the command."""
    options = attack_parser().parse_intermixed_args(arguments)
    device = usable_device(options.device)
    attacks = given_options("--options", options.options, ATTACKS)
    of_channels = given_options("--channel_options", options.channel_options, CHANNELS)
    backward = backward_ways(options.backward)
    settings = Settings(
        options.samples, options.trials, options.batch_size, options.seed, options.checks,
        check_options(options.check_options), options.curvature,
    )  # fmt: skip
    channels = [NO_CHANNEL, *(channel_of(word, of_channels, backward) for word in options.channels)]
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
    epsilons = epsilons_of(options, pictures)
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
