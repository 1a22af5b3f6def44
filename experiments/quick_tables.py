"""Tables of what the quick suite found, in the folder ``quick``: speed beside peers, and the accuracy of grids."""

from __future__ import annotations

import json
import re
from pathlib import Path

from grid import read_grid
from run import read_rows

from dctnet.findings.grids import Line, grid_lines
from dctnet.findings.twins import twins
from dctnet.report.tables import markdown

HERE = Path(__file__).resolve().parent
QUICK = HERE / "quick"

READERS = {
    "libjpeg-turbo": "libjpeg-turbo's `jpeg_read_coefficients`, from C",
    "jpeg2dct": "jpeg2dct",
    "torchvision (RGB)": "torchvision, to RGB pixels",
    "Pillow (RGB)": "Pillow, to RGB pixels",
}
LOADERS = {"DALI (RGB)": "NVIDIA DALI, RGB", "torchvision (RGB)": "torchvision, RGB", "jpeg2dct": "jpeg2dct"}


def peers() -> str:
    """Ours beside its peers, each line with the command that measured it: files read, batches loaded, networks trained."""
    rows = []
    for name, files in (("bench_read_clothing", "photographs, 400x533"), ("bench_read_cifar10", "CIFAR-10, 32x32")):
        rows += _against(name, f"reading coefficients: {files}", "dctnet", "reader", READERS)
    one = [row for row in _bench("bench_loaders") if row.get("cores") == 1]
    rows += _against("bench_loaders", "loading batches of 224x224: photographs", "dctnet", "loader", LOADERS, one)
    return markdown(
        rows,
        {
            "on one core": "{what}",
            "beside": "{peer}",
            "images/s": "{ours:,.0f}",
            "theirs": "{theirs:,.0f}",
            "ours is faster by": "{ratio:.2f}x",
            "from": "{low:.2f}",
            "to": "{high:.2f}",
            "command": "`{command}`",
        },
    )


def trained() -> str:
    """A step of training of networks on coefficients beside that of the pixel network."""
    rows = []
    for row in _bench("bench_cifar10_planes"):
        low, high = row["train"]["spread"]
        about = {"millions": row["parameters"] / 1e6, "mega": row["multiply_adds"] / 1e6, "low": low, "high": high}
        rows.append(row | about | {"ratio": row["train"]["ratio"]})
    columns = {"network": "`{label}`", "parameters (M)": "{millions:.2f}", "MMAC": "{mega:.1f}"}
    return markdown(rows, columns | {"a step is faster by": "{ratio:.2f}x", "from": "{low:.2f}", "to": "{high:.2f}"})


def answers() -> str:
    """Of each grid of runs: its first row, its best row, top-1 of each seed, and the command that makes them again."""
    rows = []
    for file in sorted(QUICK.glob("*.jsonl")):
        grid = HERE / f"{file.stem}.yaml"
        if not grid.exists() or not (asked := read_grid(grid, "quick")).get("rows"):
            continue
        lines = grid_lines(read_rows(file))
        first = next(iter(asked["rows"]))
        best = max(lines, key=lambda name: lines[name].mean)
        rows.append(
            {
                "question": re.match(r".*?[?:](?=\s|$)", " ".join(asked["question"].split()))[0].rstrip(":"),
                "count": len(lines),
                "first": _told(first, lines[first]),
                "best": _told(best, lines[best]) if best != first else "the same",
                "command": f"python experiments/suite.py data --quick --only {file.stem}",
            }
        )
    columns = {"question": "{question}", "networks": "{count}", "the first of them": "{first}", "the best": "{best}"}
    return markdown(rows, columns | {"command": "`{command}`"})


def grid(name: str) -> str:
    """Size, cost and top-1 of each row of a grid, seed by seed."""
    found = grid_lines(read_rows(HERE / f"{name}.jsonl"))
    rows = [
        line.row | {"run": run, "mega": 1e3 * line.row["gmac"], "tops": _each(line), "mean": line.mean}
        for run, line in found.items()
    ]
    columns = {"run": "`{run}`", "parameters (M)": "{parameters_m:.2f}", "MMAC": "{mega:.1f}", "epochs": "{epochs}"}
    return markdown(rows, columns | {"top-1 (%)": "{mean:.1f}", "seeds": "{tops}"})


def augmentations(name: str) -> str:
    """What each augmentation adds on coefficients, and its twin on pixels."""
    read = read_rows(HERE / f"{name}.jsonl")
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


def _bench(name: str) -> list[dict]:
    return json.loads((QUICK / f"{name}.json").read_text())["rows"]


def _against(
    name: str, what: str, ours: str, entry: str, named: dict[str, str], rows: list[dict] | None = None
) -> list[dict]:
    """A line for each peer that was there."""
    rows = _bench(name) if rows is None else rows
    command = json.loads((QUICK / f"{name}.json").read_text())["command"]
    known = {row[entry]: row for row in rows if "missing" not in row}
    lines = []
    for peer, words in named.items():
        if peer in known:
            low, high = known[peer]["spread"]
            rate, theirs = (known[one]["images_per_second"] for one in (ours, peer))
            about = {"what": what, "peer": words, "ours": rate, "theirs": theirs, "low": low, "high": high}
            lines.append(about | {"ratio": known[peer]["ratio"], "command": command.split(" --out ")[0]})
    return lines
