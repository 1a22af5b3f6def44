"""Rows in a file: found again by their keys, whatever a kill left of the last one."""

import json
import os
import subprocess
import sys

import pytest

from dctnet.data.folder import DataError
from dctnet.robustness.row_file import RowFile

ROWS = [{"key": {"attack": "pgd", "epsilon": 8 / 255, "options": {"steps": n}}, "accuracy": n / 10} for n in range(3)]


@pytest.fixture
def path(tmp_path):
    rows = RowFile(tmp_path / "new" / "rows.jsonl")
    for row in ROWS:
        rows.append(row)
    return rows.path


def test_rows_come_back_by_their_keys_in_any_order_of_names(path):
    assert [json.loads(line) for line in path.read_text().splitlines()] == ROWS
    rows = RowFile(path)
    assert rows.rows == ROWS
    assert rows.find({"options": {"steps": 1}, "epsilon": 8 / 255, "attack": "pgd"})["accuracy"] == 0.1
    for other in ({"steps": 4}, {"steps": 1, "step": None}):
        assert rows.find(ROWS[1]["key"] | {"options": other}) is None
    assert rows.find(ROWS[1]["key"] | {"epsilon": 0.0314}) is None


def test_every_place_at_which_a_kill_may_cut_the_last_line(path):
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for length in range(last, len(whole) + 1):
        path.write_bytes(whole[:length])
        rows = RowFile(path)
        kept = 3 if length >= len(whole) - 1 else 2  # a line that lacks its end alone is whole
        assert rows.rows == ROWS[:kept]
        if kept == 2:
            rows.append(ROWS[2])
        assert path.read_bytes() == whole, length


def test_a_row_is_there_once(path):
    rows = RowFile(path)
    with pytest.raises(ValueError, match="already"):
        rows.append(ROWS[0] | {"accuracy": 0.9})
    assert RowFile(path).rows == ROWS


@pytest.mark.parametrize("content", [
    b"\xff\xd8\xff\xe0 not text", b"a table\n", b'{"key": 3}\n', b'{"other": {}}\n', b"{}", b"[1, 2]",
    b'{"key": {}, "a": 1}\n{"ke\n{"key": {"b": 1}}\n',
])  # fmt: skip
def test_files_of_another_kind_are_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"line \d of .*other is no row"):
        RowFile(path)
    assert path.read_bytes() == content


def test_what_json_does_not_hold_is_refused_before_it_is_written(path):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        RowFile(path).append({"key": {"n": 9}, "l2": float("nan")})
    assert path.read_bytes() == before


def test_an_empty_file_has_no_rows(tmp_path):
    (tmp_path / "empty").touch()
    assert RowFile(tmp_path / "empty").rows == RowFile(tmp_path / "absent").rows == []
    assert not (tmp_path / "absent").exists()


def test_what_another_process_measured_is_taken_up_and_not_written_twice(path):
    one, other = RowFile(path), RowFile(path)
    for number in (3, 4):
        one.append({"key": {"n": number}, "accuracy": 0.25})
    other.append({"key": {"n": 3}, "accuracy": 0.75})  # the same, measured twice
    other.append({"key": {"n": 5}, "accuracy": 0.5})
    assert other.find({"n": 4})["accuracy"] == other.find({"n": 3})["accuracy"] == 0.25
    one.append({"key": {"n": 6}})
    assert [row["key"].get("n") for row in RowFile(path).rows] == [None] * 3 + [3, 4, 5, 6]
    assert one.rows == RowFile(path).rows


def test_processes_at_once_leave_whole_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    code = "import sys; from dctnet.robustness.row_file import RowFile; rows = RowFile(sys.argv[1])\n"
    code += "for n in range(60): rows.find({'n': n}) or rows.append({'key': {'n': n}, 'text': 'x' * 5000})"
    running = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert sorted(json.loads(line)["key"]["n"] for line in path.read_text().splitlines()) == list(range(60))


@pytest.mark.parametrize("loss", ["unlink", "truncate", "replace"])
def test_what_is_taken_away_meanwhile_is_written_again(path, loss):
    rows = RowFile(path)
    rows.append({"key": {"n": 3}})
    if loss == "truncate":
        path.write_bytes(path.read_bytes()[:70])
    else:
        path.unlink()
    if loss == "replace":
        path.write_text("".join(json.dumps({"key": {"n": n}}) + "\n" for n in range(100, 180)))
    rows.append({"key": {"n": 4}})
    left = [row["key"] for row in RowFile(path).rows]
    assert all(row["key"] in left for row in ROWS) and {"n": 3} in left and {"n": 4} in left
    assert len(left) == 5 + 80 * (loss == "replace") and RowFile(path).rows == rows.rows


def test_the_file_is_made_before_anything_is_measured_and_is_a_file(tmp_path):
    rows = RowFile(tmp_path / "new" / "rows.jsonl")
    rows.begin()
    assert rows.path.read_bytes() == b""
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path, tmp_path / "pipe", "/dev/null"):
        with pytest.raises(DataError, match="is no file; give another --out"):
            RowFile(other)
