"""The command ``dctnet pack``: its words turned into the arguments of ``pack``, and the checks of finished stores."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dctnet.bands import parse_bands
from dctnet.data.folder import DataError
from dctnet.data.pack import PLAN, finish, pack
from dctnet.data.pack_sources import SPLITS
from dctnet.data.store import verify
from dctnet.data.store_index import INDEX, mend_advice


def pack_arguments(options: dict[str, Any]) -> int:
    """``pack`` with the options of the command line, ``bands`` and ``shard`` still text."""
    bands, shard = options.pop("bands"), options.pop("shard")
    if not re.fullmatch(r"[0-9]{1,9}/[0-9]{1,9}", shard):
        raise ValueError(f"--shard is I/N, such as 3/100; got {shard!r}")
    first, count = map(int, shard.split("/"))
    pack(
        options.pop("source"),
        options.pop("store"),
        bands=parse_bands(bands),
        share=(first, count),
        **options,
    )
    return 0


def stores_in(store: str, mark: str) -> list[Path]:
    """``store`` itself or its train, val and test, whichever have the file ``mark``; DataError where none has."""
    found = [path for path in (Path(store), *(Path(store) / split for split in SPLITS)) if (path / mark).is_file()]
    if not found:
        raise DataError(f"{store} is no packed store, and neither are {', '.join(SPLITS)} in it: there is no {mark}")
    return found


def finish_stores(options: dict[str, Any]) -> int:
    """``dctnet pack --finish STORE``."""
    for path in stores_in(options["store"], PLAN):
        finish(path, options["max_broken"])
    return 0


def verify_stores(store: str) -> int:
    """``dctnet pack --verify STORE``: 1 where something is damaged."""
    damaged = 0
    for path in stores_in(store, INDEX):
        problems = verify(path)
        damaged += bool(problems)
        for problem in problems:
            print(f"{path}: {problem}")
        print(f"{path}: damaged. {mend_advice(path)}" if problems else f"{path}: every record matches its checksum")
    return int(damaged > 0)
