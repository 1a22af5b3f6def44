"""Builds the fuzz targets with clang's libFuzzer under AddressSanitizer and UBSan, and runs them one after the other.

    python -m tests.fuzz.run [TARGET...] --seconds 600 --record tests/fuzz/executions.json

``decoder``: whatever the bytes, decode() returns or throws its error, within its bounds of memory and time.
``roundtrip``: what was read can be written, and reads the same. ``differential``: what libjpeg reads without a warning, and
decode() reads, is the same (needs the headers of libjpeg: libjpeg62-turbo-dev, libjpeg-turbo-devel, jpeg-turbo).
Corpora are kept in ``--folder`` and go on from there. Exit status 1 where a target failed; its input is named.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.sanitize.test_sanitize import made_files
from tests.test_decoder import jpeg, picture

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGETS = {"decoder": (), "roundtrip": (), "differential": ("-ljpeg",)}
LONGEST = 4096  # bytes of an input
FLAGS = ["-std=c++20", "-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra"]
COVERAGE = [
    "-fsanitize-coverage=inline-8bit-counters,pc-table"
]  # of the code under test; jpeg.dict stands in for traced comparisons
LIMITS = [
    f"-max_len={LONGEST}",
    "-timeout=10",  # seconds for one input, sanitizers included
    "-malloc_limit_mb=16",
    "-rss_limit_mb=2048",
    "-detect_leaks=0",  # tables are cached on purpose
    "-entropic=0",
    f"-dict={HERE / 'jpeg.dict'}",
    "-print_final_stats=1",
]
ASAN_OPTIONS = "quarantine_size_mb=8:malloc_context_size=4"


def compiler() -> str | None:
    """clang++ with libFuzzer: the one that DCTNET_CLANG names, or the first found on the path."""
    names = ["clang++", *(f"clang++-{version}" for version in range(22, 13, -1))]
    return os.environ.get("DCTNET_CLANG") or next((path for name in names if (path := shutil.which(name))), None)


def sources() -> list[Path]:
    """The C++ below Python: no bindings, and not the pool of buffers, which harness.cpp replaces."""
    binds = re.compile(r'#include [<"](nanobind/|bindings\.hpp|sources\.hpp)')
    files = sorted((ROOT / "dctnet" / "jpeg").glob("*.cpp"))
    return [path for path in files if path.name != "buffers.cpp" and not binds.search(path.read_text())]


def build(folder: Path, targets: list[str]) -> None:
    """The programs ``folder/TARGET``. RuntimeError with what the compiler says."""
    clang = compiler()
    if clang is None:
        raise RuntimeError("fuzzing needs clang++ with libFuzzer (Debian: clang); DCTNET_CLANG may name one")
    folder.mkdir(parents=True, exist_ok=True)

    def run(*command: str | Path) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")

    shared = []
    for source in [*sources(), HERE / "harness.cpp", HERE / "mutator.cpp"]:
        shared.append(folder / f"{source.stem}.o")
        run(clang, *FLAGS, *(COVERAGE if source.parent != HERE else []), "-c", source, "-o", shared[-1])
    for target in targets:
        own = folder / f"target_{target}.o"
        run(clang, *FLAGS, "-c", HERE / f"{target}.cpp", "-o", own)
        run(clang, "-fsanitize=fuzzer,address,undefined", *shared, own, *TARGETS[target], "-o", folder / target)


def make_seeds(folder: Path) -> None:
    """Made files of every kind, tiny ones among them, and the small ones of ``edge_jpegs`` where there are such."""
    folder.mkdir(parents=True, exist_ok=True)
    made_files(folder)
    for size in (1, 8, 16, 17):
        for mode in ("L", "RGB"):
            for progressive in (False, True):
                data = jpeg(
                    picture(size, size, mode), quality=60, progressive=progressive, restart_marker_blocks=size % 2
                )
                (folder / f"{mode}_{size}{'_progressive' * progressive}.jpg").write_bytes(data)
    data = Path(os.environ.get("DCTNET_DATA", ROOT.parent / "shared" / "data")) / "edge_jpegs"
    for path in sorted(data.glob("*.jp*g")) if data.is_dir() else []:
        if path.stat().st_size <= LONGEST:
            (folder / path.name).write_bytes(path.read_bytes())


def fuzz(folder: Path, target: str, seconds: int, runs: int = -1) -> dict[str, int]:
    """Executions, seconds and files of the corpus of one run. RuntimeError with the report of a failure."""
    corpus = folder / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    (folder / "failures").mkdir(exist_ok=True)
    command = [folder / target, *LIMITS, f"-max_total_time={seconds}", f"-runs={runs}"]
    command += [f"-artifact_prefix={folder / 'failures' / target}-", corpus, folder / "seeds"]
    started = time.monotonic()
    environment = os.environ | {"ASAN_OPTIONS": ASAN_OPTIONS, "UBSAN_OPTIONS": "print_stacktrace=1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    executions = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    if done.returncode != 0 or executions is None:
        raise RuntimeError(f"{target} failed; its input is in {folder / 'failures'}\n{done.stderr[-6000:]}")
    return {
        "executions": int(executions.group(1)),
        "seconds": round(time.monotonic() - started),
        "corpus": len(list(corpus.iterdir())),
    }


def record(path: Path, target: str, result: dict[str, int]) -> None:
    """Add a run to the totals in ``path``."""
    totals = json.loads(path.read_text()) if path.exists() else {}
    before = totals.get(target, {"executions": 0, "seconds": 0})
    totals[target] = {
        "executions": before["executions"] + result["executions"],
        "seconds": before["seconds"] + result["seconds"],
        "corpus": result["corpus"],
    }
    path.write_text(json.dumps(totals, indent=1, sort_keys=True) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default 60)")
    parser.add_argument("--runs", type=int, default=-1, help="executions of each target (default: as many as fit)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "fuzz", help="programs, corpora and failures")
    parser.add_argument(
        "--record", type=Path, metavar="FILE.json", help="add the executions to the totals in this file"
    )
    options = parser.parse_args()
    targets = options.targets or list(TARGETS)
    if unknown := [target for target in targets if target not in TARGETS]:
        parser.error(f"there is no target {unknown[0]}; there are {', '.join(TARGETS)}")
    try:
        build(options.folder, targets)
        make_seeds(options.folder / "seeds")
        for target in targets:
            result = fuzz(options.folder, target, options.seconds, options.runs)
            print(target, *(f"{name} {number:,}" for name, number in result.items()), flush=True)
            if options.record is not None:
                record(options.record, target, result)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
