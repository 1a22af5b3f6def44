"""Checks of the research plan: what planes, exchange, multigrids, block sizes and compression inside make faster or better."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from dctnet.findings.provenance import validation_files, validation_files_of
from dctnet.findings.result_files import Result, Row
from dctnet.findings.verdict import Found, all_of, any_of, error_of, gains, loses_nothing, span, spread

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


def planes_pay(result: Result, timed: Result) -> Found:
    """The most accurate network on planes beside the one on pixels: it gains, or it is faster and loses nothing."""
    top, time = tops(result), times(result, timed)
    others = [
        name for name in top if name in time and not _on_pixels(result, name) and len(top[name]) >= len(top["rgb"])
    ]
    best = max(others, key=lambda name: mean(top[name]))
    error = error_of(validation_files(result), top[best], top["rgb"], between=spread(top.values()))
    gap = mean(top[best]) - mean(top["rgb"])
    ours = (
        f"{best}: {mean(top[best]):.1f} % in {time[best] / time['rgb']:.2f} of the training time, pixels {mean(top['rgb']):.1f} "
        f"% (best of {len(others)}; error of the difference {error:.1f}; seeds {_each(top[best])} and {_each(top['rgb'])})"
    )
    faster = time[best] < time["rgb"]
    return Found(
        any_of([gains(gap, error, len(others)), all_of([faster, loses_nothing(gap, error, len(others))])]), ours
    )


def exchange_pays(result: Result) -> Found:
    """What messages between luma and chroma add to two paths that merge late: the best kind gains."""
    top = tops(result)
    kinds = [name for name in ("luma_to_chroma", "both_stage", "both_layer", "gated", "chroma_to_luma") if name in top]
    best = max(kinds, key=lambda name: mean(top[name]))
    error = error_of(validation_files(result), top[best], top["late"], between=spread(top.values()))
    told = ", ".join(f"{name} {mean(top[name]):.1f}" for name in ("late", *kinds))
    ours = f"{told} (none is late; best of {len(kinds)}, error of a difference {error:.1f})"
    return Found(gains(mean(top[best]) - mean(top["late"]), error, len(kinds)), ours)


def small_blocks_pay(result: Result) -> Found:
    """The same network on blocks of 2, 4 and 8: the better of the small ones gains over 8."""
    top = tops(result)
    blocks = {2: top["late"], 4: top["late_block4"], 8: top["late_block8"]}
    best = max((2, 4), key=lambda block: mean(blocks[block]))
    error = error_of(validation_files(result), blocks[best], blocks[8], between=spread(top.values()))
    told = ", ".join(f"{mean(found):.1f} % in blocks of {block}" for block, found in blocks.items())
    return Found(gains(mean(blocks[best]) - mean(blocks[8]), error, 2), f"{told} (error of a difference {error:.1f})")


def multigrids_pay(result: Result, timed: Result) -> Found:
    """A multigrid network on pixels beside the ResNet on pixels: it gains, or it is faster by a tenth and loses nothing."""
    top, time = tops(result), times(result, timed)
    gap, cost = mean(top["r_mg_12"]) - mean(top["rgb"]), time["r_mg_12"] / time["rgb"]
    error = error_of(validation_files(result), top["r_mg_12"], top["rgb"], between=spread(top.values()))
    ours = (
        f"r_mg_12 {_each(top['r_mg_12'])} %, pixels {_each(top['rgb'])} %, in {cost:.2f} of the training time (error of the "
        f"difference {error:.1f})"
    )
    return Found(any_of([gains(gap, error), all_of([cost < 1 / SAME_TIME, loses_nothing(gap, error)])]), ours)


def compression_inside_pays(result: Result) -> Found:
    """Networks with layers that compress beside the plain one: one gains in the same time, or is faster and loses nothing."""
    rows = {row["variant"]: row for row in result.rows}
    between = spread(row["top1"] for row in rows.values())
    plain = rows.pop("plain")
    count = len(rows)
    won, told, errors = [], [], []
    for name, row in rows.items():
        gap, cost = mean(row["top1"]) - mean(plain["top1"]), row["time"] / plain["time"]
        errors.append(error_of(validation_files_of("digits"), row["top1"], plain["top1"], between=between))
        better = all_of([cost < SAME_TIME, gains(gap, errors[-1], count)])
        won.append(any_of([better, all_of([cost < 1 / SAME_TIME, loses_nothing(gap, errors[-1], count)])]))
        told.append(f"{name} {gap:+.1f} points in {cost:.2f} of the time")
    return Found(any_of(won), f"{'; '.join(told)} (error of a difference {span(errors, '{:.1f}')})")


def spectra_save_memory(result: Result) -> Found:
    """Steps that keep their activations as int8: accuracy beside that of exact ones, and the memory."""
    found: dict[tuple[str, float | None], list[Row]] = {}
    for row in result.rows:
        found.setdefault((row["format"], row["keep"]), []).append(row)
    exact, packed = found["exact", None], found["int8", 1.0]
    before, after = ([row["top1"] for row in rows] for rows in (exact, packed))
    between = spread([row["top1"] for row in rows] for rows in found.values())
    error = error_of(validation_files_of("digits"), before, after, between=between)
    ours = (
        f"{mean(after):.1f} % with {packed[0]['share']:.0%} of the memory for activations, exact {mean(before):.1f} % (error of "
        f"the difference {error:.1f})"
    )
    return Found(all_of([packed[0]["share"] < 0.5, loses_nothing(mean(after) - mean(before), error)]), ours)


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
