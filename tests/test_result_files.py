"""Which files are results, of which kind, and what is said of broken ones."""

import json

import pytest

from dctnet.findings.provenance import command, question, seeds, subset, validation_files
from dctnet.findings.result_files import read_results

GRID = {"name": "a", "seed": 0, "top1": 50.0, "command": "dctnet fit --config digits", "network": "rgb_resnet18"}
ATTACK = {"key": {"kind": "clean"}, "accuracy": 0.5}


def write(path, rows, **head):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.suffix == ".jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) if lines else json.dumps(head | {"rows": rows}))
    return path


def test_kinds_follow_from_the_entries_and_other_files_stay_aside(tmp_path):
    write(tmp_path / "new.jsonl", [GRID])
    write(tmp_path / "deep" / "er" / "attacks.jsonl", [ATTACK])
    write(tmp_path / "read.json", [{"reader": "dctnet", "images_per_second": 5.0}])
    write(tmp_path / "strange.json", [{"colour": "red"}])
    (tmp_path / "settings.json").write_text('{"width": 3}')
    for folder in (".hidden", "build", "venv"):
        write(tmp_path / folder / "left.jsonl", [GRID])
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    found = read_results([tmp_path])
    root = tmp_path.name
    assert {(result.path, result.kind) for result in found.files} == {
        (f"{root}/new.jsonl", "grid"),
        (f"{root}/deep/er/attacks.jsonl", "attacks"),
        (f"{root}/read.json", "readers"),
        (f"{root}/strange.json", None),
    }
    assert found.aside == (f"{root}/settings.json",)
    assert str(tmp_path.parent) not in "".join(result.path for result in found.files)


def test_a_file_named_twice_is_read_once(tmp_path):
    path = write(tmp_path / "new.jsonl", [GRID])
    assert len(read_results([tmp_path, path, tmp_path]).files) == 1


def test_names_tell_files_apart_by_their_folder(tmp_path):
    write(tmp_path / "experiments" / "x.jsonl", [GRID])
    timed = {"label": "a", "parameters": 1, "train": {"ratio": 1.0}, "forward": {"ratio": 1.0}}
    write(tmp_path / "benchmarks" / "x.json", [timed])
    found = read_results([tmp_path])
    assert found.named("x").kind == "grid"
    assert found.named("benchmarks/x").kind == "models"
    assert found.named("y") is None


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.jsonl", json.dumps(GRID) + '\n{"name": "b", "se', ("a.jsonl, line 2", "no JSON")),
        ("a.jsonl", json.dumps(GRID) + "\n\n[1, 2]\n", ("a.jsonl, line 3", "JSON object")),
        ("a.jsonl", json.dumps(GRID) + '\n{"name": "b", "seed": 1}\n', ("a.jsonl, line 2", "'top1'", "'command'")),
        ("a.json", '{\n"rows": [\n{"reader": }]}', ("a.json, line 3", "no JSON")),
        (
            "a.json",
            '{"rows": [{"reader": "x", "images_per_second": 1}, {"reader": "y"}]}',
            ("a.json, row 2", "'images_per_second'"),
        ),
    ],
)
def test_a_broken_row_is_an_error_that_names_file_and_line(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError) as caught:
        read_results([tmp_path])
    assert all(word in str(caught.value) for word in words)


def test_bytes_that_are_no_text_are_an_error(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"rows": ["\xff"]}')
    with pytest.raises(ValueError, match=r"a\.json is not text in UTF-8"):
        read_results([tmp_path])


def test_rows_of_absent_peers_need_nothing(tmp_path):
    rows = [{"reader": "dctnet", "images_per_second": 5.0}, {"reader": "other", "missing": "not installed"}]
    write(tmp_path / "read.json", rows)
    assert read_results([tmp_path]).files[0].kind == "readers"


def test_sources_without_results_are_errors(tmp_path):
    with pytest.raises(ValueError, match="no result files"):
        read_results([tmp_path])
    with pytest.raises(FileNotFoundError):
        read_results([tmp_path / "nowhere"])


def test_question_and_command_are_those_of_the_readme_beside_a_result(tmp_path):
    write(tmp_path / "x.jsonl", [GRID | {"train_per_class": 1000, "epochs": 3}, GRID | {"seed": 1, "epochs": 4}])
    (tmp_path / "README.md").write_text(
        "# All\n\n## Is red best?\n\n`x.jsonl` says.\n\n```sh\npython measure.py data \\\n    --out x.jsonl\n"
        "python draw.py x.jsonl x.png\n```\n"
    )
    found = read_results([tmp_path]).files[0]
    assert question(found) == "Is red best?"
    assert command(found) == "python measure.py data --out x.jsonl"
    assert seeds(found) == "0, 1"
    assert subset(found) == "1,000 training files a class; 3 or 4 epochs"


def test_a_grid_has_its_question_its_command_and_the_count_of_its_data_set(tmp_path):
    write(tmp_path / "x.jsonl", [GRID])
    (tmp_path / "x.yaml").write_text(
        "question: >\n  Is\n  blue best?\nconfig: cifar10_resnet18\nseeds: [0]\nrows: {}\n"
    )
    found = read_results([tmp_path]).files[0]
    assert question(found) == "Is blue best?"
    assert command(found).split()[:2] == ["python", "experiments/run.py"] and "data/cifar10" in command(found)
    assert validation_files(found) == 10_000


def test_every_nth_validation_file_counts(tmp_path):
    row = {"trained": 0.0, "tested": 0.0, "top1": 50.0, "seed": 0}
    write(tmp_path / "cifar10_rates.json", [row], every=4)
    write(tmp_path / "unheard_of.json", [row])
    counted, unknown = read_results([tmp_path]).files
    assert validation_files(counted) == 2500 and validation_files(unknown) is None


def test_a_recorded_command_that_names_its_data_counts(tmp_path):
    rows = [{"reader": "dctnet", "images_per_second": 5.0}]
    write(tmp_path / "a.json", rows, command="dctnet bench read photos --limit 9", seed=3)
    write(tmp_path / "b.json", rows, command="dctnet bench read")
    (tmp_path / "README.md").write_text("| `b.json` | `dctnet bench read photos --out b.json` |\n")
    first, second = read_results([tmp_path]).files
    assert command(first) == "dctnet bench read photos --limit 9"
    assert command(second) == "dctnet bench read photos --out b.json"


@pytest.mark.parametrize("value", ["null", '"x"', "NaN", "true"])
def test_what_is_no_number_is_named(tmp_path, value):
    row = '{"name": "a", "seed": 0, "command": "dctnet fit", "network": "late_concat", "top1": %s}\n'
    (tmp_path / "rows.jsonl").write_text(row % "50.0" + row % value)
    with pytest.raises(ValueError, match=r"rows.jsonl, line 2: top1 is a finite number; got"):
        read_results([tmp_path])


def test_a_quick_result_stands_behind_a_longer_one_of_its_name(tmp_path):
    for folder in ("quick", "zero"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rates.json").write_text(
            '{"rows": [{"trained": 0.0, "tested": 0.0, "top1": 50.0, "seed": 0}]}'
        )
    step = {"question": "rates", "step": 0, "form": "quick", "result": "rates.json", "minutes": 1.0, "command": "run"}
    (tmp_path / "quick" / "suite.jsonl").write_text(json.dumps(step) + "\n")
    results = read_results([tmp_path])
    assert results.named("rates").path.endswith("zero/rates.json") and results.of("rates")[0].quick
    assert read_results([tmp_path / "quick"]).named("rates").quick
