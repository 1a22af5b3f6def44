"""Train every row of a grid and write one line a run: what was trained, how well, at what cost.

Usage: python experiments/run.py GRID.yaml DATA OUT.jsonl [--quick | --full] [--runs FOLDER] [--jobs N] [--devices DEVICE...]

A grid is a YAML file (grid.py says what it holds); DATA is a folder that `dctnet prepare` made, or one of UCR sets. A run that
OUT has already is left out, so a killed command goes on where it was; the runs in which it was killed start again. ``--jobs`` are
trained at a time, ``--jobs`` on each of the ``--devices``. A run that fails is told at the end, the others go on, and the exit
status is 1. ``--share 0/2`` and ``--share 1/2`` are two processes, or two machines, that divide the runs. A
grid with ``equal_time`` is measured first (equal_time.py), which gives OUT_speeds.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import torch
import yaml
from collect import collect, machine
from equal_time import equalised
from grid import Grid, arguments, command, read_grid, runs_of
from jobs import Job, devices_of, run_jobs

from dctnet.machine import cpu_model
from dctnet.source_tree import commit


def main(words: list[str] | None = None) -> int:
    """Train what is missing; 1 where a run failed. ``words``: the arguments (default: those of the command line)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--quick", dest="form", action="store_const", const="quick", help="the short form, for two CPU cores"
    )
    form.add_argument("--full", dest="form", action="store_const", const="full", help="the long form, for GPUs")
    parser.add_argument("--runs", type=Path, default=Path("runs/grid"), help="where the runs go (default runs/grid)")
    parser.add_argument("--jobs", type=positive, default=1, help="runs at a time, on each device (default 1)")
    parser.add_argument("--devices", nargs="+", default=["cpu"], metavar="DEVICE", help="cpu, or cuda:0 cuda:1 ...")
    parser.add_argument("--threads", type=positive, default=1, help="threads of each run (default 1)")
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--share", default="0/1", help="K/N: every N-th run, from the K-th")
    options = parser.parse_args(words)
    grid = read_grid(options.grid, options.form)
    if not grid.get("rows"):
        raise ValueError(f"{options.grid} has no rows, only commands; run it with suite.py")
    if not runs_of(grid, options.only):
        raise ValueError(
            f"no row of {options.grid} has {options.only!r} in its name; rows: {', '.join(grid.get('rows', {}))}"
        )
    places = devices_of(options.devices, options.jobs)
    check_devices(options.devices)
    which, of = share(options.share)
    data = subset(options.data, options.runs, grid.get("train_per_class"), which, grid.get("val_per_class"))
    if grid.get("equal_time"):
        speeds = partial(speeds_of, grid, data, options, places)
        grid = equalised(grid, data, options.out.with_name(f"{options.out.stem}_speeds.json"), speeds)
    kept = read_rows(options.out)
    missing = [run for run in runs_of(grid, options.only)[which::of] if not finished(kept, options.out, grid, *run)]
    failed = train(grid, missing, data, options, places)
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def check_devices(names: Sequence[str]) -> None:
    """ValueError for a GPU that is not there, in whose place torch would take the CPU."""
    count = torch.cuda.device_count()
    for name in names:
        if name.startswith("cuda:") and name[5:].isdigit() and int(name[5:]) >= count:
            raise ValueError(f"there is no {name}: torch sees {count} GPUs here; name cpu, or others")


def positive(text: str) -> int:
    """A number of jobs or threads."""
    if not (text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"a whole number from 1 on; got {text!r}")
    return int(text)


def share(text: str) -> tuple[int, int]:
    """K and N of K/N. ValueError for others.

    >>> share("1/2")
    (1, 2)
    """
    which, _, of = text.partition("/")
    if not (which.isdigit() and of.isdigit() and int(which) < int(of)):
        raise ValueError(f"--share is K/N, K from 0 to N - 1, such as 0/2; got {text!r}")
    return int(which), int(of)


def train(grid: Grid, runs: list[tuple[str, int]], data: Path, options: argparse.Namespace, places: list) -> list[str]:
    """Train these runs and add their rows to ``options.out``; the lines to say of those that failed."""
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # for the processes that are to come
    jobs, failed = [], []
    for name, seed in runs:
        run = options.runs / f"{name}-{seed}"
        where = ["--trainer.default_root_dir", str(run), "--data.root", str(data)]
        words = [*arguments(grid, name, seed), *where]
        jobs.append(Job(fit, (grid.get("program"), words, run), options.runs / f"{name}-{seed}.log"))
    for number, error in run_jobs(jobs, places):
        name, seed = runs[number]
        try:
            if error is None:
                row = row_of(grid, name, seed, data, options)
                append(options.out, row)
                print(f"{name}, seed {seed}: top-1 {row['top1']:.2f} %, {row['minutes']:.1f} min", flush=True)
        except (OSError, ValueError, KeyError, SystemExit) as wrong:
            error = f"its row could not be made: {wrong}"
        if error is not None:
            failed.append(f"{name}, seed {seed} failed: {error}")
            print(f"{name}, seed {seed} failed", flush=True)
    return failed


def speeds_of(grid: Grid, data: Path, options: argparse.Namespace, places: list, names: Sequence[str]) -> list[float]:
    """Pictures a second of rows that are trained side by side, in the second of two epochs. ValueError where one fails."""
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    jobs, runs = [], [options.runs / f"speed-{number}" for number in range(len(names))]
    for name, run in zip(names, runs, strict=True):
        where = ["--trainer.default_root_dir", str(run), "--data.root", str(data), "--trainer.max_epochs", "2"]
        words = [*arguments(grid, name, 0), *where, "--trainer.check_val_every_n_epoch", "2"]
        jobs.append(Job(fit, (grid.get("program"), words, run), run.with_suffix(".log")))
    for number, error in run_jobs(jobs, places):
        if error is not None:
            raise ValueError(f"{names[number]} could not be timed: {error}")
    with_rates = [list(csv.DictReader((run / "metrics.csv").read_text().splitlines())) for run in runs]
    return [float(epochs[-1]["img/s"]) for epochs in with_rates]


def fit(program: str | None, words: list[str], run: Path) -> int:
    """One run, in a process of its own, from nothing; ``spent.json`` gets its CPU time."""
    shutil.rmtree(run, ignore_errors=True)
    status = (
        import_module("dctnet.cli").main(["fit", *words]) if program is None else import_module(program).main(words)
    )
    if status == 0:
        spent = os.times()
        seconds = spent.user + spent.system + spent.children_user + spent.children_system
        (run / "spent.json").write_text(json.dumps({"cpu_minutes": seconds / 60}) + "\n")
    return status


def row_of(grid: Grid, name: str, seed: int, data: Path, options: argparse.Namespace) -> dict[str, object]:
    """The row of a finished run; ``validation``: how many pictures its accuracy was counted on."""
    run = options.runs / f"{name}-{seed}"
    about = {"name": name, "seed": seed, "grid": options.grid.stem, "form": options.form}
    about |= {part: grid.get(part) for part in ("train_per_class", "val_per_class")} | {"threads": options.threads}
    about |= {"validation": len(pictures)} if (pictures := list((data / "val").glob("*/*"))) else {}
    made = {"command": command(grid, name, seed), "commit": commit(), "cpu": cpu_model()}
    return about | collect(run) | json.loads((run / "spent.json").read_text()) | made | machine()


def read_rows(out: Path) -> list[dict]:
    """The rows of a file; what a kill left of a last line is cut off."""
    if not out.exists():
        return []
    whole, _, tail = out.read_bytes().rpartition(b"\n")
    if tail:
        with out.open("rb+") as file:
            file.truncate(len(whole) + 1 if whole else 0)
    return [json.loads(line) for line in whole.splitlines()]


def append(out: Path, row: dict) -> None:
    """A line more, on the disk."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def finished(rows: list[dict], out: Path, grid: Grid, name: str, seed: int) -> bool:
    """Whether ``out`` has this run. ValueError if it has one of that name and seed with other settings."""
    about = {part: grid.get(part) for part in ("train_per_class", "val_per_class")} | {
        "command": command(grid, name, seed)
    }
    for row in rows:
        if (row["name"], row["seed"]) == (name, seed):
            other = {key: row.get(key) for key, value in about.items() if row.get(key) != value}
            if other:
                raise ValueError(
                    f"{out} has {name}, seed {seed}, with other settings: {other}; now {about}. Take another file"
                )
            return True
    return False


def subset(data: Path, runs: Path, per_class: int | None, which: int, val_per_class: int | None = None) -> Path:
    """``data`` itself, or a folder of links to the first files of each class, so many for training and for validation."""
    if per_class is None and val_per_class is None:
        return data.resolve()
    limits = {"train": per_class, "val": val_per_class, "test": None}
    part = runs / "-".join(["data", *(str(n) for n in (per_class, val_per_class) if n is not None), str(which)])
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for kind, limit in limits.items():
        if limit is None and (data / kind).exists():
            os.symlink((data / kind).resolve(), part / kind)
        elif limit is not None:
            for folder in sorted(path for path in (data / kind).iterdir() if path.is_dir()):
                (part / kind / folder.name).mkdir(parents=True)
                for file in sorted(folder.iterdir())[:limit]:
                    os.symlink(file.resolve(), part / kind / folder.name / file.name)
    return part.resolve()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ValueError, OSError, yaml.YAMLError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        sys.exit(2)
