"""Builds the fuzz targets with clang's libFuzzer under AddressSanitizer and UBSan, and runs them one after the other.

    python -m tests.fuzz.run [TARGET...] --seconds 600 --record tests/fuzz/executions.json

``decoder``: whatever the bytes, decode() returns or throws its error, within its bounds of memory and time.
``roundtrip``: what was read can be written, and reads the same. ``differential``: what libjpeg reads without a warning, and
decode() reads, is the same (needs the headers of libjpeg: libjpeg62-turbo-dev, libjpeg-turbo-devel, jpeg-turbo).
Corpora are kept in ``--folder`` and go on from there. Exit status 1 where a target failed; its input is named.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.jpeg_writer import ScanSpec, Writer, dqt, random_components
from tests.sanitize.test_sanitize import made_files
from tests.test_decoder import PROGRESSIONS, TABLES, jpeg, picture

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGETS = {"decoder": (), "roundtrip": (), "differential": ("-ljpeg",)}
LONGEST = 1024  # bytes of an input: enough for every kind of file, and a few times as fast as 4096
FLAGS = ["-std=c++20", "-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra"]
COVERAGE = [
    "-fsanitize-coverage=inline-8bit-counters,pc-table"
]  # of the code under test; jpeg.dict stands in for traced comparisons
LIMITS = [
    "-timeout=10",  # seconds for one input, sanitizers included
    "-malloc_limit_mb=16",
    "-rss_limit_mb=2048",
    "-detect_leaks=0",  # tables are cached on purpose
    "-entropic=0",
    "-reduce_inputs=0",
    f"-dict={HERE / 'jpeg.dict'}",
    "-print_final_stats=1",
]
ASAN_OPTIONS = "quarantine_size_mb=4:malloc_context_size=2:allocator_release_to_os_interval_ms=-1"


def compiler() -> str | None:
    """clang++ with libFuzzer: the one that DCTNET_CLANG names, or the first found on the path."""
    names = ["clang++", *(f"clang++-{version}" for version in range(22, 13, -1))]
    return os.environ.get("DCTNET_CLANG") or next((path for name in names if (path := shutil.which(name))), None)


def sources() -> list[Path]:
    """The C++ below Python: no bindings, and not the pool of buffers, which harness.cpp replaces."""
    binds = re.compile(r'#include [<"](nanobind/|bindings\.hpp|sources\.hpp|origin\.hpp|batch_arguments\.hpp)')
    files = [*sorted((ROOT / "dctnet" / "jpeg").glob("*.cpp")), ROOT / "dctnet" / "kernels" / "parallel.cpp"]
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


def make_seeds(folder: Path, longest: int) -> None:
    """Made files of up to ``longest`` bytes, of every kind and most of them tiny, and those of ``edge_jpegs`` where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    made_files(folder)
    options = {"": {}, "_progressive": {"progressive": True}, "_restarts": {"restart_marker_blocks": 1}}
    for size, mode, subsampling in itertools.product((1, 8, 17), ("L", "RGB"), (0, 1, 2)):
        for name, option in options.items():
            data = jpeg(picture(size, size, mode), quality=60, subsampling=subsampling, optimize=True, **option)
            (folder / f"{mode}_{size}_{subsampling}{name}.jpg").write_bytes(data)
    head = dqt(0, range(1, 65)) + dqt(1, range(1000, 1064), wide=True)
    for number, factors in enumerate([[(2, 1), (1, 2), (1, 1)], [(4, 4), (1, 1), (1, 3)]]):
        components = random_components(np.random.default_rng(number), 12, 12, factors, sparse=0.95)
        for name, passes in {"": [(0, 63, 0, 0)], **PROGRESSIONS}.items():
            writer = Writer(12, 12, components, *TABLES, progressive=bool(name))
            scans = [ScanSpec([c], *bits, restart=number, tables=[(1, 1)]) for bits in passes for c in range(3)]
            (folder / f"factors_{number}_{name.replace(' ', '_')}.jpg").write_bytes(writer.write(scans, head=head))
    data = Path(os.environ.get("DCTNET_DATA", ROOT.parent / "shared" / "data")) / "edge_jpegs"
    for path in sorted(data.glob("*.jp*g")) if data.is_dir() else []:
        if path.stat().st_size <= longest:
            (folder / path.name).write_bytes(path.read_bytes())
    for path in folder.iterdir():
        if path.stat().st_size > longest:
            path.unlink()


def fuzz(folder: Path, target: str, seconds: int, runs: int = -1, longest: int = LONGEST) -> dict[str, int]:
    """Executions, seconds and files of the corpus of one run. RuntimeError with the report of a failure."""
    corpus = folder / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    (folder / "failures").mkdir(exist_ok=True)
    command = [folder / target, *LIMITS, f"-max_len={longest}", f"-max_total_time={seconds}", f"-runs={runs}"]
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
    parser.add_argument("--longest", type=int, default=LONGEST, help=f"bytes of an input (default {LONGEST})")
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
        make_seeds(options.folder / "seeds", options.longest)
        for target in targets:
            result = fuzz(options.folder, target, options.seconds, options.runs, options.longest)
            print(target, *(f"{name} {number:,}" for name, number in result.items()), flush=True)
            if options.record is not None:
                record(options.record, target, result)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
