"""``dctnet bench imports``: both clocks tell work from waiting, and code that fails is no measurement."""

import json

import pytest

from dctnet.benchmarks import imports

WAITS = "import time; time.sleep(0.3)"
WORKS = "import time\nwhile time.process_time() < 0.6: pass"


def test_the_clock_sees_waiting_and_the_processor_does_not(monkeypatch):
    monkeypatch.setattr(imports, "CASES", {"waits": (WAITS, "pass"), "works": (WORKS, "pass")})
    waits, works = imports.imports(rounds=3)
    assert waits["wall"]["spread"][0] > 0 and waits["wall"]["seconds"] >= 0.3
    assert abs(waits["cpu"]["more"]) < 0.2
    assert works["cpu"]["more"] > 0.4 and works["wall"]["seconds"] >= 0.6


def test_code_that_fails_says_what_it_said():
    with pytest.raises(OSError, match="no_such_module"):
        imports.took("import no_such_module")


def test_too_few_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds"):
        imports.imports(rounds=2)


def test_the_command_writes_and_shows_its_rows(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(imports, "CASES", {"nothing": ("pass", "pass")})
    imports.main(["--rounds", "3", "--out", str(tmp_path / "rows.json")])
    written = json.loads((tmp_path / "rows.json").read_text())
    assert written["rounds"] == 3 and [row["case"] for row in written["rows"]] == ["nothing"]
    assert "nothing" in capsys.readouterr().out
