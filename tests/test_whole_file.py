"""Files that are whole or not there, and every command on a full disk: the file is named, and what to do."""

import os
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from dctnet.cli import main
from dctnet.data.pack import pack
from dctnet.training.checkpoints import AtomicCheckpointIO
from dctnet.whole_file import whole_file, write_whole
from tests.test_decoder import jpeg, picture


@contextmanager
def files_up_to(size: int):
    """A real limit of the system: writing beyond so many bytes of a file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("shared", [False, True])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, shared):
    path = tmp_path / "deep" / "file"
    write_whole(path, b"before", shared=shared)
    with pytest.raises(KeyboardInterrupt), whole_file(path, shared=shared) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
        raise KeyboardInterrupt
    assert path.read_bytes() == b"before" and os.listdir(path.parent) == ["file"]
    write_whole(path, b"after", shared=shared)
    assert path.read_bytes() == b"after" and os.listdir(path.parent) == ["file"]


def test_what_a_kill_has_left_is_overwritten(tmp_path):
    (tmp_path / "file.partial").write_bytes(b"half of a longer one")
    write_whole(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole" and os.listdir(tmp_path) == ["file"]


def test_two_writers_of_a_shared_file_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with whole_file(path, shared=True) as first, whole_file(path, shared=True) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["file"]


@pytest.fixture
def folder(tmp_path) -> Path:
    for index in range(4):
        path = tmp_path / "pictures" / "ab"[index // 2] / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(picture(48, 64, seed=index)))
    return tmp_path / "pictures"


@pytest.mark.parametrize(
    "words,limit,named",
    [
        ("pack {folder} {out}", 10, "plan.json"),
        ("pack {folder} {out}", 1000, "shard-00000.bin"),
        ("pack --finish {store}", 10, "index.json"),
        ("transform {folder} {out} --flip horizontal --trim", 10, "transformed.json"),
        ("transform {folder} {out} --flip horizontal --trim", 300, ".jpg"),
        ("stats {folder} --out {out}.yaml", 1000, "out.yaml"),
        ("inspect {folder}/a/0.jpg --out {out}.png", 1000, "out.png"),
    ],
)
def test_a_full_disk_names_the_file_and_what_to_do(folder, tmp_path, capsys, words, limit, named):
    store = tmp_path / "store"
    pack(str(folder), store)
    (store / "index.json").unlink()
    words = [word.format(folder=folder, out=tmp_path / "out", store=store) for word in words.split()]
    capsys.readouterr()
    with files_up_to(limit):
        assert main(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{named} (File too large). Make room in {tmp_path}" in said
    assert "then run the same command again" in said and not list(tmp_path.rglob("*.partial"))
    assert main(words) == 0


def test_a_checkpoint_on_a_full_disk(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": torch.zeros(10)}, path)
    before = path.read_bytes()
    with files_up_to(16000), pytest.raises(OSError, match=r"no room left while writing .*last\.ckpt"):
        AtomicCheckpointIO().save_checkpoint({"a": torch.zeros(10**6)}, path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["last.ckpt"]
