"""Checks of what is claimed of ways to convolve: their cost, their exactness, the spectra they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dctnet.findings.result_files import Result
from dctnet.findings.verdict import Found, span
from dctnet.nn.cook_toom import cook_toom

WHOLE = "fft, compression 0"
LARGE = 11  # taps a side from which a filter is called large
ROUNDING = 1e-12


def cost_by_filter(result: Result) -> Found:
    """The exponent p of time ~ k^p of a forward pass, by least squares on the largest maps: of the direct form, and by FFT."""
    size = max(row["size"] for row in result.rows)
    exponent = {}
    for way in ("direct", WHOLE):
        rows = [row for row in result.rows if row["size"] == size and row["way"] == way]
        taps, seconds = ([row["kernel"] for row in rows], [row["forward"]["seconds"] for row in rows])
        exponent[way] = float(np.polyfit(np.log(taps), np.log(seconds), 1)[0])
    ours = f"time ~ k^{exponent['direct']:.1f} direct, k^{exponent[WHOLE]:.1f} by FFT, filters k x k on {size} x {size} maps"
    return Found(exponent["direct"] > 1.5 and exponent[WHOLE] < 0.75, ours)


def fft_wins_when_large(result: Result) -> Found:
    """The taps from which FFT is faster, forward and backward; whether it is so for each filter from there on, and not below."""
    crossings = [c for c in result.head.get("crossings", []) if c["kind"] == "train" and c.get("measured")]
    large = [_ratio(row) for row in result.rows if row["way"] == WHOLE and row["kernel"] >= LARGE]
    told = ", ".join(f"{c['measured']:.1f} on {c['size']} x {c['size']} maps" for c in crossings)
    ours = f"faster from so many taps a side: {told}; at {LARGE} and more {span(large, '{:.2g}')} of the direct time"
    return Found(bool(crossings) and max(large) < 1, ours)


def winograd_wins_at_three(result: Result) -> Found:
    """The best time of a tiling over that of the direct form, 3x3 filters."""
    best = {}
    for row in result.rows:
        if row["kernel"] == 3 and row["way"].startswith("winograd") and "missing" not in row:
            best[row["size"]] = min(_ratio(row), best.get(row["size"], np.inf))
    ours = f"{span(list(best.values()), '{:.1f}')} of the time of the direct form with 3 x 3 filters, on one core"
    return Found(max(best.values()) < 1, ours)


def winograd_multiplies_less() -> Found:
    """F(2x2, 3x3) by the matrices of Cook and Toom: its multiplications, and whether it is a convolution."""
    output, taps, samples = (np.asarray(matrix, dtype=np.float64) for matrix in cook_toom(2, 3)[:3])
    generator = np.random.default_rng(0)
    tile, kernel = generator.normal(size=(4, 4)), generator.normal(size=(3, 3))
    fast = output @ ((taps @ kernel @ taps.T) * (samples @ tile @ samples.T)) @ output.T
    plain = np.array([[(tile[v : v + 3, u : u + 3] * kernel).sum() for u in range(2)] for v in range(2)])
    error = float(np.abs(fast - plain).max())
    direct, tiled = plain.size * kernel.size, taps.shape[0] ** 2
    ours = f"{tiled} where the direct form has {direct}, {direct / tiled:.2f}x; it differs by {error:.0e}"
    return Found(direct / tiled == 2.25 and error < ROUNDING, ours)


def half_is_stored() -> Found:
    """Of a real map's spectrum: whether half of it gives the map back, and whether a mask has to keep the pairs of conjugates."""
    size = 32
    real = np.random.default_rng(0).normal(size=(size, size))
    half, whole = np.fft.rfft2(real), np.fft.fft2(real)
    error = float(np.abs(np.fft.irfft2(half, real.shape) - real).max())
    frequency = np.abs(np.fft.fftfreq(size, 1 / size))
    kept = whole * ((frequency[:, None] <= 8) & (frequency[None] <= 8))
    broken = kept.copy()
    broken[0, 3] = 0  # its conjugate at (0, -3) stays
    imaginary, left = (float(np.abs(np.fft.ifft2(s).imag).max()) for s in (kept, broken))
    special = [whole[v, u].imag for v in (0, size // 2) for u in (0, size // 2)]
    ours = (
        f"{half.size / whole.size:.0%} of a {size} x {size} spectrum gives the map to {error:.0e}; with one of a pair of "
        f"conjugates dropped the result has an imaginary part of {left:.2g}, else {imaginary:.0e}"
    )
    exact = max(error, imaginary, *map(abs, special)) < ROUNDING
    return Found(exact and left > 1e-3 and half.size < 0.54 * whole.size, ours)


def correlation_by_fft() -> Found:
    """The example: input [2, 1, 2, 3], filter [1, 2], by the product of their spectra."""
    signal, taps = np.array([2.0, 1, 2, 3]), np.array([1.0, 2])
    length = len(signal) + len(taps) - 1
    product = np.fft.rfft(signal, length) * np.conj(np.fft.rfft(taps, length))
    found = np.fft.irfft(product, length)[: len(signal) - len(taps) + 1]
    return Found(bool(np.allclose(found, [4, 5, 8], atol=1e-12)), f"[{', '.join(f'{x:.0f}' for x in found)}]")


def compression_controls(result: Result, what: str) -> Found:
    """Time or saved memory at compression 0.5 and 0.75 over that at 0, filters of 11 taps and more."""
    parts = []
    for share in ("0.5", "0.75"):
        over = _over_whole(result, f"fft, compression {share}", what)
        parts.append((share, over))
    told = "; ".join(f"{span(over, '{:.2f}')} at {share}" for share, over in parts)
    unit = "of the time of a forward and backward pass" if what == "time" else "of the memory that is saved for it"
    holds = max(parts[0][1]) < 1 and max(parts[1][1]) < min(parts[0][1])
    return Found(holds, f"{told}, {unit} at 0; {result.head.get('device', 'cpu')}, filters of {LARGE} taps and more")


def compression_controls_time(result: Result) -> Found:
    return compression_controls(result, "time")


def compression_controls_memory(result: Result) -> Found:
    return compression_controls(result, "saved")


def _over_whole(result: Result, way: str, what: str) -> list[float]:
    whole = {(row["size"], row["kernel"]): row for row in result.rows if row["way"] == WHOLE}
    rows = [row for row in result.rows if row["way"] == way and row["kernel"] >= LARGE and "missing" not in row]
    value = _ratio if what == "time" else lambda row: row["saved"]
    return [value(row) / value(whole[row["size"], row["kernel"]]) for row in rows]


def _ratio(row: dict[str, Any]) -> float:
    """Time over that of the direct form."""
    return row["train"]["ratio"]


def coefficients_come_free(result: Result) -> Found:
    """Reading coefficients beside decoding to RGB, one core."""
    rows = {row["reader"]: row for row in result.rows if "missing" not in row}
    ours = rows["dctnet"]["images_per_second"]
    pixels = {name: row["images_per_second"] for name, row in rows.items() if "RGB" in name}
    best = max(pixels, key=lambda name: pixels[name])
    told = f"{ours:,.0f} pictures/s as coefficients, {pixels[best]:,.0f} as RGB ({best}): {ours / pixels[best]:.1f}x"
    return Found(ours > pixels[best], told)


def product_is_no_convolution() -> Found:
    """What a product of DCT coefficients misses of a convolution, at best.

    x is a stationary signal of covariance 0.95^|i - j|, y = H x its convolution with three taps on 8 samples, X and Y their DCTs.
    Of all Y' = D X with D diagonal the best has d_k = E[Y_k X_k] / E[X_k^2]; what it misses is the rest of the power of Y.
    """
    missed = {
        name: _missed(taps) for name, taps in {"a blur": (0.25, 0.5, 0.25), "an edge filter": (-0.5, 0.0, 0.5)}.items()
    }
    told = ", ".join(f"{share:.1%} for {name}" for name, share in missed.items())
    return Found(max(missed.values()) > 0.5, f"the best product misses this share of the output's power: {told}")


def _missed(taps: Sequence[float]) -> float:
    n = 8
    k, i = np.arange(n)[:, None], np.arange(n)[None]
    transform = np.sqrt(2 / n) * np.cos(np.pi * k * (2 * i + 1) / (2 * n))
    transform[0] /= np.sqrt(2)
    inner = np.eye(n, n + 2, 1)
    filtered = sum(tap * np.eye(n, n + 2, shift) for shift, tap in enumerate(taps))
    covariance = 0.95 ** np.abs(np.subtract.outer(np.arange(n + 2), np.arange(n + 2)))
    x, y = transform @ inner, transform @ filtered
    power, cross, own = (np.diag(a @ covariance @ b.T) for a, b in ((y, y), (y, x), (x, x)))
    return float(1 - (cross**2 / own).sum() / power.sum())
