"""The command ``dctnet pack``: its options, turned into the arguments of ``pack``, and the checks of what was packed."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from dctnet.bands import parse_bands
from dctnet.data.folder import DataError
from dctnet.data.pack import pack
from dctnet.data.pack_finish import finish, finished_shards, refuse_missing
from dctnet.data.pack_plan import PLAN, TARS, read_plan
from dctnet.data.pack_sources import SPLITS
from dctnet.data.store import verify
from dctnet.data.store_index import INDEX, mend_advice
from dctnet.data.tar_samples import read_mark, verify_tars


def main(arguments: list[str]) -> int:
    """Run the command; 1 where ``--verify`` finds damage, or a part that is not finished."""
    parser = argparse.ArgumentParser(
        prog="dctnet pack",
        description="Decodes a data set once into a store of DCT coefficients, or gathers its files in WebDataset tars. "
        "A run that was stopped goes on where it was: give the same command again.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="train on it:  dctnet fit --config NAME --data.root STORE --data.loader store\n"
        "job array:    task i of n runs `dctnet pack FOLDER STORE --shard i/n` over a shared file system\n",
    )
    parser.add_argument(
        "source",
        metavar="FOLDER",
        nargs="?",
        help="FOLDER/CLASS/*.jpg, the same below FOLDER/train and FOLDER/val, or WebDataset tars: a folder of them, or a "
        "pattern such as 's3://bucket/imagenet-{0000..1281}.tar'",
    )
    parser.add_argument("store", metavar="STORE", help="the folder to write")
    parser.add_argument(
        "--bands",
        default="24",
        metavar="SET",
        help="keep 6, 24, 32, 48 or 64 bands, all, zigzag-16, triangle-4, square-4, '[square-4, square-2, square-2]' for Y, Cb "
        "and Cr, or '{energy: CARD.yaml, count: 24}' by a card of dctnet stats (default 24)",
    )
    parser.add_argument("--dtype", default="int8", help="int8 (a scale a band) or int16 (as read) (default int8)")
    parser.add_argument(
        "--resize", type=int, metavar="PIXELS", help="bring the shorter side of larger pictures to PIXELS, as 4:2:0"
    )
    parser.add_argument("--format", default="store", help="store, or webdataset: tars of the JPEG files as they are")
    parser.add_argument("--shard_size", type=int, default=4096, metavar="N", help="pictures a shard (default 4096)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="packing processes (default 1)")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="take only the I-th of N shares of the shards")
    parser.add_argument(
        "--max_broken",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="of unreadable files to put up with (default 0.01)",
    )
    parser.add_argument(
        "--classes", metavar="FILE.json", help="for tars: a list of the class names, in order of labels"
    )
    parser.add_argument("--finish", action="store_true", help="only write the index of STORE, when all shares are done")
    parser.add_argument(
        "--verify", action="store_true", help="only check every record of STORE, or its tars, and name what is damaged"
    )
    options = vars(parser.parse_args(arguments))
    only_finish, only_verify = options.pop("finish"), options.pop("verify")
    if only_finish or only_verify:
        if options["source"] is not None or (only_finish and only_verify):
            parser.error("--finish and --verify take the STORE alone, one at a time")
        return _verify(options["store"]) if only_verify else _finish(options["store"], options["max_broken"])
    if options["source"] is None:
        parser.error("give FOLDER and STORE")
    shard = options.pop("shard")
    if not re.fullmatch(r"[0-9]{1,9}/[0-9]{1,9}", shard):
        raise ValueError(f"--shard is I/N, such as 3/100; got {shard!r}")
    first, count = map(int, shard.split("/"))
    pack(**{**options, "bands": parse_bands(options["bands"]), "share": (first, count)})
    return 0


def _places(store: str, *marks: str) -> list[Path]:
    """``store`` itself and its train, val and test, whichever have files of the patterns ``marks``; DataError where none has."""
    places = [Path(store), *(Path(store) / split for split in SPLITS)]
    found = [place for place in places if any(any(place.glob(mark)) for mark in marks)]
    if not found:
        raise DataError(
            f"{store} is no packed store, and neither are {', '.join(SPLITS)} in it: there is no {marks[0]}"
        )
    return found


def _finish(store: str, max_broken: float) -> int:
    for place in _places(store, PLAN):
        finish(place, max_broken)
    return 0


def _verify(store: str) -> int:
    places = _places(store, INDEX, PLAN, "*.tar")
    problems = {place: _problems(place) for place in places}
    for place, found in problems.items():
        for problem in found:
            print(f"{place}: {problem}")
        if not found:
            print(f"{place}: {_whole(place)}")
        elif (place / PLAN).is_file():
            print(f"{place}: damaged or not finished. {mend_advice(place)}")
    return int(any(problems.values()))


def _problems(place: Path) -> list[str]:
    """What is wrong with a store, or with a folder of tars; what is not finished, too."""
    if (place / INDEX).is_file():
        return verify(place)
    found = []
    if (place / PLAN).is_file():
        try:
            plan = read_plan(place)
            refuse_missing(place, finished_shards(place, plan))
            if plan["format"] != TARS:
                found.append(
                    f"all shards are finished, but there is no {INDEX}: `dctnet pack --finish {place}` writes it"
                )
        except DataError as error:
            found.append(str(error))
    return found + verify_tars(place)


def _whole(place: Path) -> str:
    if (place / INDEX).is_file():
        return "every record matches its checksum"
    tars = sorted(place.glob("*.tar"))
    known = sum(read_mark(path) is not None for path in tars)
    return f"{len(tars)} tars, whole by their headers; {known} match the checksums noted when dctnet wrote them"
