"""Accuracy against strength and against compression: which rows become which points, and the picture of them."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from dctnet.report.figures import SharePanel, SharePoint, share_panels
from dctnet.robustness.robustness_curves import by_compression, by_strength, curves_table
from tests.test_recovery import row

CHANNELS = [("none", 0.0), ("fft", 0.5), ("fft", 0.1), ("depth", 3.0), ("depth", 5.0), ("svd", 0.5)]
LINF = {"attack": "pgd", "epsilon": 0.03, "options": {"steps": 5, "step": None, "random_start": True, "restarts": 1}}


def measured(kind, share, channel, attack=None, **key):
    """A row of this accuracy; its interval is 0.05 to either side."""
    made = row(kind, np.ones(4), channel, attack, **key)
    return made | {"accuracy": share, "low": share - 0.05, "high": share + 0.05, "linf": 0.02, "confidence": 0.5}


def evaluation(attacks=(LINF,), channels=CHANNELS, passed=True, network=None, start=0.9):
    """Rows of one command: clean shares fall from ``start`` by 0.02 a channel, adaptive ones are a tenth of them."""
    about = {} if network is None else {"network": network}
    rows = []
    for number, channel in enumerate(channels):
        clean = start - 0.02 * number
        rows.append(measured("clean", clean, channel, **about))
        for attack in attacks:
            rows.append(measured("oblivious", clean / 2, channel, attack, **about))
            rows.append(measured("adaptive", clean / 10, channel, attack, **about))
        checks = measured("checks", 0, channel, norm="linf", epsilon=0.03, **about)
        rows.append(checks | {"passed": passed, "failed": [] if passed else ["gradients"], "checked": 4})
    return rows


def test_a_panel_is_a_channel_of_several_strengths_from_weak_to_strong():
    panels = by_strength(evaluation())
    assert [(panel.title, panel.ticks) for panel in panels] == [
        ("fft", ["none", "0.1", "0.5"]), ("depth", ["none", "5", "3"])
    ]  # fmt: skip
    for panel, shares in zip(panels, ([0.9, 0.86, 0.88], [0.9, 0.82, 0.84]), strict=True):
        assert list(panel.lines) == ["clean", "pgd 0.03, steps 5"]
        for scale, points in zip((1, 0.1), panel.lines.values(), strict=True):
            assert [point.place for point in points] == [0, 1, 2]
            assert [point.share for point in points] == pytest.approx([scale * share for share in shares])
            assert all(point.low == point.share - 0.05 and point.high == point.share + 0.05 for point in points)
            assert not any(point.doubtful for point in points)


def test_attacks_have_lines_of_their_own_and_clean_points_are_there_once():
    attacks = [LINF, LINF | {"epsilon": 0.06}, {"attack": "cw", "epsilon": None, "options": {}}]
    (fft, _) = by_strength(evaluation(attacks))
    assert list(fft.lines) == ["clean", "pgd 0.03, steps 5", "pgd 0.06, steps 5", "cw nearest"]
    assert {name: len(points) for name, points in fft.lines.items()} == dict.fromkeys(fft.lines, 3)


def test_options_and_ways_of_differentiation_are_other_panels():
    rows = evaluation()
    for one in rows:
        if one["key"]["channel"] == "fft":
            one["key"]["channel_options"] = {"mask": "radial"}
        if one["key"]["channel"] == "depth" and one["key"]["kind"] in ("adaptive", "checks"):
            one["key"]["backward"] = "smooth"
    assert [panel.title for panel in by_strength(rows)] == ["fft, mask radial", "depth, smooth backward"]


@pytest.mark.parametrize("change", ["failed", "unchecked"])
def test_what_did_not_pass_its_checks_is_doubtful(change):
    rows = evaluation(passed=change != "failed")
    rows = [one for one in rows if change != "unchecked" or one["key"]["kind"] != "checks"]
    for panel in by_strength(rows):
        clean, attacked = panel.lines.values()
        assert all(point.doubtful for point in attacked) and not any(point.doubtful for point in clean)
        assert "*" in list(curves_table(panel).columns[1].cells)[1]


def test_without_adaptive_rows_or_with_one_strength_there_is_no_panel():
    rows = evaluation()
    assert by_strength([one for one in rows if one["key"]["kind"] != "adaptive"]) == []
    assert by_strength(evaluation(channels=CHANNELS[:2])) == []


def networks(rates=(0.5, 0.0), seeds=2, **about):
    rows = []
    for rate, seed in itertools.product(rates, range(seeds)):
        of = evaluation(channels=CHANNELS[:2], network={"checkpoint": f"{rate} {seed}"}, start=0.9 - rate - 0.1 * seed)
        options = {"compression": rate, "width": 0.25}
        rows += [one | {"network": "bandlimited_resnet18", "network_options": options} | about for one in of]
    return rows


def test_networks_are_ordered_by_their_compression_and_each_seed_is_a_point():
    other = [one | {"network_options": {"compression": 0.25, "width": 0.5}} for one in evaluation()]
    plain = [
        one | {"network": "rgb_resnet18", "network_options": {}} for one in evaluation(network={"checkpoint": "rgb"})
    ]
    (panel,) = by_compression([*networks(), *[one | {"network": "bandlimited_resnet18"} for one in other], *plain])
    assert panel.ticks == ["0", "50"] and panel.title == "bandlimited_resnet18\nwidth 0.25"
    for scale, name in ((1, "clean"), (0.1, "pgd 0.03, steps 5")):  # the rows behind a channel do not count
        found = [(point.place, round(point.share / scale, 6)) for point in panel.lines[name]]
        assert found == [(0, 0.9), (0, 0.8), (1, 0.4), (1, 0.3)]
    table = curves_table(panel)
    assert list(table.columns[1].cells) == ["90.0 / 80.0", "9.0 / 8.0"] and "width 0.25" in table.title


@pytest.mark.parametrize("change", [{"pictures": "q"}, {"seed": 1}, {"count": 50}])
def test_networks_on_other_pictures_are_not_compared(change):
    rows = networks((0.0,))
    rows += [one | {"key": one["key"] | change} for one in networks((0.5,))]
    assert by_compression(rows) == [] and by_compression(networks((0.0,))) == []


def test_the_picture_has_each_line_in_its_colour_and_hollow_points():
    points = [SharePoint(0, 0.8, 0.7, 0.9), SharePoint(1, 0.2, 0.1, 0.3, True), SharePoint(1, 0.3, 0.2, 0.4)]
    sizes = {}
    for count in (1, 3):
        panel = SharePanel("$ title", "strength", ["none", "1"], {"clean": points[:1], "a": points, "b": points[:2]})
        png = io.BytesIO()
        share_panels([panel] * count, "a title $", "right", png, columns=2)
        shown = np.asarray(Image.open(png).convert("RGB")).astype(int)
        blue, orange = ((abs(shown - color).sum(2) < 20).sum() for color in ((31, 119, 180), (255, 127, 14)))
        sizes[count] = shown.shape[0], blue
        assert blue > 200 and orange > 100
    assert sizes[3][0] > 1.7 * sizes[1][0] and sizes[3][1] > 2 * sizes[1][1]  # two rows, three panels
