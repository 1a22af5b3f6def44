"""The recipe ``folder``: pictures of one's own, ``SOURCE/CLASS/*.jpg``, parted into training and validation."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dctnet.data.folder import DataError, find_classes, find_images

VALIDATION_SHARE = 0.2


def split_folder(folder: Path, source: Path | None = None) -> dict[str, object]:
    """Link the JPEG files of ``source/CLASS/`` into ``folder/{train,val}/CLASS/``, a fifth of each class for validation.

    Which fifth is decided by a hash of the file's path below its class: the same on every machine, and unrelated to the
    order of names, in which pictures of one series stand together. At least one picture of a class lies on each side. Links
    are absolute and nothing is copied: ``source`` has to stay where it is. DataError where a class has fewer than two.
    """
    if source is None:
        raise DataError("folder needs --source, a folder of your pictures: SOURCE/CLASS/*.jpg, one sub-folder a class")
    source = source.resolve()
    for name in find_classes(source):
        pictures = [Path(path).relative_to(source / name) for path in find_images(source / name)]
        if len(pictures) < 2:
            raise DataError(
                f"class {name!r} in {source} has {len(pictures)} JPEG files; it needs one for training and one for "
                "validation at least. Add pictures, or remove the folder."
            )
        ranked = sorted(pictures, key=lambda path: hashlib.sha256(path.as_posix().encode()).digest())
        held_out = set(ranked[: max(1, round(VALIDATION_SHARE * len(ranked)))])
        for picture in pictures:
            target = folder / ("val" if picture in held_out else "train") / name / picture
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source / name / picture)
    return {"source": str(source)}
