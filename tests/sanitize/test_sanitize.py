"""The decoder under AddressSanitizer and UBSan: made files and real ones, cut and mutated by ``driver.cpp``.

And the lifting of planes, by ``lift_driver.cpp``; block transforms and warps, by ``kernel_driver.cpp``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.jpeg_writer import ScanSpec, Writer, dqt, random_components
from tests.test_decoder import PROGRESSIONS, TABLES, jpeg, picture

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
JPEG = ROOT / "dctnet" / "jpeg"
SOURCES = [
    JPEG / f"{name}.cpp"
    for name in (
        "decoder",
        "entropy",
        "finish",
        "header",
        "huffman",
        "layout",
        "opening",
        "progressive",
        "sequential",
    )
]
LIFTING = [JPEG / f"{name}.cpp" for name in ("batch", "lifted", "lifted_axis", "lifted_kernels", "written")]
KERNELS = [ROOT / "dctnet" / "kernels" / f"{name}.cpp" for name in ("banded", "block_transform", "warp")]
MUTATIONS = 8000


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> Path:
    return build(HERE / "driver.cpp", SOURCES, tmp_path_factory.mktemp("sanitize") / "driver")


def build(main: Path, sources: list[Path | str], program: Path) -> Path:
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.fail("the sanitizers need a C++ compiler: g++, clang++, or the one that CXX names")
    flags = ["-std=c++20", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    flags += ["-D_GLIBCXX_SANITIZE_VECTOR", "-D_GLIBCXX_ASSERTIONS", "-Wall", "-Wextra"]
    command = [compiler, *flags, main, *sources, "-o", program]
    built = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert built.returncode == 0, built.stderr
    return program


def run(driver: Path, mutations: int, files: list[Path]) -> tuple[int, int]:
    """(decoded, refused) of the driver; fails with the sanitizer's report."""
    done = subprocess.run([driver, str(mutations), *files], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    print(done.stdout)
    return tuple(int(number) for number in re.search(r"(\d+) decoded, (\d+) refused", done.stdout).groups())


def made_files(folder: Path) -> list[Path]:
    """Small files of every kind that the decoder reads."""
    files = {
        "420": jpeg(picture(37, 50), quality=90),
        "444": jpeg(picture(20, 17), quality=100, subsampling=0, optimize=True),
        "422_restarts": jpeg(picture(40, 40), subsampling=1, restart_marker_blocks=1),
        "gray": jpeg(picture(9, 30, "L"), quality=30),
        "progressive": jpeg(picture(33, 40), progressive=True),
        "progressive_gray": jpeg(picture(33, 40, "L"), progressive=True, restart_marker_rows=1),
        "exif": jpeg(picture(8, 8), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    }
    generator = np.random.default_rng(0)
    head = dqt(0, range(1, 65)) + dqt(1, range(1000, 1064), wide=True)
    for number, factors in enumerate([((1, 1), (2, 2), (1, 1)), ((3, 1), (1, 1), (2, 1)), ((4, 4), (1, 1), (1, 3))]):
        writer = Writer(30, 41, random_components(generator, 30, 41, factors), *TABLES)
        scans = [ScanSpec([c], restart=c, tables=[(1, 1)]) for c in range(3)]
        files[f"factors_{number}"] = writer.write(scans, head=head)
    for name in ("bits", "bands and bits"):
        writer = Writer(
            30, 41, random_components(generator, 30, 41, [(2, 2), (1, 1), (1, 1)]), *TABLES, progressive=True
        )
        scans = []
        for bits in PROGRESSIONS[name]:
            scans += [ScanSpec(c, *bits) for c in ([[0, 1, 2]] if bits[0] == 0 else [[0], [1], [2]])]
        files[name.replace(" ", "_")] = writer.write(scans, head=head)
    paths = []
    for name, data in files.items():
        paths.append(folder / f"{name}.jpg")
        paths[-1].write_bytes(data)
    return paths


@pytest.mark.slow
def test_made_files(driver, tmp_path):
    paths = made_files(tmp_path)
    decoded, refused = run(driver, MUTATIONS, paths)
    assert decoded > 2 * len(paths)
    assert refused > 5000


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["-DDCTNET_PLAIN"]], ids=["fast", "plain"])
def test_lifting(tmp_path, flags):
    """Random planes, operators and formats, valid and not."""
    program = build(HERE / "lift_driver.cpp", [*LIFTING, *flags], tmp_path / "lift_driver")
    done = subprocess.run([program, "20000"], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    lifted, refused = map(int, re.search(r"(\d+) lifted, (\d+) refused", done.stdout).groups())
    assert lifted > 10000 and refused > 2000


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["-DDCTNET_PLAIN"]], ids=["fast", "plain"])
def test_kernels(tmp_path, flags):
    """Block transforms and warps of random planes, wild maps among them."""
    flags = ["-fsanitize=float-cast-overflow", *flags]
    program = build(HERE / "kernel_driver.cpp", [*KERNELS, *flags], tmp_path / "kernel_driver")
    done = subprocess.run([program, "20000"], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    assert done.stdout == "20000 rounds\n"


@pytest.mark.slow
def test_unusual_and_damaged_files(driver, real_data):
    paths = [path for path in sorted((real_data / "edge_jpegs").glob("*.jp*g")) if path.stat().st_size < 20_000]
    decoded, _ = run(driver, 20, paths)
    assert decoded > 100


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tests_of_the_decoder(tmp_path):
    """The whole extension, bindings and memory pool included, instrumented and put through the decoder's own tests.

    The peers in those tests are not ours to judge: jpeg2dct frees what it allocated another way, and libjpeg's subprocess
    may die of a damaged file.
    """
    runtimes = [
        subprocess.run(
            ["g++", f"-print-file-name=lib{name}.so"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("asan", "ubsan")
    ]
    flags = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", tmp_path, ROOT]
    build += ["-C", "cmake.build-type=RelWithDebInfo", "-C", f"cmake.define.CMAKE_CXX_FLAGS={flags}"]
    built = subprocess.run(
        [*build, "-C", f"build-dir={tmp_path / 'build'}"], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr[-4000:]
    with zipfile.ZipFile(next(tmp_path.glob("dctnet-*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.startswith("dctnet/jpeg/_native"))
        extension = wheel.extract(name, tmp_path)
    tests = [ROOT / "tests" / f"test_{name}.py" for name in ("decoder", "decoder_robustness", "reader")]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.sanitize.instrumented",
        "-p",
        "no:cacheprovider",
        # Bounds of time are those of the optimised build, and are tested there.
        *("-k", "not refused_soon and not take_time_for"),
        *tests,
    ]
    environment = os.environ | {
        "DCTNET_EXTENSION": str(extension),
        "LD_PRELOAD": " ".join(runtimes),
        "ASAN_OPTIONS": f"detect_leaks=0:alloc_dealloc_mismatch=0:allocator_may_return_null=1:log_path={tmp_path / 'log'}",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    reports = [path.read_text() for path in tmp_path.glob("log.*")]
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:] + "".join(reports)[-8000:]
    assert not [report for report in reports if "_native" in report]
