"""All questions of suite.yaml, one after the other, in their quick or their full form.

Usage: python experiments/suite.py DATA... --quick            two CPU cores, less than an hour; results in results/quick
       python experiments/suite.py DATA... --full             one or more GPUs, with the GPU tests and benchmarks; results/full
       python experiments/suite.py DATA... --quick --list     what would be run, how long, and where its results go

DATA is a folder that holds data sets by their names, as `dctnet prepare NAME` makes them (data/cifar10, data/clothing, data/ucr,
data/imagenet), or NAME=FOLDER for one of them. A question whose set is not there is left out; digits are made when needed. What
is finished is not run again, so a killed command goes on where it was. A step that fails is told at the end, the others go on,
and the exit status is 1. Runs, with their checkpoints and logs, go to a folder of their own: OUT holds at most 50 MB.

A step of a question is its grid (run.py), or one of its ``commands``: {run: a command, result: the file in OUT}. In it {NAME}
is the folder of a data set, {root} that of the project, {runs} that of the runs of all questions, {result} where the step writes;
others are ``values`` of the question. With ``each``, a list, it is run for each {each} of it, all for one result. suite.jsonl in
OUT has a line for each finished step: its commands, minutes, commit and machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import runpy
import shlex
import sys
import time
from pathlib import Path
from typing import NamedTuple

import run
import torch
import yaml
from collect import machine
from grid import Grid, read_grid, runs_of
from jobs import Job, run_jobs
from run import append, read_rows

from dctnet import cli
from dctnet.data.recipes import prepare
from dctnet.machine import cpu_model
from dctnet.source_tree import commit

HERE = Path(__file__).resolve().parent
SETS = ("cifar10", "clothing", "ucr", "digits", "imagenet")
LIMIT = 50_000_000  # bytes of results


class Step(NamedTuple):
    """The grid of a question (number 0, run by run.py) or what makes one of its results.

    ``digest`` is that of what the question asks to be run: not of its words.
    """

    question: str
    number: int
    commands: list[str]
    result: Path
    digest: str


class Place(NamedTuple):
    """Where things are: data sets by name, results, runs; and how many jobs on which devices."""

    sets: dict[str, Path]
    out: Path
    runs: Path
    jobs: int
    devices: list[str]


def steps_of(file: Path, grid: Grid, form: str, place: Place) -> list[Step]:
    """The steps of a question, in order."""
    does = {key: value for key, value in grid.items() if key not in ("title", "question", "claim", "minutes", "needs")}
    digest = hashlib.sha256(json.dumps(does, sort_keys=True).encode()).hexdigest()[:16]
    name, steps = file.stem, []
    if grid.get("rows"):
        result = place.out / f"{name}.jsonl"
        words = ["python", HERE / "run.py", file, place.sets[grid["data"][0]], result, f"--{form}"]
        words += ["--runs", place.runs / name, "--jobs", place.jobs, "--devices", *place.devices]
        steps.append(Step(name, 0, [shlex.join(map(str, words))], result, digest))
    for number, one in enumerate(grid.get("commands", []), 1):
        result = place.out / one["result"]
        known = {"root": HERE.parent, "runs": place.runs, "result": partial(result)}
        words = {key: shlex.quote(str(folder)) for key, folder in (place.sets | known).items()} | grid.get("values", {})
        commands = [one["run"].format(each=each, **words) for each in one.get("each", [None])]
        steps.append(Step(name, number, commands, result, digest))
    return steps


def partial(result: Path) -> Path:
    """Where a step writes until it is finished."""
    return result.parent / "partial" / result.name


def chosen(questions: Path, form: str, only: str = "") -> dict[Path, Grid]:
    """The questions of a list that have this form and ``only`` in their names, and those whose networks they need, in order.

    ValueError where there is none.
    """
    names = yaml.safe_load(questions.read_text())
    grids = {name: read_grid(questions.resolve().parent / f"{name}.yaml", form) for name in names}
    grids = {name: grid for name, grid in grids.items() if form in grid["minutes"]}
    wanted = {name for name in grids if only in name}
    if not wanted:
        raise ValueError(f"no question has {only!r} in its name; those of the {form} form: {', '.join(grids)}")
    for name in reversed(grids):  # needs stand before what needs them
        wanted |= set(grids[name].get("needs", [])) if name in wanted else set()
    return {questions.resolve().parent / f"{name}.yaml": grid for name, grid in grids.items() if name in wanted}


def missing_sets(grid: Grid, place: Place) -> list[str]:
    return [name for name in grid.get("data", []) if name not in place.sets]


def plan(grids: dict[Path, Grid], form: str, place: Place) -> list[str]:
    """Lines to print: each question, its runs, expected minutes and results; and the sum."""
    lines, total = [], 0.0
    for file, grid in grids.items():
        name = file.stem
        lacks, runs = missing_sets(grid, place), len(runs_of(grid))
        results = [f"{name}.jsonl"] * bool(runs) + [one["result"] for one in grid.get("commands", [])]
        where = f"left out, needs {', '.join(lacks)}" if lacks else ", ".join(results)
        minutes = 0 if lacks else grid["minutes"][form]
        total += minutes
        lines.append(f"{name:28} {runs:4} runs {minutes:5g} min  {where}")
        lines.append(f"    {' '.join(grid['question'].split())}")
    lines.append(
        f"{total:g} minutes expected, on {'two CPU cores' if form == 'quick' else 'one GPU'}; results in {place.out}"
    )
    return lines


def run_suite(grids: dict[Path, Grid], form: str, place: Place) -> list[str]:
    """Run what is not finished; the lines to say of what failed or was left out."""
    log, said = place.out / "suite.jsonl", []
    known = {(row["question"], row["step"]): row["digest"] for row in read_rows(log)}
    for file, grid in grids.items():
        name = file.stem
        if lacks := missing_sets(grid, place):
            said.append(f"{name} was left out: it needs {', '.join(lacks)}")
            continue
        for step in steps_of(file, grid, form, place):
            if known.get((name, step.number)) == step.digest and step.result.exists():
                continue
            print("\n".join([f"{name}:", *step.commands]), flush=True)
            begun = time.monotonic()
            error = run_step(step, place)
            minutes = (time.monotonic() - begun) / 60
            if error is not None:
                said.append(f"{name} failed: {error}")
                print(said[-1], file=sys.stderr, flush=True)
                continue
            append(log, row_of(step, " ".join(grid["question"].split()), form, minutes, place))
    return said


def row_of(step: Step, asks: str, form: str, minutes: float, place: Place) -> dict[str, object]:
    """The line of a finished step; ``asks``: the question in words."""
    about = {"question": step.question, "asks": asks, "step": step.number, "form": form, "result": step.result.name}
    made = {"digest": step.digest, "command": without_places("\n".join(step.commands), step, place)}
    return about | made | {"minutes": minutes, "commit": commit(), "cpu": cpu_model()} | machine()


def without_places(text: str, step: Step, place: Place) -> str:
    """The text with names for the folders of this machine."""
    names = {folder: name for name, folder in place.sets.items()} | {place.out: "RESULTS", place.runs: "RUNS"}
    names |= {partial(step.result): step.result.name, HERE.parent: "."}
    for folder in sorted(names, key=lambda path: -len(str(path))):
        text = text.replace(str(folder), names[folder])
    return text


def run_step(step: Step, place: Place) -> str | None:
    """None, or what went wrong. A result comes to its place when it is whole, and names no folder of this machine."""
    if step.number == 0:
        try:
            failed = run.main(shlex.split(step.commands[0])[2:])
        except (ValueError, OSError) as error:
            return str(error)
        return "some of its runs did not finish (see above)" if failed else None
    partial(step.result).parent.mkdir(parents=True, exist_ok=True)
    for number, command in enumerate(step.commands):
        log = place.runs / "logs" / f"{step.question}-{step.number}-{number}.log"
        ((_, error),) = run_jobs([Job(run_command, (shlex.split(command), place.jobs), log)], [{}])
        if error is not None:
            return error
    if not partial(step.result).exists():
        return f"{command} wrote no {step.result.name}"
    partial(step.result).write_text(without_places(partial(step.result).read_text(), step, place))
    os.replace(partial(step.result), step.result)
    return None


def run_command(words: list[str], threads: int) -> int:
    """``python FILE ...``, ``python -m MODULE ...`` or ``dctnet ...`` in this process, which has imported what most need."""
    torch.set_num_threads(threads)
    if words[0] == "dctnet":
        return cli.main(words[1:])
    module = words[1] == "-m"
    sys.argv = words[2:] if module else words[1:]
    if module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(str(HERE.parent / sys.argv[0]), run_name="__main__")
    return 0


def too_large(out: Path) -> str | None:
    """What to say of a folder of results of more than ``LIMIT`` bytes."""
    sizes = {path: path.stat().st_size for path in out.rglob("*") if path.is_file()}
    if sum(sizes.values()) <= LIMIT:
        return None
    largest = sorted(sizes, key=sizes.get, reverse=True)[:3]
    named = ", ".join(f"{path.relative_to(out)} {sizes[path] / 1e6:.0f} MB" for path in largest)
    return f"{out} holds {sum(sizes.values()) / 1e6:.0f} MB, more than {LIMIT / 1e6:.0f}; the largest: {named}"


def sets_of(words: list[str]) -> dict[str, Path]:
    """The data sets of DATA. ValueError for a folder that is not there, and a name that no set has."""
    found: dict[str, Path] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        path = Path(folder if equals else word).resolve()
        if not path.is_dir() or (equals and name not in SETS):
            raise ValueError(f"DATA is a folder, or NAME=FOLDER with a name of {', '.join(SETS)}; got {word}")
        found |= {name: path} if equals else {name: path / name for name in SETS if (path / name).is_dir()}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", nargs="*", default=["data"], metavar="DATA", help="a folder of sets, or NAME=FOLDER (data)"
    )
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--quick", dest="form", action="store_const", const="quick", help="on two CPU cores")
    form.add_argument("--full", dest="form", action="store_const", const="full", help="on GPUs")
    parser.add_argument("--out", type=Path, help="where results go (default results/quick, results/full)")
    parser.add_argument("--runs", type=Path, help="where runs go (default runs/quick, runs/full)")
    parser.add_argument("--jobs", type=run.positive, default=2, help="runs at a time, on each device (default 2)")
    parser.add_argument(
        "--devices", nargs="+", metavar="DEVICE", help="default: cpu; with --full all GPUs, cuda:0 cuda:1 ..."
    )
    parser.add_argument(
        "--questions", type=Path, default=HERE / "suite.yaml", help="a list of files beside it, in order"
    )
    parser.add_argument("--only", default="", help="questions whose name has this in it")
    parser.add_argument("--list", action="store_true", help="print the plan alone")
    options = parser.parse_args()
    quick = options.form == "quick"
    out = options.out or HERE.parent / "results" / options.form
    runs = options.runs or HERE.parent / "runs" / options.form
    try:
        sets = sets_of(options.data)
        grids = chosen(options.questions, options.form, options.only)
        if out.exists() and not out.is_dir():
            raise ValueError(f"results go to a folder; {out} is a file")
        run.check_devices(options.devices or [])
    except (ValueError, OSError) as error:
        parser.error(str(error))
    sets.setdefault("digits", runs.resolve() / "digits")
    cuda = torch.cuda.device_count() if not quick and not options.devices and not options.list else 0
    devices = options.devices or ["cpu"] if quick else options.devices or [f"cuda:{number}" for number in range(cuda)]
    place = Place(sets, out.resolve(), runs.resolve(), options.jobs, devices)
    if options.list:
        print("\n".join(plan(grids, options.form, place)))
        return 0
    if not devices:
        parser.error("--full is the form for GPUs, and none is seen here; take --quick, or name --devices")
    os.environ["OMP_NUM_THREADS"] = "1"  # of a run; a command takes as many threads as there are jobs
    if any("digits" in grid.get("data", []) for grid in grids.values()):
        prepare("digits", sets["digits"])
    said = run_suite(grids, options.form, place)
    if large := too_large(place.out):
        said.append(large)
    print("\n".join(said or [f"all is done; results in {place.out}"]))
    left_out = [line for line in said if "left out" in line]
    return 1 if len(said) > len(left_out) or len(left_out) == len(grids) else 0


if __name__ == "__main__":
    sys.exit(main())
