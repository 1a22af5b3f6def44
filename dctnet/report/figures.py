"""Figures from plain arrays: nothing here knows torch or a file format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure


def picture_anatomy(
    image: np.ndarray, planes: dict[str, np.ndarray], facts: dict[str, str], title: str, png: BinaryIO
) -> None:
    """One PNG, written to the open file ``png``, that shows a picture as a network on coefficients sees it.

    ``image`` is (H, W, 3) uint8; ``planes`` maps a plane's name to its coefficients ``(b*b, H/b, W/b)``; ``facts`` are
    printed as they come. Top row: the picture and each plane's magnitudes, block by block in place (logarithmic). Bottom
    row: the facts, and the mean energy of each band, vertical frequency downwards.
    """
    figure = Figure(figsize=(4.2 * (1 + len(planes)), 8.2), layout="constrained")
    axes = figure.subplots(2, 1 + len(planes))
    axes[0, 0].imshow(image)
    axes[0, 0].set_title(f"picture, {image.shape[1]}x{image.shape[0]}")
    axes[1, 0].text(
        0, 1, "\n".join(f"{name}: {value}" for name, value in facts.items()), va="top", family="monospace", fontsize=9,
        transform=axes[1, 0].transAxes, wrap=True, parse_math=False,
    )  # fmt: skip
    for column, (name, plane) in enumerate(planes.items(), start=1):
        bands, rows, columns = plane.shape
        b = round(bands**0.5)
        in_place = np.abs(plane.reshape(b, b, rows, columns).transpose(2, 0, 3, 1).reshape(rows * b, columns * b))
        shown = axes[0, column].imshow(
            in_place + 1.0, norm=LogNorm(1, max(10.0, float(np.percentile(in_place, 99)))), cmap="magma"
        )
        axes[0, column].set_title(f"{name}: |coefficient| + 1\n{columns}x{rows} blocks of {b}x{b}")
        figure.colorbar(shown, ax=axes[0, column], shrink=0.75)
        energy = band_energy(plane)
        shown = axes[1, column].imshow(energy + 1e-2, norm=LogNorm(1e-2, max(1.0, float(energy.max()))), cmap="viridis")
        axes[1, column].set_title(
            f"{name}: mean energy of each band\nDC holds {energy[0, 0] / max(energy.sum(), 1e-12):.1%}"
        )
        axes[1, column].set_xlabel("horizontal frequency u")
        axes[1, column].set_ylabel("vertical frequency v")
        figure.colorbar(shown, ax=axes[1, column], shrink=0.75)
    for axis in (*axes[0], axes[1, 0]):
        axis.set_axis_off()
    figure.suptitle(title, parse_math=False)  # a file's name may hold dollars
    figure.savefig(png, dpi=110, format="png")


def band_energy(plane: np.ndarray) -> np.ndarray:
    """The mean square of each band of ``plane`` (b*b, H/b, W/b), as (b, b): row v, column u.

    >>> plane = np.zeros((4, 3, 5))
    >>> plane[1] = 2  # channel b*v + u with b = 2: v = 0, u = 1, a wave from left to right
    >>> band_energy(plane).tolist()
    [[0.0, 4.0], [0.0, 0.0]]
    """
    b = round(plane.shape[0] ** 0.5)
    return np.square(plane.astype(np.float64)).mean((1, 2)).reshape(b, b)


def times_by_kernel(
    panels: Mapping[str, Mapping[str, tuple[Sequence[int], Sequence[float]]]], title: str, png: BinaryIO
) -> None:
    """One PNG, written to the open file ``png``: milliseconds against taps a side, both axes logarithmic.

    ``panels`` maps the name of a panel to lines, each a name with its taps and its milliseconds. A line has one colour in all.
    """
    figure = Figure(figsize=(4.6 * max(1, len(panels)), 4.6), layout="constrained")
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    for axis, (panel, lines) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        for name, (taps, milliseconds) in lines.items():
            axis.loglog(taps, milliseconds, marker="o", markersize=3, color=f"C{names.index(name)}", label=name)
        ticks = sorted({t for taps, _ in lines.values() for t in taps})
        axis.set_xticks(ticks, [str(t) for t in ticks])
        axis.set_xticks([], minor=True)
        axis.set_title(panel)
        axis.set_xlabel("taps a side")
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("milliseconds")
    handles = {
        label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside right center", fontsize=8)
    figure.suptitle(title, parse_math=False)
    figure.savefig(png, dpi=110, format="png")


class Line(NamedTuple):
    """Points joined by a line; ``name`` None: not in the legend. ``style`` and ``marker`` are matplotlib's."""

    x: Sequence[float]
    y: Sequence[float]
    name: str | None
    color: str | tuple[float, ...]
    style: str = "-"
    marker: str = ""


class Panel(NamedTuple):
    """One pair of axes; ``scale`` of x and y: "linear", "log", "symlog"."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    scale: tuple[str, str] = ("linear", "linear")
    ticks: Sequence[float] | None = None


def line_panels(
    rows: Sequence[Sequence[Panel]], title: str, png: BinaryIO, *, same_y: bool = True, dpi: int = 110
) -> None:
    """One PNG, written to the open file ``png``: rows of panels, each row with one legend at its end.

    ``same_y``: the panels of a row have one y axis, named at the first of them.
    """
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(3.9 * columns + 1.6, 3.1 * len(rows) + 0.4), layout="constrained")
    grid = figure.subplots(len(rows), columns, sharey="row" if same_y else False, squeeze=False)
    for axes, row in zip(grid, rows, strict=True):
        for axis, panel in zip(axes, row, strict=False):
            for line in panel.lines:
                axis.plot(
                    line.x, line.y, line.style, marker=line.marker, markersize=4, color=line.color, label=line.name
                )
            axis.set_title(panel.title, fontsize=10)
            axis.set_xscale(panel.scale[0])
            axis.set_yscale(panel.scale[1])
            axis.set_xlabel(panel.x_label)
            axis.set_ylabel(panel.y_label if axis is axes[0] or not same_y else "")
            axis.grid(alpha=0.3)
            if panel.ticks is not None:
                axis.set_xticks(panel.ticks, [f"{tick:g}" for tick in panel.ticks])
                axis.set_xticks([], minor=True)
        for axis in axes[len(row) :]:
            axis.set_axis_off()
        named = {}
        for axis in axes:
            named |= {
                name: h for h, name in zip(*axis.get_legend_handles_labels(), strict=True) if not name.startswith("_")
            }
        axes[len(row) - 1].legend(
            named.values(), named.keys(), loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False
        )
    figure.align_ylabels(grid[:, 0])
    figure.suptitle(title, parse_math=False)
    figure.savefig(png, dpi=dpi, format="png", pil_kwargs={"optimize": True})


def attacked_picture(columns: Sequence[tuple[np.ndarray, str]], title: str, png: BinaryIO) -> None:
    """One PNG, written to the open file ``png``: pictures side by side, below them what differs from the first, magnified.

    ``columns`` are pictures (H, W, 3) in [0, 1] with their captions, the first one the original. A difference d is shown as
    1/2 + m d, its m such that the greatest |d| of a column fills the range, and named.
    """
    figure = Figure(figsize=(2.6 * len(columns), 6.4), layout="constrained")
    axes = figure.subplots(2, len(columns), squeeze=False)
    original = np.asarray(columns[0][0], dtype=np.float64)
    for (picture, caption), above, below in zip(columns, *axes, strict=True):
        difference = np.asarray(picture, dtype=np.float64) - original
        greatest = float(np.abs(difference).max())
        small = picture.shape[0] <= 64  # thumbnails keep their pixels
        above.imshow(np.clip(picture, 0, 1), interpolation="nearest" if small else None)
        above.set_title(caption, fontsize=8, parse_math=False)
        if greatest > 0:
            below.imshow(0.5 + 0.5 / greatest * difference, interpolation="nearest")
            below.set_title(f"difference x {0.5 / greatest:.3g}", fontsize=8)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.suptitle(title, parse_math=False)
    figure.savefig(png, dpi=110, format="png")


def recovery_windows(
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, float, float, float]]]], title: str, png: BinaryIO
) -> None:
    """One PNG, written to the open file ``png``: the share that a channel recovers against its strength, a panel a channel.

    ``panels`` maps the name of a panel to lines, each a name with (strength, share, low, high). A line has one colour in all.
    """
    figure = Figure(figsize=(3.4 * max(1, len(panels)) + 1.5, 4.0), layout="constrained")
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    for axis, (panel, lines) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        for name, points in lines.items():
            strength, share, low, high = (np.array(values) for values in zip(*points, strict=True))
            color = f"C{names.index(name)}"
            axis.plot(strength, share, marker="o", markersize=3, color=color, label=name)
            axis.fill_between(strength, low, high, color=color, alpha=0.12, linewidth=0)
        axis.set_title(panel)
        axis.set_xlabel("strength")
        axis.set_ylim(-0.02, 1.02)
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("recovered")
    handles = {
        label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside right center", fontsize=8)
    figure.suptitle(title, parse_math=False, fontsize=9)
    figure.savefig(png, dpi=110, format="png")


class SharePoint(NamedTuple):
    """A share with its interval at a ``place``, counted from the left; ``doubtful``: it is shown, but not to be relied on."""

    place: int
    share: float
    low: float
    high: float
    doubtful: bool = False


class SharePanel(NamedTuple):
    """Shares against ``ticks`` from left to right; ``lines`` may have several points at a place, and pass through their mean."""

    title: str
    x_label: str
    ticks: Sequence[str]
    lines: Mapping[str, Sequence[SharePoint]]


def share_panels(panels: Sequence[SharePanel], title: str, y_label: str, png: BinaryIO, columns: int = 4) -> None:
    """One PNG, written to the open file ``png``: panels of shares from 0 to 1, each point with its interval, one legend.

    A line has one colour in all panels; "clean" is gray and dashed. Doubtful points are hollow. Points of one place stand
    side by side, so that their intervals can be told apart.
    """
    across = min(columns, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(3.4 * across + 2.2, 3.3 * down + 0.5), layout="constrained")
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    attacks = [name for name in names if name != "clean"]
    axes = figure.subplots(down, across, sharey=True, squeeze=False).flat
    for axis, panel in zip(axes, panels, strict=False):
        most = max(sum(p.place == q.place for p in points) for points in panel.lines.values() for q in points)
        slots = len(panel.lines) * most
        for number, (name, points) in enumerate(panel.lines.items()):
            color, style = ("0.45", "--") if name == "clean" else (f"C{attacks.index(name)}", "-")
            places = sorted({point.place for point in points})
            means = [np.mean([point.share for point in points if point.place == place]) for place in places]
            aside = 0.36 * ((number + 0.5) / len(panel.lines) - 0.5)
            axis.plot(
                [place + aside for place in places], means, style, color=color, linewidth=1.3, label=name, zorder=1
            )
            for place in places:
                for turn, point in enumerate(point for point in points if point.place == place):
                    x = place + 0.36 * ((number * most + turn + 0.5) / slots - 0.5)
                    axis.plot([x, x], [point.low, point.high], color=color, linewidth=1.2, alpha=0.55, zorder=2)
                    inside = "white" if point.doubtful else color
                    axis.plot([x], [point.share], "o", markersize=4, color=color, markerfacecolor=inside, zorder=3)
        axis.set_title(panel.title, fontsize=9, parse_math=False)
        axis.set_xlabel(panel.x_label)
        axis.set_xticks(range(len(panel.ticks)), panel.ticks)
        axis.set_xlim(-0.4, len(panel.ticks) - 0.6)
        axis.set_ylim(-0.02, 1.02)
        axis.grid(alpha=0.3)
    for axis in list(figure.axes)[len(panels) :]:
        axis.set_axis_off()
    for row in range(down):
        figure.axes[row * across].set_ylabel(y_label)
    handles = {
        label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    if any(point.doubtful for panel in panels for points in panel.lines.values() for point in points):
        (hollow,) = figure.axes[0].plot([], [], "o", markersize=4, color="0.3", markerfacecolor="white")
        handles["checks did not pass"] = hollow
    figure.legend(handles.values(), handles.keys(), loc="outside right center", fontsize=8, frameon=False)
    figure.suptitle(title, parse_math=False, fontsize=9)
    figure.savefig(png, dpi=110, format="png")
