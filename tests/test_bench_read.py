"""The benchmark of readers: that its rows are about the same files, and its pairing about the same minutes."""

from __future__ import annotations

import json

import pytest

from dctnet.benchmarks.pairing import paired
from dctnet.cli import main
from tests.test_decoder import jpeg, picture


def test_rows(tmp_path, capfd):
    for i, options in enumerate(({"subsampling": 0}, {"subsampling": 2}, {"progressive": True})):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg(picture(40 + i, 50, seed=i), **options))
    (tmp_path / "gray.JPEG").write_bytes(jpeg(picture(16, 16, "L")))
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    out = tmp_path / "rows.json"
    assert main(["bench", "read", str(tmp_path), "--repeats", "3", "--out", str(out)]) == 0
    assert "4 files" in capfd.readouterr().out
    rows = json.loads(out.read_text())["rows"]
    by_name = {row["reader"]: row for row in rows}
    assert by_name["dctnet"]["error"] == by_name["jpeglib"]["error"] == 0
    assert str(by_name["jpeg2dct"]["error"]).startswith("0")
    if "missing" not in by_name["libjpeg-turbo"]:
        assert by_name["libjpeg-turbo"]["error"] == 0
    assert all("missing" in row or row["images_per_second"] > 0 for row in rows)


def test_a_folder_without_files(tmp_path, capsys):
    assert main(["bench", "read", str(tmp_path)]) == 2
    assert "no readable JPEG files" in capsys.readouterr().err


def test_pairs_are_ratios_within_a_round():
    # A clock on which each call costs what its name says, all of them twice as much in every second round.
    now, calls = 0.0, 0

    def cost(seconds):
        def run():
            nonlocal now, calls
            now += seconds * (1 + calls // 4 % 2)
            calls += 1

        return run

    pairs = paired({"slow": (cost(3.0), cost(1.0)), "fast": (cost(0.5), cost(1.0))}, rounds=5, clock=lambda: now)
    assert pairs["slow"].ratio == 3
    assert pairs["slow"].spread == (3, 3)
    assert pairs["fast"].ratio == 0.5
    with pytest.raises(ValueError, match="3 rounds"):
        paired({}, rounds=2)


def test_a_common_reference_is_called_once_a_round_where_that_is_asked():
    calls = {False: 0, True: 0}
    for once in calls:

        def reference(once=once):
            calls[once] += 1

        pairs = paired({str(n): ((lambda: None), reference) for n in range(4)}, rounds=3, once=once)
        assert len(pairs) == 4 and all(pair.ratio > 0 for pair in pairs.values())
    assert calls == {False: 1 + 3 * 4, True: 1 + 3}  # and one that is not timed


def test_rounds_go_on_for_the_seconds_asked_for():
    for seconds, rounds in ((0.0, 3), (10.0, 5), (1e9, 30)):
        ticks, calls = iter(range(10**6)), [0]

        def run(calls=calls):
            calls[0] += 1

        paired({"one": (run, lambda: None)}, rounds=3, clock=lambda t=ticks: 0.5 * next(t), seconds=seconds)
        assert calls[0] == 1 + rounds  # five readings of the clock a round, half a second each
