"""Checks of what is claimed of the spectra of pictures, and of what is learned of them first."""

from __future__ import annotations

import math

import numpy as np

from dctnet.coefficients import zigzag_order
from dctnet.findings.low_frequencies import summary
from dctnet.findings.result_files import Result
from dctnet.findings.verdict import Found, all_of, loses_nothing, span
from dctnet.packaged import packaged_names
from dctnet.statistics import read_statistics

MOST = 0.9  # of the variance, to be called concentrated
VISIBLE = 30.0  # dB of PSNR below which a loss is taken to be plain to see
FEW = 3  # pictures that may change where none did, after the rule of three
LOW = 4  # rings that are called low


def concentrated() -> Found:
    """The share of the variance of luma in the lower half of the 64 bands, by JPEG's zigzag order, in each packaged card."""
    parts = {}
    for name in packaged_names("statistics"):
        card = read_statistics(name)
        if card.block_size[0] == 8:
            variance = np.square(card.std[0])
            low = variance[list(zigzag_order(8)[:32])].sum()
            parts[name] = [float((low - dc) / (variance.sum() - dc)) for dc in (0.0, variance[0])]
    told = "; ".join(f"{name} {100 * whole:.1f} % ({100 * ac:.1f} % without DC)" for name, (whole, ac) in parts.items())
    holds = bool(parts) and min(min(pair) for pair in parts.values()) > MOST
    return Found(holds, f"of the variance of luma in 32 of 64 bands: {told}")


def half_is_little_loss(window: Result) -> Found:
    """Pictures behind ``fft`` at strength 0.5: how far they moved, and of the same pictures how many the network loses."""
    clean = {
        (row["key"]["channel"], row["key"]["strength"]): row for row in window.rows if row["key"]["kind"] == "clean"
    }
    whole, half = clean["none", 0.0], clean["fft", 0.5]
    per_sample = half["channel_l2"] / math.sqrt(3 * half["image_size"] ** 2)
    decibel = -20 * math.log10(per_sample)
    ours = (
        f"{decibel:.1f} dB PSNR ({255 * per_sample:.1f} gray levels); accuracy {100 * half['accuracy']:.1f} % in place of "
        f"{100 * whole['accuracy']:.1f} %"
    )
    lost = sum(a == "1" and b == "0" for a, b in zip(whole["each"], half["each"], strict=True))
    won = sum(a == "0" and b == "1" for a, b in zip(whole["each"], half["each"], strict=True))
    gap, error = (100 * value / len(half["each"]) for value in (won - lost, math.sqrt(max(lost + won, FEW))))
    ours += f", {lost} lost and {won} won of {len(half['each'])}"
    return Found(all_of([decibel > VISIBLE, loses_nothing(gap, error)]), ours)


def low_come_first(result: Result) -> Found:
    """On pictures as they are: the step at which accuracy on the low rings alone is nearly at its end, before that of all.

    Steps between those that were measured are interpolated, so a lead counts where it is as long as the way from one measured
    step to the next; no: where the low rings come later.
    """
    runs = summary(result.head | {"rows": list(result.rows)})
    plain = [(run, row) for run, row in zip(runs, result.rows, strict=True) if run["form"] == "as they are"]
    leads = []
    for run, row in plain:
        low, whole = run[f"low{LOW}"], run["all"]
        if low is None or whole is None:
            leads.append(None)
            continue
        steps = [point["step"] for point in row["points"]]
        after = next((step for step in steps if step >= whole), steps[-1])
        before = max(step for step in steps if step < after)
        leads.append(True if whole - low >= after - before else False if low > whole else None)
    low, whole = [run[f"low{LOW}"] for run, _ in plain], [run["all"] for run, _ in plain]
    ours = f"rings up to {LOW} at step {span(low)}, all at {span(whole)}" if None not in low + whole else "not reached"
    return Found(all_of(leads), ours)


def low_come_first_because_low(result: Result) -> Found:
    """The same on pictures whose power is the same at all frequencies, or at the highest."""
    runs = summary(result.head | {"rows": list(result.rows)})
    other = [run for run in runs if run["form"] != "as they are"]
    early = [run for run in other if run[f"low{LOW}"] is not None and run[f"low{LOW}"] < run["all"]]
    share = {
        form: " / ".join(f"{run[f'low{LOW}_top1']:.0f}" for run in other if run["form"] == form)
        for form in dict.fromkeys(run["form"] for run in other)
    }
    told = "; ".join(f"{form}: {value} %" for form, value in share.items())
    holds = len(early) == len(other) and all(run[f"low{LOW}_top1"] > run["top1"] / 2 for run in other)
    return Found(
        holds, f"final accuracy on the rings up to {LOW} alone, of {span([r['top1'] for r in other])} %: {told}"
    )
