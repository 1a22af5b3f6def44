"""The order of the house: imports run down the floors, from the defining file, and without cycles."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dctnet"
FLOORS = {
    "cli": 8,
    "findings": 7,
    "training": 5,
    "robustness": 6,
    "benchmarks": 5,
    "models": 4,
    "data": 4,
    "nn": 3,
    "jpeg": 3,
    "transforms": 3,
    "dct": 2,
    "bands": 2,
    "statistics": 1,
    "quantization": 1,
    "resampling": 1,
    "coefficients": 1,
    "report": 1,
    "packaged": 0,
    "kernels": 0,
    "arguments": 0,
    "device": 0,
    "source_tree": 0,
    "machine": 1,
    "whole_file": 0,
    "precision": 0,
}
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py")


def room(module: str) -> str:
    return module.split(".")[1]


def imports(path: Path):
    """Modules of dctnet that the file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "dctnet")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module and node.module.split(".")[0] == "dctnet":
                base = ROOT / node.module.replace(".", "/")
                for alias in node.names:
                    module = (base / f"{alias.name}.py").exists() or alias.name == "_native"  # the compiled one
                    yield f"{node.module}.{alias.name}" if module else node.module


def name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_run_down(path):
    own = room(name(path))
    for target in imports(path):
        if target == "dctnet":
            continue  # the version
        assert target.count(".") >= 1 and not (ROOT / target.replace(".", "/") / "__init__.py").exists(), (
            f"{name(path)} imports the package {target}: import from the defining file"
        )
        other = room(target)
        assert own == other or FLOORS[other] < FLOORS[own], (
            f"{name(path)} (floor {FLOORS[own]}) imports {target} (floor {FLOORS[other]})"
        )


def test_there_are_no_cycles():
    graph = {name(path): {t for t in imports(path) if t != "dctnet"} for path in MODULES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]):
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for target in graph.get(module, ()):
                visit(target, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_the_report_knows_no_torch():
    for path in (PACKAGE / "report").glob("*.py"):
        assert "torch" not in path.read_text().replace("knows torch", ""), path


def test_there_are_no_drawers_for_everything():
    assert not [p for p in MODULES if p.stem in {"utils", "common", "helpers", "misc"}]


def test_data_and_models_hold_no_code():
    for folder in ("data", "models"):
        assert not list((ROOT / folder).rglob("*.py"))
