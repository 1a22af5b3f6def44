"""WebDataset's convention for tar files: members that share a name up to the first dot are one sample.

``00000017.jpg`` and ``00000017.cls`` are picture and label (a decimal number) of the sample ``00000017``. Members of a
sample follow one another. Other members (``.json``, ``.txt``) are passed over. Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
import shlex
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

from dctnet.data.folder import EXTENSIONS, DataError

CLASSES = "classes.json"  # beside the tars: a list of names, in the order of labels
MOST_NUMBERED = 2**20  # more than any public set has; a label beyond is an id, a hash or a mistake
PICTURES = tuple(extension[1:] for extension in EXTENSIONS)


class Member(NamedTuple):
    """Where the picture of a sample lies in the (uncompressed) tar file, and its label."""

    key: str
    extension: str
    offset: int
    length: int
    label: int


class TarSample(NamedTuple):
    """A picture's bytes and label; ``name`` is ``TAR/KEY.EXTENSION``."""

    data: bytes
    label: int
    name: str


def is_stream(url: str) -> bool:
    """Whether the package webdataset has to open ``url``: a pipe, or an address with a scheme.

    >>> [is_stream(url) for url in ("pipe:cat a.tar", "s3://bucket/a.tar", "file:tars/a.tar", "tars/a.tar")]
    [True, True, True, False]
    """
    return url.startswith(("pipe:", "file:")) or "://" in url


def _webdataset(module: str) -> ModuleType:
    try:
        return import_module(f"webdataset.{module}")
    except ImportError as error:
        raise DataError(
            "tar shards from pipes, the web or object storage, and patterns with braces, are opened by the package "
            "webdataset: pip install 'dctnet[webdataset]'"
        ) from error


def expand(pattern: str) -> list[str]:
    """The addresses of a pattern with braces: ``a-{000..002}.tar`` is three."""
    found = _webdataset("shardlists").expand_urls(pattern) if "{" in pattern else [pattern]
    return [str(url) for url in found]


@contextmanager
def open_tar(url: str) -> Iterator[BinaryIO]:
    """The bytes of a tar shard as a stream: a local file, or whatever the package webdataset opens.

    ``s3://`` addresses go through the command ``aws s3 cp``, as that package has nothing for them.
    """
    if not is_stream(url):
        with open(url, "rb") as stream:
            yield stream
        return
    if url.startswith("s3://"):
        url = f"pipe:aws s3 cp {shlex.quote(url)} -"
    try:
        stream = _webdataset("gopen").gopen(url)
    except ValueError as error:
        raise DataError(
            f"the package webdataset does not open {url} ({error}); give a command that writes it: 'pipe:COMMAND'"
        ) from error
    given_up = False
    try:
        yield stream
    except GeneratorExit:
        given_up = True
        raise
    finally:
        try:
            stream.close()
        except OSError as error:  # a command that failed: what it wrote, if anything, is not the whole
            if not given_up:
                raise DataError(
                    f"{url} did not end well: its command or address failed. Run `{url.removeprefix('pipe:')}` by hand."
                ) from error


def samples(stream: BinaryIO, url: str) -> Iterator[TarSample]:
    """The samples of a tar stream in order; DataError for a damaged archive, or a sample without picture or label."""
    stem = url.rsplit("/", 1)[-1].removesuffix(".tar")
    for key, members in _groups(stream, url, "r|*"):
        pictures = {extension: data for extension, data in members.items() if extension in PICTURES}
        extension = _only_picture(pictures, key, url)
        label = _label(members.get("cls"), key, url)
        yield TarSample(pictures[extension], label, f"{stem}/{key}.{extension}")


def members(path: str) -> list[Member]:
    """Where the samples of a local, uncompressed tar file lie: the file is passed over by its headers, pictures unread."""
    found = []
    with open(path, "rb") as stream:
        for key, places in _groups(stream, path, "r:"):
            pictures = {extension: place for extension, place in places.items() if extension in PICTURES}
            extension = _only_picture(pictures, key, path)
            offset, length = pictures[extension]
            found.append(Member(key, extension, offset, length, _label(places.get("cls"), key, path)))
        size = os.fstat(stream.fileno()).st_size
    mark = read_mark(path)
    if mark is not None and (size, len(found)) != (mark["bytes"], mark["records"]):
        raise DataError(
            f"{path} has {size} bytes and {len(found)} pictures; it was written with {mark['bytes']} and {mark['records']}, as "
            "the file .json of its name says. Copy or make it again; where it was changed on purpose, remove that file."
        )
    return found


def read_mark(path: str | Path) -> dict[str, Any] | None:
    """What ``dctnet pack`` noted of a tar that it wrote: ``bytes``, ``records``, ``crc``; None of all other tars."""
    beside = Path(path).with_suffix(".json")
    try:
        mark = json.loads(beside.read_text(encoding="utf-8"))
        ours = mark["name"] == beside.stem and all(isinstance(mark[key], int) for key in ("bytes", "records", "crc"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return mark if ours else None


def verify_tars(folder: Path) -> list[str]:
    """What is damaged in the tars ``folder/*.tar``: all headers are read, and all bytes of tars that we wrote."""
    problems = []
    for path in sorted(folder.glob("*.tar")):
        try:
            members(str(path))
        except DataError as error:
            problems.append(str(error))
            continue
        mark, crc = read_mark(path), 0
        if mark is not None:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    crc = zlib.crc32(block, crc)
            if crc != mark["crc"]:
                problems.append(f"{path} does not match its checksum")
    return problems


class _Header(tarfile.TarInfo):
    """A header of a member. Where tarfile takes a damaged one, or none, for the end of the archive, this is ReadError."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """The next header; EOFHeaderError at a block of zeros, which is the end."""
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(
                f"at byte {archive.offset} stands no header of a member, nor its end ({error})"
            ) from error


def _check_end(archive: tarfile.TarFile) -> None:
    """ReadError where anything but zeros follows the end of an archive."""
    while block := archive.fileobj.read(1 << 20):
        if block.count(0) != len(block):
            raise tarfile.ReadError(
                f"it ends at byte {archive.offset}, but data follow: a header is lost, or several archives were put together"
            )


def _groups(stream: BinaryIO, url: str, mode: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(key, {extension: what}) of each sample; what: the bytes in stream mode, and in file mode (offset, length) of pictures."""
    key, group = None, {}
    try:
        with tarfile.open(fileobj=stream, mode=mode, tarinfo=_Header) as archive:
            for member in archive:
                folder, slash, base = member.name.rpartition("/")
                stem, dot, extension = base.partition(".")
                if not member.isfile() or not dot or not stem or stem.startswith("__"):
                    continue
                if folder + slash + stem != key:
                    if group:
                        yield key, group
                    key, group = folder + slash + stem, {}
                extension = extension.lower()
                if extension in group:
                    raise DataError(f"{url}: two members are called {member.name}; its samples cannot be told apart")
                if mode == "r:" and extension in PICTURES:
                    group[extension] = (member.offset_data, member.size)
                elif extension in PICTURES or extension == "cls":
                    group[extension] = archive.extractfile(member).read()
                archive.members = []  # tarfile keeps every member it has seen
            _check_end(archive)
        if group:
            yield key, group
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if isinstance(error, OSError) and is_stream(url):
            raise DataError(
                f"{url} could not be read: its command or address failed. Run `{url.removeprefix('pipe:')}` by hand."
            ) from error
        raise DataError(f"{url} is no tar file, or it is damaged: {error}. Copy or make it again.") from error


def _only_picture(pictures: dict[str, Any], key: str, url: str) -> str:
    if len(pictures) != 1:
        raise DataError(
            f"{url}: sample {key} has {len(pictures)} pictures ({', '.join(PICTURES)}); one is needed, and all members of "
            "a sample must follow one another"
        )
    return next(iter(pictures))


def _label(data: bytes | None, key: str, url: str) -> int:
    text = b"" if data is None else data.strip()
    if not text.isdigit() or len(text) > 9:
        raise DataError(
            f"{url}: sample {key} needs a member {key}.cls with its label, a number from 0; got {text[:20]!r}"
        )
    return int(text)


def numbered_classes(greatest: int, whose: str | Path) -> list[str]:
    """The names "0" to ``greatest`` of classes that have none; DataError where these would be more than ``MOST_NUMBERED``.

    >>> numbered_classes(2, "tars")
    ['0', '1', '2']
    """
    if greatest >= MOST_NUMBERED:
        raise DataError(
            f"{whose} has the label {greatest}; labels count the classes from 0, and of more than {MOST_NUMBERED} classes the "
            f"names are needed. Number the labels without gaps, or give the names in {CLASSES} beside the tars."
        )
    return [str(label) for label in range(greatest + 1)]


def read_classes(path: str | Path) -> list[str]:
    """The class names in a JSON file; DataError where it holds no list of different names."""
    try:
        names = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"{path} is not JSON ({error}); it is a list of the class names, in the order of labels"
        ) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise DataError(f"{path} is no list of different class names, in the order of labels")
    return names
