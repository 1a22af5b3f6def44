"""Write the tables of README.md and docs/ from the result files.

Usage: python experiments/tables.py [--check]

A table stands between ``<!-- NAME -->`` and ``<!-- end -->``. ``--check`` writes nothing and fails where a table is not what
the result files say; the tests run it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from attack_tables import (
    alike,
    attacked,
    curvature,
    defended,
    nearest,
    transferred,
    undefended,
    windows,
)
from bandlimited_figures import beside_published, crossed, sets
from measured_tables import measured
from plane_tables import frontier, planes
from quick_tables import answers, augmentations, grid, peers
from store_tables import store_sizes

from dctnet.findings.band_limits import clean, same
from dctnet.findings.low_frequencies import summary
from dctnet.report.tables import markdown

ROOT = Path(__file__).resolve().parents[1]


def reading(name: str) -> str:
    """Images per second of each reader beside ours."""
    rows = [
        row for row in json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())["rows"] if "missing" not in row
    ]
    for row in rows:
        row["faster"] = "" if row["reader"] == "dctnet" else f"{row['ratio']:.2f}x" if "ratio" in row else "-"
        if "speedup" in row:
            row["reader"] += f", {row['speedup']:.2f}x one"
    columns = {"reader": "{reader}", "images/s": "{images_per_second:,.0f}", "ours is faster by": "{faster}"}
    return markdown(rows, columns | {"largest error": "{error}"})


def loaders(name: str) -> str:
    """Images per second of each loader, on one core and on all, and how much faster ours from JPEG files is."""
    rows: dict[str, dict] = {}
    for row in json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())["rows"]:
        if "missing" in row:
            continue
        cells = rows.setdefault(row["loader"], {"loader": row["loader"]} | dict.fromkeys(LOADER_CELLS, ""))
        which = "one" if row["cores"] == 1 else "all"
        cells[f"rate_{which}"] = f"{row['images_per_second']:,.0f}"
        cells[f"faster_{which}"] = "" if row["loader"] == "dctnet" else f"{row['ratio']:.2f}x"
        cells[f"memory_{which}"] = "" if row["memory"] is None else f"{row['memory']:,.0f}"
    heads = ("one core", "faster by", "peak MB", "two cores", "faster by ", "peak MB ")
    columns = {head: f"{{{cell}}}" for head, cell in zip(heads, LOADER_CELLS, strict=True)}
    return markdown(list(rows.values()), {"loader": "{loader}"} | columns)


LOADER_CELLS = ("rate_one", "faster_one", "memory_one", "rate_all", "faster_all", "memory_all")


def routes(name: str) -> str:
    """Coefficients through DALI, as a share of the bare reader's rate on as many threads."""
    rows = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())["rows"]
    columns = {"route": "{route}", "DALI carries": "{through_dali}", "threads": "{threads}"}
    return markdown(rows, columns | {"images/s": "{images_per_second:,.0f}", "of the bare reader": "{share:.2f}"})


def augmentation(name: str) -> str:
    """Transforms beside torchvision's: time, ratio, errors."""
    rows = []
    for row in json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())["rows"]:
        if "ratio" in row:
            errors = {key: f"{row[key]:.0e}" if key in row else "" for key in ("float64", "float32")}
            rows.append(row | errors | {"rgb": f"{row['rgb']:.1f}" if "rgb" in row else ""})
    columns = {"transform": "{transform}", "us a picture": "{us:,.0f}", "faster by": "{ratio:.2f}x"}
    columns |= {"error, float64": "{float64}", "float32": "{float32}", "mean error in RGB": "{rgb}"}
    return markdown(rows, columns)


def runs(name: str) -> str:
    """Accuracy and cost of trained networks."""
    rows = json.loads((ROOT / "experiments" / f"{name}.json").read_text())["rows"]
    columns = {
        "run": "`{run}`",
        "reads": "{reads}",
        "parameters (M)": "{parameters_m:.2f}",
        "GMAC": "{gmac:.2f}",
        "top-1 (%)": "{top1:.1f}",
        "images/s in training": "{images_per_second:.0f}",
        "minutes": "{minutes:.1f}",
    }
    for row in rows:
        row["reads"] = "RGB pixels" if row["network"].startswith("rgb") else "coefficients"
    return markdown(rows, columns)


def accuracies(name: str) -> str:
    """Accuracy alone."""
    rows = json.loads((ROOT / "experiments" / f"{name}.json").read_text())["rows"]
    columns = {"run": "{run}", "epochs": "{epochs}", "top-1 (%)": "{top1:.1f}", "top-5 (%)": "{top5:.1f}"}
    return markdown(rows, columns)


def scales(name: str) -> str:
    """Top-1 of networks by the size to which validation files are resized, and the deviation of the finest band there."""
    result = json.loads((ROOT / "experiments" / f"{name}.json").read_text())
    lines = [("finest band over that of training", result["finest_band"], 2)]
    lines += [(f"`{row['run']}`, top-1 (%)", row["top1"], 1) for row in result["rows"]]
    rows = [{"what": what} | {f"s{k}": f"{v:.{digits}f}" for k, v in values.items()} for what, values, digits in lines]
    columns = {f"{size} px": f"{{s{size}}}" for size in result["finest_band"]}
    return markdown(rows, {"resized to": "{what}"} | columns)


def networks(name: str) -> str:
    """Cost and speed of networks beside the pixel network."""
    rows = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())["rows"]
    for row in rows:
        row |= {"millions": row["parameters"] / 1e6, "giga": row["multiply_adds"] / 1e9}
        row |= {"forward_ratio": row["forward"]["ratio"], "train_ratio": row["train"]["ratio"]}
        row["peak_mb"] = f"{row['peak'] / 1e6:,.0f}" if row.get("peak") else ""
    columns = {"network": "{label}", "parameters (M)": "{millions:.2f}", "GMAC": "{giga:.3f}"}
    columns |= {
        "forward faster by": "{forward_ratio:.2f}x",
        "training faster by": "{train_ratio:.2f}x",
        "peak MB": "{peak_mb}",
    }
    return markdown(rows, columns)


def inside(name: str) -> str:
    """Accuracy and cost of a small network with layers that compress."""
    rows = json.loads((ROOT / "experiments" / f"{name}.json").read_text())["rows"]
    for row in rows:
        row |= {"each": " / ".join(f"{top1:.1f}" for top1 in row["top1"]), "mmac": row["multiply_adds"] / 1e6}
    columns = {
        "network": "{variant}",
        "parameters": "{parameters:,}",
        "MMAC": "{mmac:.1f}",
        "training time": "{time:.2f}",
    }
    return markdown(rows, columns | {"top-1 (%), seeds": "{each}"})


def saved(name: str) -> str:
    """Memory and gradient error of steps that save spectra."""
    rows = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())["rows"]
    for row in rows:
        row |= {"mb": row["bytes"] / 1e6, "peak_mb": row["peak"] / 1e6, "bands": row["keep"] or ""}
    columns = {"kept as": "{format}", "bands kept": "{bands}", "saved MB": "{mb:.1f}", "peak MB": "{peak_mb:.0f}"}
    return markdown(rows, columns | {"error of the gradient": "{error:.3f}", "cosine": "{cosine:.3f}"})


def agreement(name: str) -> str:
    """A trained network on coefficients beside itself on decoded pixels."""
    rows = [
        row for row in json.loads((ROOT / "experiments" / f"{name}.json").read_text())["rows"] if "agreement" in row
    ]
    columns = {"pictures": "{pictures}", "same best class": "{agreement:.1%}", "accuracy": "{accuracy:.1%}"}
    columns |= {
        "on pixels": "{accuracy_pixels:.1%}",
        "logits differ by": "{mean_difference:.3f}",
        "at most": "{largest_difference:.2f}",
    }
    return markdown(rows, columns)


def convolutions(name: str) -> str:
    """The time of each way to convolve over that of torch's direct convolution, forward and backward, by size and filter."""
    rows = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())["rows"]
    lines: dict[tuple, dict] = {}
    for row in rows:
        line = lines.setdefault((row["size"], row["kernel"]), {"map": row["size"], "filter": row["kernel"]})
        line[row["way"]] = "" if "missing" in row else f"{row['train']['ratio']:#.2g}".rstrip(".")
        if row["way"] == "direct":
            line["direct"] = f"{1e3 * row['train']['seconds']:.1f} ms"
    heads = {way: f"c{i}" for i, way in enumerate(dict.fromkeys(row["way"] for row in rows))}
    cells = [line | {cell: line[way] for way, cell in heads.items()} for line in lines.values()]
    return markdown(cells, {"map": "{map}", "filter": "{filter}"} | {way: f"{{{cell}}}" for way, cell in heads.items()})


def compressed(name: str) -> str:
    """Time, memory and error of convolutions by FFT over those at compression 0, by size and filter."""
    rows = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())["rows"]
    whole = {(row["size"], row["kernel"]): row for row in rows if row["way"] == "fft, compression 0"}
    lines: dict[tuple, dict] = {at: {"map": at[0], "filter": at[1]} for at in whole}
    for share in ("0.5", "0.75"):
        for row in (row for row in rows if row["way"] == f"fft, compression {share}"):
            at = row["size"], row["kernel"]
            part = {f"{kind}{share}": row[kind]["ratio"] / whole[at][kind]["ratio"] for kind in ("forward", "train")}
            part[f"saved{share}"] = row["saved"] / whole[at]["saved"]
            lines[at] |= {key.replace(".", ""): f"{value:.2f}" for key, value in part.items()}
    columns = {"map": "{map}", "filter": "{filter}"}
    for share in ("0.5", "0.75"):
        heads = {"forward": f"forward, {share}", "train": f"and backward, {share}", "saved": f"saved memory, {share}"}
        columns |= {head: f"{{{key}{share.replace('.', '')}}}" for key, head in heads.items()}
    return markdown(list(lines.values()), columns)


def tile_errors(name: str) -> str:
    """The largest error over the largest output of what is exact but for rounding, by filter, on the largest maps measured."""
    rows = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())["rows"]
    names = {"direct": "direct", "fft, compression 0": "FFT"}
    names |= {f"winograd, tiles of {m}": f"F({m}, r)" for m in (2, 4, 6)}
    lines: dict[int, dict] = {}
    for row in rows:
        if row["size"] == rows[-1]["size"] and row["way"] in names and "missing" not in row:
            line = lines.setdefault(row["kernel"], {"filter": row["kernel"]})
            line[names[row["way"]]] = f"{row['error']:.0e}"
    heads = {head: f"c{i}" for i, head in enumerate(names.values())}
    cells = [line | {cell: line.get(head, "") for head, cell in heads.items()} for line in lines.values()]
    return markdown(cells, {"filter r": "{filter}"} | {head: f"{{{cell}}}" for head, cell in heads.items()})


def rates(name: str, table: str) -> str:
    """Band-limited networks: one of several tables of a result file."""
    rows = json.loads((ROOT / "experiments" / f"{name}.json").read_text())["rows"]
    if table == "same":
        return sets(rows) if "set" in rows[0] else beside_published(rows)
    if table == "crossed":
        return crossed(clean(rows), "trained", "tested", "trained at", "tested at")
    return crossed(same(rows), "trained", "noise", "trained and tested at", "sigma")


def budgets(short: str, longer: str) -> str:
    """Top-1 of networks at the rate of their training on all validation files, after as many epochs as two grids give them."""
    lines: dict[str, dict] = {}
    for name in (short, longer):
        for run in map(json.loads, (ROOT / "experiments" / f"{name}.jsonl").read_text().splitlines()):
            line = lines.setdefault(run["name"], {"dropped": f"{run['options']['compression']:.0%}"})
            line.setdefault(run["epochs"], []).append(run["top1"])
    epochs = sorted({key for line in lines.values() for key in line if isinstance(key, int)})
    cells = [
        line | {f"e{n}": " / ".join(f"{top1:.1f}" for top1 in line.get(n, [])) for n in epochs}
        for line in lines.values()
    ]
    return markdown(cells, {"dropped": "{dropped}"} | {f"{n} epochs: top-1 (%), seeds": f"{{e{n}}}" for n in epochs})


def low_frequencies(name: str) -> str:
    """Top-1 on parts of the spectrum at the end, and when nine tenths of it above chance were reached; seeds, for each form."""
    found = json.loads((ROOT / "experiments" / f"{name}.json").read_text())
    runs = summary(found)
    forms = list(dict.fromkeys(run["form"] for run in runs))
    parts = {f"rings up to {r} alone": (f"low{r}_top1", f"low{r}") for r in found["radii"]} | {"all": ("top1", "all")}
    parts |= {f"rings above {r} alone": (f"high{r}_top1", f"high{r}") for r in found["radii"]}
    rows = []
    for part, keys in parts.items():
        row = {"part": part}
        for number, form in enumerate(forms):
            seeds = [[run[key] for run in runs if run["form"] == form] for key in keys]
            row[f"top1_{number}"] = " / ".join(f"{top1:.1f}" for top1 in seeds[0])
            row[f"step_{number}"] = " / ".join("-" if step is None else f"{step:.0f}" for step in seeds[1])
        rows.append(row)
    columns = {"": "{part}"}
    for number, form in enumerate(forms):
        columns |= {f"{form}: top-1 (%)": f"{{top1_{number}}}", f"{form}: at step": f"{{step_{number}}}"}
    return markdown(rows, columns)


def mean_rings(name: str) -> str:
    """Where in the spectrum the filters changed, and the error lies."""
    runs = summary(json.loads((ROOT / "experiments" / f"{name}.json").read_text()))
    columns = {"what the filters see": "seen", "their change, first": "change_first", "last": "change_last"}
    columns |= {"error, first": "error_first", "error, last": "error_last"}
    rows = [
        {"form": form}
        | {key: " / ".join(f"{run[key]:.1f}" for run in runs if run["form"] == form) for key in columns.values()}
        for form in dict.fromkeys(run["form"] for run in runs)
    ]
    return markdown(rows, {"pictures": "{form}"} | {head: f"{{{key}}}" for head, key in columns.items()})


QUICK = ("blocks", "paths", "pooling", "bands", "equal_macs", "equal_time")

TABLES = {
    "read on ImageNet files": lambda: reading("read_imagenet"),
    "read on photographs": lambda: reading("read_clothing"),
    "read on CIFAR-10": lambda: reading("read_cifar10"),
    "read on progressive files": lambda: reading("read_progressive"),
    "loaders": lambda: loaders("loaders_imagenet"),
    "store accuracy": lambda: accuracies("clothing_store"),
    "dali": lambda: routes("dali_imagenet"),
    "transforms": lambda: augmentation("transforms_imagenet"),
    "clothing": lambda: runs("clothing"),
    "cifar planes": lambda: planes("cifar10_planes"),
    "clothing planes": lambda: planes("clothing_planes"),
    "cifar frontier": lambda: frontier("cifar10_planes"),
    "clothing frontier": lambda: frontier("clothing_planes"),
    "validation scale": lambda: scales("validation_scale"),
    "models 224": lambda: networks("models_224"),
    "models 32": lambda: networks("models_32"),
    "pretrained": lambda: agreement("pretrained_imagenet"),
    "inside": lambda: inside("inside"),
    "band limits": lambda: rates("cifar10_bandlimited_rates", "same"),
    "band limits by epochs": lambda: budgets("cifar10_bandlimited", "cifar10_bandlimited_longer"),
    "band limits crossed": lambda: rates("cifar10_bandlimited_rates", "crossed"),
    "band limits under noise": lambda: rates("cifar10_bandlimited_rates", "noise"),
    "band limits of series": lambda: rates("ucr_rates", "same"),
    "band limits of series crossed": lambda: rates("ucr_rates", "crossed"),
    "low frequencies": lambda: low_frequencies("low_frequencies_first"),
    "mean rings": lambda: mean_rings("low_frequencies_first"),
    "activations": lambda: saved("activations"),
    "convolutions": lambda: convolutions("convolutions"),
    "convolutions compressed": lambda: compressed("convolutions"),
    "winograd errors": lambda: tile_errors("convolutions"),
    "attack imagenet": lambda: attacked("attack_imagenet"),
    "attack windows": lambda: windows("attack_window"),
    "attack agreement": lambda: alike("attack_imagenet", "cw"),
    "attack nearest": lambda: nearest(
        ("attack_imagenet_nearest", "attack_imagenet"), ("fgsm_nearest", "pgd_nearest", "cw")
    ),
    "attack cifar10": lambda: undefended("cifar10_attacks", "cifar10_native_attacks"),
    "attack channels fgsm": lambda: defended("cifar10_channels", "fgsm"),
    "attack channels pgd": lambda: defended("cifar10_channels", "pgd"),
    "attack channels pgd_l2": lambda: defended("cifar10_channels", "pgd_l2"),
    "attack channels cw": lambda: defended("cifar10_channels", "cw"),
    "attack transfer": lambda: transferred("cifar10_channels", "pgd"),
    "attack transfer l2": lambda: transferred("cifar10_channels", "pgd_l2"),
    "curvature": lambda: curvature("curvature"),
    "measured": measured,
    "store sizes": store_sizes,
    "peers": peers,
    "quick answers": answers,
    "quick augmentations": lambda: augmentations("cifar10_augmentations"),
}
TABLES |= {f"quick {name}": lambda name=name: grid(f"cifar10_{name}") for name in QUICK}


PAGES = (
    "index",
    "reading",
    "which_network",
    "imagenet",
    "measured",
    "networks",
    "pretrained",
    "convolutions",
    "band_limits",
    "robustness",
)


def filled(text: str) -> str:
    """The text with every table made anew."""

    def table(match: re.Match) -> str:
        return f"<!-- {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- ([^>]+?) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def main() -> int:
    stale = []
    for page in (
        ROOT / "README.md",
        ROOT / "experiments" / "README.md",
        *(ROOT / "docs" / f"{name}.md" for name in PAGES),
    ):
        before = page.read_text()
        after = filled(before)
        if before != after:
            stale.append(page.name)
            if "--check" not in sys.argv[1:]:
                page.write_text(after)
    if stale and "--check" in sys.argv[1:]:
        print(f"{', '.join(stale)} does not show what the result files say; run: python experiments/tables.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
