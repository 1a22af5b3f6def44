"""The command ``dctnet pack``: its options, turned into the arguments of ``pack``, and the checks of what was packed."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from dctnet.bands import parse_bands
from dctnet.data.folder import DataError
from dctnet.data.pack import pack
from dctnet.data.pack_finish import finish
from dctnet.data.pack_plan import PLAN
from dctnet.data.pack_sources import SPLITS
from dctnet.data.store import verify
from dctnet.data.store_index import INDEX, mend_advice


def main(arguments: list[str]) -> int:
    """Run the command; 1 where ``--verify`` finds damage."""
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
        "--verify", action="store_true", help="only check every record of STORE, and name what is damaged"
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


def _stores_in(store: str, mark: str) -> list[Path]:
    """``store`` itself or its train, val and test, whichever have the file ``mark``; DataError where none has."""
    found = [path for path in (Path(store), *(Path(store) / split for split in SPLITS)) if (path / mark).is_file()]
    if not found:
        raise DataError(f"{store} is no packed store, and neither are {', '.join(SPLITS)} in it: there is no {mark}")
    return found


def _finish(store: str, max_broken: float) -> int:
    for path in _stores_in(store, PLAN):
        finish(path, max_broken)
    return 0


def _verify(store: str) -> int:
    damaged = 0
    for path in _stores_in(store, INDEX):
        problems = verify(path)
        damaged += bool(problems)
        for problem in problems:
            print(f"{path}: {problem}")
        print(f"{path}: damaged. {mend_advice(path)}" if problems else f"{path}: every record matches its checksum")
    return int(damaged > 0)
