"""Checks of the research plan: what planes, exchange, multigrids, block sizes and compression inside make faster or better."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import mean

from dctnet.findings.provenance import validation_files
from dctnet.findings.result_files import Result
from dctnet.findings.verdict import Found

DIGITS = 359  # validation files
SAME_TIME = 1.1  # times within which two costs are taken to be the same


def tops(result: Result) -> dict[str, list[float]]:
    """Top-1 of each row of a grid, one for each seed, in the order of the seeds."""
    found: dict[str, list[float]] = {}
    for row in sorted(result.rows, key=lambda row: row["seed"]):
        found.setdefault(row["name"], []).append(row["top1"])
    return found


def times(result: Result, timed: Result) -> dict[str, float]:
    """The time of a training step of each row over that of the one on pixels."""
    return {row["label"]: 1 / row["train"]["ratio"] for row in timed.rows}


def standard_error(count: int | None, share: float) -> float:
    """Of a share in percent that was counted on so many files, in points."""
    return 100 * sqrt(share / 100 * (1 - share / 100) / count) if count else 1.0


def planes_pay(result: Result, timed: Result) -> Found:
    """The most accurate network on planes beside the one on pixels: not less accurate by two errors, and faster; or better."""
    top, time = tops(result), times(result, timed)
    pixels = mean(top["rgb"])
    others = [
        name for name in top if name in time and not _on_pixels(result, name) and len(top[name]) >= len(top["rgb"])
    ]
    best = max(others, key=lambda name: mean(top[name]))
    error = standard_error(validation_files(result), pixels)
    gained = mean(top[best]) - pixels
    ours = (
        f"{best}: {mean(top[best]):.1f} % in {time[best] / time['rgb']:.2f} of the training time, pixels {pixels:.1f} % "
        f"(best of {len(others)}; one standard error {error:.1f}; seeds {_each(top[best])} and {_each(top['rgb'])})"
    )
    return Found((gained > -2 * error and time[best] < time["rgb"]) or gained > 2 * error, ours)


def exchange_pays(result: Result) -> Found:
    """What messages between luma and chroma add to two paths that merge late: each seed of some kind above each without."""
    top = tops(result)
    kinds = [name for name in ("luma_to_chroma", "both_stage", "both_layer", "gated", "chroma_to_luma") if name in top]
    told = ", ".join(f"{name} {mean(top[name]):.1f}" for name in ("late", *kinds))
    return Found(any(min(top[name]) > max(top["late"]) for name in kinds), f"{told} (none is late)")


def small_blocks_pay(result: Result) -> Found:
    """The same network on blocks of 2, 4 and 8: each seed of one of the small ones above each of 8."""
    top = tops(result)
    blocks = {2: top["late"], 4: top["late_block4"], 8: top["late_block8"]}
    told = ", ".join(f"{mean(found):.1f} % in blocks of {block}" for block, found in blocks.items())
    return Found(max(min(blocks[2]), min(blocks[4])) > max(blocks[8]), told)


def multigrids_pay(result: Result, timed: Result) -> Found:
    """A multigrid network on pixels beside the ResNet on pixels."""
    top, time = tops(result), times(result, timed)
    gained, cost = mean(top["r_mg_12"]) - mean(top["rgb"]), time["r_mg_12"] / time["rgb"]
    error = standard_error(validation_files(result), mean(top["rgb"]))
    ours = f"r_mg_12 {_each(top['r_mg_12'])} %, pixels {_each(top['rgb'])} %, in {cost:.2f} of the training time"
    return Found(gained > 2 * error or (gained > -2 * error and cost < 1 / SAME_TIME), ours)


def compression_inside_pays(result: Result) -> Found:
    """Networks with layers that compress beside the plain one: more accurate by two errors in the time, or faster at no loss."""
    rows = {row["variant"]: row for row in result.rows}
    plain = rows["plain"]
    error = sqrt(2) * standard_error(DIGITS, mean(plain["top1"])) / sqrt(len(plain["top1"]))
    won, told = [], []
    for name, row in rows.items():
        if name != "plain":
            gained, cost = mean(row["top1"]) - mean(plain["top1"]), row["time"] / plain["time"]
            won.append((gained > 2 * error and cost < SAME_TIME) or (gained > -2 * error and cost < 1 / SAME_TIME))
            told.append(f"{name} {gained:+.1f} points in {cost:.2f} of the time")
    return Found(any(won), f"{'; '.join(told)} (two standard errors of a difference: {2 * error:.1f})")


def spectra_save_memory(result: Result) -> Found:
    """Steps that keep their activations as int8: accuracy beside that of exact ones, and the memory."""
    found = {(row["format"], row["keep"]): [] for row in result.rows}
    for row in result.rows:
        found[row["format"], row["keep"]].append(row)
    exact, packed = found["exact", None], found["int8", 1.0]
    before, after = (mean(row["top1"] for row in rows) for rows in (exact, packed))
    error = sqrt(2) * standard_error(DIGITS, before) / sqrt(len(exact))
    ours = f"{after:.1f} % with {packed[0]['share']:.0%} of the memory for activations, exact {before:.1f} %"
    return Found(after > before - 2 * error and packed[0]["share"] < 0.5, ours)


def augmentation_is_fast(result: Result) -> Found:
    """A whole training chain with RandAugment beside torchvision's on decoded pixels."""
    rows = {row["transform"]: row for row in result.rows if "ratio" in row}
    name = "RandomResizedCrop(224), flip, RandAugment, normalise"
    slower = [row for row in rows.values() if row["ratio"] < 1]
    ours = f"{name}: {rows[name]['ratio']:.2f}x torchvision's; {len(slower)} of {len(rows)} transforms alone are slower"
    return Found(rows[name]["ratio"] > 1, ours)


def _on_pixels(result: Result, name: str) -> bool:
    return all(row["block_size"] == 1 for row in result.rows if row["name"] == name)


def _each(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in values)
