"""A short run of each fuzz target: what minutes of a change's life can show; ``run.py`` goes on for hours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.fuzz.run import LONGEST, TARGETS, build, compiler, fuzz, make_seeds

SECONDS = 20
RUNS = 1000  # the least of a run that is worth the name: an idle core makes a hundred times as many


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the seeds and the programs that can be built here."""
    if compiler() is None:
        pytest.skip(
            "fuzzing needs clang++ with libFuzzer, which this machine does not have (Debian: apt install clang)"
        )
    folder = tmp_path_factory.mktemp("fuzz")
    make_seeds(folder / "seeds", LONGEST)
    probe = [compiler(), "-xc++", "-fsyntax-only", "-"]
    headers = "#include <cstdio>\n#include <jpeglib.h>\n"
    found = subprocess.run(probe, input=headers, text=True, capture_output=True, check=False).returncode == 0
    build(folder, [target for target in TARGETS if found or target != "differential"])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found(folder, target):
    if not (folder / target).exists():
        pytest.skip("comparing needs the headers of libjpeg (Debian: apt install libjpeg62-turbo-dev)")
    result = fuzz(folder, target, SECONDS)
    print(target, result)
    assert result["executions"] > RUNS
