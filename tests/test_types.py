"""What type checkers are told is true: every function is annotated, stubs and late imports say what there is."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import dctnet

PACKAGE = Path(dctnet.__file__).resolve().parent
SOURCES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
LATE = {"dctnet": "__init__.py", "dctnet.data": "data/__init__.py", "dctnet.training": "training/__init__.py"}


def lacking(function: ast.FunctionDef, method: bool) -> list[str]:
    """The parameters that have no annotation, and "return"."""
    given = function.args
    parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in function.decorator_list)
    first = 1 if method and not static else 0  # self
    found = [one.arg for one in parameters[first:] if one is not None and one.annotation is None]
    known = function.name == "__init__" and any(one is not None and one.annotation is not None for one in parameters)
    return found + ["return"] * (function.returns is None and not known)  # with one annotation checkers know: None


@pytest.mark.parametrize("source", SOURCES)
def test_every_function_is_annotated(source):
    methods = {
        id(function) for node in ast.walk(SOURCES[source]) if isinstance(node, ast.ClassDef) for function in node.body
    }
    for node in ast.walk(SOURCES[source]):
        if isinstance(node, ast.FunctionDef):
            assert lacking(node, id(node) in methods) == [], f"{source}:{node.lineno} {node.name}"


def test_what_lacks_annotations_is_found():
    bare, method = ast.parse("def f(a, *b, c=1, **d): ...\nclass A:\n    def g(self, x): ...").body
    assert lacking(bare, False) == ["a", "c", "b", "d", "return"]
    assert lacking(method.body[0], True) == ["x", "return"]


@pytest.mark.parametrize("package", LATE)
def test_names_imported_late_are_those_that_checkers_see(package):
    module = importlib.import_module(package)
    tree = SOURCES[LATE[package]]
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    at_once = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    at_once |= {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets}
    assert set(module.__all__) <= set(seen) | at_once
    for name, defining in seen.items():
        assert getattr(module, name) is getattr(importlib.import_module(defining), name)
        assert name in dir(module)
    rooms = {name for name, defining in seen.items() if defining == "dctnet"}
    assert set(seen) - rooms == set(module.__all__) - at_once
    if package == "dctnet":
        assert rooms == set(dctnet._ROOMS)


def parameters(function) -> list[str]:
    """The names of the parameters of a compiled function, of the signature that nanobind keeps with it."""
    text = re.sub(r"ndarray\[[^]]*]", "ndarray", function.__nb_signature__[0][0])
    text = re.sub(r"\\\d+", "None", text)  # where a default stands
    return [one.arg for one in ast.parse(f"{text}: ...").body[0].args.args]


@pytest.mark.parametrize("room", ["jpeg", "kernels"])
def test_stubs_say_what_the_extensions_have(room):
    native = importlib.import_module(f"dctnet.{room}._native")
    stub = ast.parse((PACKAGE / room / "_native.pyi").read_text())
    written = [node for node in stub.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert {node.name for node in written} == {name for name in vars(native) if not name.startswith("_")}
    for node in written:
        there = getattr(native, node.name)
        if isinstance(node, ast.FunctionDef):
            assert [one.arg for one in node.args.args] == parameters(there), node.name
            continue
        assert inspect.isclass(there)
        assert {one.name for one in node.body if isinstance(one, ast.FunctionDef)} - {"__init__"} == {
            name for name in vars(there) if not name.startswith("_")
        }
        for method in (one for one in node.body if isinstance(one, ast.FunctionDef) and not one.decorator_list):
            assert [one.arg for one in method.args.args] == parameters(getattr(there, method.name)), method.name


def test_the_marker_of_typed_packages_is_there():
    assert (PACKAGE / "py.typed").is_file()
