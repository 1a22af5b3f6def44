"""Where a result comes from: the question, the command, the machine, the state of the source, the versions, seeds and subsets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from dctnet.findings.result_files import Result, Row
from dctnet.packaged import packaged_folder, packaged_names
from dctnet.report.page import Origin

# What a kind of result asks, where no grid and no README beside it says so.
QUESTIONS = {
    "attacks": "What is left of accuracy under attack, with and without lossy channels?",
    "grid": "Which of these networks is most accurate, at what cost?",
    "runs": "How accurate are these networks, at what cost?",
    "rates": "What is lost where convolutions drop a part of the spectrum?",
    "low frequencies": "Which frequencies are learned first?",
    "curvature": "Do gradients and curvature tell adversarial pictures apart?",
    "inside": "What do layers that compress inside keep?",
    "training with spectra": "Do packed activations train as well?",
    "gates": "Which bands do gates keep?",
    "scales": "At which scale should a network be validated?",
    "readers": "How fast are coefficients read, beside other readers?",
    "loaders": "How fast are batches made, beside other loaders?",
    "routes": "What does it cost to bring coefficients into DALI?",
    "transforms": "How fast and how exact are transforms, beside torchvision's?",
    "models": "What do the networks cost, beside the one on pixels?",
    "convolutions": "How fast are ways to convolve, beside torch's?",
    "saved spectra": "What memory do spectra of activations save, and what gradient do they cost?",
    "agreement": "Does a network trained on pixels see the same through coefficients?",
    "imports": "How long does it take to import the package?",
    "steps": "What did the suite run, and how long did it take?",
}
MACHINE = ("cpu", "cores", "architecture", "gpu", "device", "threads")
VERSIONS = ("torch", "dali", "cuda", "python")


def origin(*results: Result) -> list[Origin]:
    """The files and commands of results, for the line below a figure."""
    return [Origin(result.path, command(result)) for result in results]


def command(result: Result) -> str | None:
    """The command that writes a result: that of the suite which did, or as recorded, or as the README beside it tells, or None.

    Recorded commands of two or three words name no data; the README's is taken, if it has one.
    """
    if result.step is not None:
        return f"python experiments/suite.py DATA --{result.step['form']} --only {result.step['question']}"
    if result.kind == "steps":
        return f"python experiments/suite.py DATA --{result.rows[0].get('form', 'quick')}"
    recorded = result.head.get("command")
    if isinstance(recorded, str) and len(recorded.split()) > 3:
        return recorded
    told = [line for line in _told(result.folder) if re.search(rf"\b{re.escape(Path(result.path).name)}", line)]
    name = re.escape(Path(result.path).name)
    written = [line for line in told if re.search(rf"--out \S*\b{name}|\b{name}( --(runs|threads) \S+)*$", line)]
    if told:
        return "\n".join(dict.fromkeys(written or told))
    if result.grid is not None:
        data = _config(result.grid.get("config")).get("data", {}).get("root", "DATA")
        grid = Path(result.path).with_suffix(".yaml").as_posix()
        return f"python experiments/run.py {grid} {data} {result.path}"
    return recorded


def question(result: Result) -> str:
    """What a result answers: the question of its grid, the heading of the README beside it that names it, or that of its kind."""
    if result.step is not None and "asks" in result.step:
        return f"{result.step['asks']} ({result.step['form'].capitalize()} form.)"
    if result.grid is not None:
        return " ".join(str(result.grid["question"]).split())
    named = re.compile(rf"\b{re.escape(result.name)}\.(jsonl?|yaml)\b")
    for heading, text in _readme(result.folder):
        if heading.endswith("?") and named.search(text):
            return heading
    return QUESTIONS.get(result.kind or "", "Rows of a kind that this report does not know.")


def machine(result: Result) -> str:
    """The machines, in words."""
    parts = []
    for about in _about(result):
        words = [_machine_word(key, about[key]) for key in MACHINE if about.get(key) not in (None, "")]
        parts.append(", ".join(word for word in words if word))
    return "; ".join(dict.fromkeys(part for part in parts if part)) or "not told"


def commits(result: Result) -> list[str]:
    return _values(result, ("commit",)) or ["not told"]


def versions(result: Result) -> list[str]:
    return [f"{key} {value}" for key in VERSIONS for value in _values(result, (key,))] or ["not told"]


def seeds(result: Result) -> str:
    """The seeds, of rows or of their keys.

    Where a file tells their number alone: that.
    """
    found = {row["seed"] for row in result.rows if "seed" in row}
    found |= {row["key"]["seed"] for row in result.rows if isinstance(row.get("key"), dict) and "seed" in row["key"]}
    if found:
        return ", ".join(map(str, sorted(found)))
    told = result.head.get("seeds")
    return f"{told} of them" if told else "none"


def subset(result: Result) -> str:
    """What part of the data was used, as far as the file says."""
    rows, words = result.rows, []
    for key, noun in (
        ("train_per_class", "training files a class"),
        ("epochs", "epochs"),
        ("limit", "pictures"),
        ("files", "files"),
    ):
        values = {row[key] for row in rows if row.get(key) is not None}
        values |= {result.head[key]} if result.head.get(key) is not None else set()
        if values and all(isinstance(value, int) for value in values):
            words.append(f"{' or '.join(f'{value:,}' for value in sorted(values))} {noun}")
    if (every := result.head.get("every")) is not None:
        words.append(f"one validation file of {every}")
    counts = {row["key"]["count"] for row in rows if isinstance(row.get("key"), dict) and "count" in row["key"]}
    words += [f"{' or '.join(map(str, sorted(counts)))} pictures"] if counts else []
    checked = validation_files(result)
    if checked and any("top1" in row for row in rows):
        words.append(f"{checked:,} validation files")
    return "; ".join(words) or "all"


def validation_files(result: Result) -> int | None:
    """How many files an accuracy of this result was counted on; None where that is not known.

    Told by the rows, or by the card of the data set that the run's configuration names, or whose name the result's begins with.
    """
    told = {row.get("validation") for row in result.rows}
    if len(told) == 1 and isinstance(one := told.pop(), int):
        return one
    root = Path(str(_config((result.grid or {}).get("config")).get("data", {}).get("root", ""))).name
    known = packaged_names("cards")
    near = [name for name in known if root == name or (not root and result.name.split("_")[0] == name)]
    if not near:
        return None
    count = validation_files_of(near[0])
    return None if count is None else len(range(0, count, result.head.get("every") or 1))


def validation_files_of(data: str) -> int | None:
    """How many files a data set validates on, by its card."""
    return (_yaml(packaged_folder("cards") / f"{data}.yaml").get("counts") or {}).get("val")


def _about(result: Result) -> Iterator[Row]:
    """The entries that tell of machines and versions, wherever they stand."""
    inner = result.head.get("machine")
    whole = result.head | (inner if isinstance(inner, dict) else {"architecture": inner})
    yield whole
    if not any(key in whole for key in ("torch", "cpu", "commit")):
        yield from result.rows


def _values(result: Result, keys: Iterable[str]) -> list[str]:
    return list(
        dict.fromkeys(str(about[key]) for about in _about(result) for key in keys if about.get(key) is not None)
    )


def _machine_word(key: str, value: Any) -> str:
    if key == "gpu":
        return "no GPU" if value == "none" else str(value)
    if key in ("cores", "threads"):
        return f"{value} {key if value != 1 else key[:-1]}"
    if key == "device":
        return "" if value == "cpu" else str(value)
    return str(value)


@lru_cache(maxsize=64)
def _readme(folder: Path) -> list[tuple[str, str]]:
    """Headings of the second level of the README of a folder, each with the text below it."""
    path = folder / "README.md"
    if not path.is_file():
        return []
    parts = re.split(r"^## (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return list(zip(["", *parts[1::2]], parts[::2], strict=True))


@lru_cache(maxsize=64)
def _told(folder: Path) -> list[str]:
    """The commands of the README of a folder: lines of its shell blocks, and code of its tables."""
    text = "\n".join(text for _, text in _readme(folder))
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL))
    lines = [" ".join(line.split()) for line in blocks.replace("\\\n", " ").splitlines()]
    return [line for line in (*lines, *re.findall(r"`([^`\n]+)`", text)) if re.match(r"(dctnet|python) ", line)]


@lru_cache(maxsize=64)
def _config(name: str | None) -> Row:
    """The run that comes with the package under this name; empty for none."""
    return _yaml(packaged_folder("configs") / f"{name}.yaml") if name in packaged_names("configs") else {}


@lru_cache(maxsize=64)
def _yaml(path: Path) -> Row:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
