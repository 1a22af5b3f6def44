"""Train every row of a grid and write one line a run: what was trained, how well, at what cost.

Usage: python experiments/run.py GRID.yaml DATA OUT.jsonl [--runs FOLDER] [--threads N] [--only TEXT] [--share K/N]

A grid is a YAML file: a ``question``, the ``config`` of `dctnet fit` that all runs have, the ``settings`` and ``seeds`` common
to all, and for each row the settings of its own. DATA is a folder that `dctnet prepare` made, or one of UCR sets;
``train_per_class`` of a grid takes the first files of each class alone. A run that OUT has already is left out, so a killed
command goes on where it was; the run in which it was killed starts again. ``--share 0/2`` and ``--share 1/2`` are two
processes that divide the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from collect import collect, machine

from dctnet.benchmarks.result_file import commit, cpu_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/grid"), help="where the runs go (default runs/grid)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each run (default 1)")
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--share", default="0/1", help="K/N: every N-th run, from the K-th")
    options = parser.parse_args()
    grid = yaml.safe_load(options.grid.read_text())
    which, of = map(int, options.share.split("/"))
    runs = [(name, seed) for seed in grid["seeds"] for name in grid["rows"] if options.only in name]
    data = subset(options.data, options.runs, grid.get("train_per_class"), which)
    for name, seed in runs[which::of]:
        if not finished(options.out, grid, name, seed):
            row = train(grid, name, seed, data, options.runs, options.threads)
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{name}, seed {seed}: top-1 {row['top1']:.2f} %, {row['minutes']:.1f} min", flush=True)


def finished(out: Path, grid: dict, name: str, seed: int) -> bool:
    """Whether the file has this run. ValueError if it has one of that name and seed with other settings."""
    about = {"train_per_class": grid.get("train_per_class"), "command": command(grid, name, seed)}
    for row in map(json.loads, out.read_text().splitlines() if out.exists() else []):
        if (row["name"], row["seed"]) == (name, seed):
            other = {key: row[key] for key, value in about.items() if row[key] != value}
            if other:
                raise ValueError(
                    f"{out} has {name}, seed {seed}, with other settings: {other}; now {about}. Take another file"
                )
            return True
    return False


def command(grid: dict, name: str, seed: int) -> str:
    """The command of a run, but for its data and its folder."""
    return shlex.join(["dctnet", "fit", *arguments(grid, name, seed)])


def arguments(grid: dict, name: str, seed: int) -> list[str]:
    words = ["--config", grid["config"], "--seed_everything", str(seed)]
    for key, value in (grid.get("settings", {}) | grid["rows"][name]).items():
        words += [f"--{key}", value if isinstance(value, str) else json.dumps(value)]
    return words


def subset(data: Path, runs: Path, per_class: int | None, which: int) -> Path:
    """``data`` itself, or a folder of links to the first ``per_class`` training files of each class and all of validation."""
    if per_class is None:
        return data.resolve()
    part = runs / f"data-{per_class}-{which}"
    shutil.rmtree(part, ignore_errors=True)
    for folder in sorted((data / "train").iterdir()):
        (part / "train" / folder.name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[:per_class]:
            os.symlink(file.resolve(), part / "train" / folder.name / file.name)
    for kind in ("val", "test"):
        if (data / kind).exists():
            os.symlink((data / kind).resolve(), part / kind)
    return part.resolve()


def train(grid: dict, name: str, seed: int, data: Path, runs: Path, threads: int) -> dict[str, object]:
    """The finished row of one run."""
    run = runs / f"{name}-{seed}"
    shutil.rmtree(run, ignore_errors=True)
    where = ["--trainer.default_root_dir", str(run), "--data.root", str(data)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    subprocess.run(
        [sys.executable, "-m", "dctnet.cli", "fit", *arguments(grid, name, seed), *where],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    about = {"name": name, "seed": seed, "train_per_class": grid.get("train_per_class"), "threads": threads}
    return (
        about
        | collect(run)
        | {"command": command(grid, name, seed), "commit": commit(), "cpu": cpu_model()}
        | machine()
    )


if __name__ == "__main__":
    main()
