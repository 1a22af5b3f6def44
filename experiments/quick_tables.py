"""Tables of what the quick suite found, in the folder ``quick``: speed beside peers, and the accuracy of grids."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from grid import read_grid

from dctnet.findings.grids import Line, grid_lines
from dctnet.findings.twins import twins
from dctnet.report.tables import markdown

HERE = Path(__file__).resolve().parent
QUICK = HERE / "quick"

READERS = {
    "libjpeg-turbo": "libjpeg-turbo's `jpeg_read_coefficients`, from C",
    "jpeg2dct": "jpeg2dct",
    "simplejpeg (RGB)": "simplejpeg, to RGB pixels",
    "torchvision (RGB)": "torchvision, to RGB pixels",
}
LOADERS = {
    "DALI (RGB)": "NVIDIA DALI, RGB",
    "simplejpeg (RGB)": "simplejpeg, RGB",
    "torchvision (RGB)": "torchvision, RGB",
    "jpeg2dct": "jpeg2dct",
}


def peers() -> str:
    """Ours beside its peers, each line with the command that measured it: files read, batches loaded, a network trained."""
    rows = _against("bench_read_clothing", "reading {files} photographs", "reader", READERS)
    rows += _against("bench_loaders", "loading {files} photographs in batches of 224x224", "loader", LOADERS)
    lines = grid_lines(_rows("cifar10_planes"))
    timed = next(row for row in _bench("bench_cifar10_planes") if row["label"] == "late_concat")
    what = f"a training step, CIFAR-10: `late_concat`, {lines['late_concat'].mean:.1f} % in the table below"
    peer = f"`rgb_resnet18`, the same recipe, {lines['rgb'].mean:.1f} %"
    rows.append({"what": what, "peer": peer, "command": _command("bench_cifar10_planes")} | _ratio(timed["train"]))
    columns = {
        "on one core": "{what}",
        "beside": "{peer}",
        "faster by": "{ratio:.1f}x",
        "rounds": "{low:.1f} to {high:.1f}",
    }
    return markdown(rows, columns | {"command": "`{command}`"})


def answers() -> str:
    """Of each grid of runs: its first row, its best row, top-1 of each seed, and the command that makes them again."""
    rows = []
    for name in yaml.safe_load((HERE / "suite.yaml").read_text()):
        asked = read_grid(HERE / f"{name}.yaml", "quick")
        if not asked.get("rows") or "quick" not in asked["minutes"]:
            continue
        lines = grid_lines(_rows(name))
        first = next(iter(asked["rows"]))
        best = max(lines, key=lambda one: lines[one].mean)
        if "title" not in asked or "none_dct" in lines:
            continue
        rows.append(
            {
                "title": asked["title"],
                "count": len(lines),
                "first": _told(first, lines[first]),
                "best": _told(best, lines[best]) if best != first else "the baseline",
                "command": f"python experiments/suite.py data --quick --only {name}",
            }
        )
    columns = {"": "{title}", "baseline": "{first}", "best": "{best}", "of": "{count}"}
    return markdown(rows, columns | {"command": "`{command}`"})


def grid(name: str) -> str:
    """Size, cost and top-1 of each row of a grid, seed by seed."""
    found = grid_lines(_rows(name))
    rows = [
        line.row | {"run": run, "mega": 1e3 * line.row["gmac"], "tops": _each(line), "mean": line.mean}
        for run, line in found.items()
    ]
    columns = {"run": "`{run}`", "parameters (M)": "{parameters_m:.2f}", "MMAC": "{mega:.1f}", "epochs": "{epochs}"}
    return markdown(rows, columns | {"top-1 (%)": "{mean:.1f}", "seeds": "{tops}"})


def augmentations(name: str) -> str:
    """What each augmentation adds on coefficients, and its twin on pixels."""
    read = _rows(name)
    lines = grid_lines(read)
    rows = [{"name": "none", "tops0": _each(lines["none_dct"]), "tops1": _each(lines["none_rgb"])}]
    for twin in twins(read, read[0]["validation"]):
        row: dict[str, object] = {"name": twin.name.replace("_", " ")}
        for side, (line, gain) in enumerate(zip(twin.lines, twin.gains, strict=True)):
            row |= {} if line is None else {f"tops{side}": _each(line), f"gain{side}": gain}
        rows.append(row | ({} if twin.apart is None else {"apart": twin.apart}))
    columns = {"augmentation": "{name}", "on coefficients (%)": "{tops0}", "gain": "{gain0:+.1f}"}
    columns |= {"on pixels (%)": "{tops1}", "gain ": "{gain1:+.1f}"}
    return markdown(rows, columns | {"standard errors between the gains": "{apart:+.1f}"})


def _each(line: Line) -> str:
    return " / ".join(f"{top:.1f}" for top in line.tops)


def _told(name: str, line: Line) -> str:
    return f"`{name}` {_each(line)}"


def _rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (QUICK / f"{name}.jsonl").read_text().splitlines()]


def _bench(name: str) -> list[dict]:
    return json.loads((QUICK / f"{name}.json").read_text())["rows"]


def _command(name: str) -> str:
    """What measured a file, as the suite tells it: folders as `dctnet prepare` makes them."""
    command = [row["command"] for row in _rows("suite") if row["result"] == f"{name}.json"][-1]
    return re.sub(r"\b(clothing|cifar10)/", r"data/\1/", re.sub(r" --out \S+", "", command).replace("./", ""))


def _ratio(row: dict) -> dict:
    low, high = row["spread"]
    return {"ratio": row["ratio"], "low": low, "high": high}


def _against(name: str, what: str, entry: str, named: dict[str, str]) -> list[dict]:
    """A line for each peer that was there, on one core."""
    files = json.loads((QUICK / f"{name}.json").read_text())["files"]
    known = {row[entry]: row for row in _bench(name) if "missing" not in row and row.get("cores", 1) == 1}
    return [
        {"what": what.format(files=files), "peer": words, "command": _command(name)} | _ratio(known[peer])
        for peer, words in named.items()
        if peer in known
    ]
