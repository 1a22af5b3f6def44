"""Packing that is disturbed: each mishap is survived or named, with a message that says what to do."""

import contextlib
import csv
import errno
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dctnet.cli import main
from dctnet.data.folder import DataError
from dctnet.data.keyed_sampling import SampleKey
from dctnet.data.pack import pack
from dctnet.data.pack_finish import finish
from dctnet.data.store import StoreFolder, verify
from dctnet.data.store_format import TABLE, checksum
from dctnet.data.torch_loader import KeyedLoader
from dctnet.jpeg.errors import JPEGError

COUNT = 12


def jpeg(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=70)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Two classes of six files: with two records a shard, six shards."""
    for index in range(COUNT):
        path = tmp_path / "pictures" / "ab"[index // 6] / f"{index:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(index))
    return tmp_path / "pictures"


@pytest.fixture
def store(folder, tmp_path):
    pack(str(folder), tmp_path / "store", shard_size=2)
    return tmp_path / "store"


def marks(store: Path) -> dict[str, tuple[int, int]]:
    """Which files of finished shards there are: their inodes and times of writing."""
    whole = [path.stem for path in store.glob("shard-*.json")]
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in store.glob("shard-*")
        if path.stem in whole and not path.name.endswith(".partial")
    }


def content(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.iterdir()}


def wait_for(condition, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def command(*arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "dctnet.cli", "pack", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def stuck_at(path: Path):
    """A file that no reader gets through, until the block ends: then it is what it was."""
    data = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    yield
    path.unlink()
    path.write_bytes(data)


def test_a_killed_run_goes_on_without_redoing_finished_shards(folder, tmp_path):
    pack(str(folder), tmp_path / "whole", shard_size=2)
    store = tmp_path / "store"
    with stuck_at(folder / "b" / "09.jpg"):
        process = command(folder, store, "--shard_size", 2)
        wait_for((store / "shard-00004.bin.partial").exists, process)
        process.kill()
        process.communicate()
    before = marks(store)
    assert len(before) == 4 * 3 and (store / "shard-00004.bin.partial").exists()
    with pytest.raises(DataError, match="is a store that is not finished: run the same `dctnet pack` again"):
        StoreFolder(store)
    with pytest.raises(DataError, match=r"2 of 6 shards of .* are not finished: 4, 5 .*--shard I/6"):
        finish(store)
    pack(str(folder), store, shard_size=2)
    assert {name: marks(store)[name] for name in before} == before
    assert content(store) == content(tmp_path / "whole")  # to the byte, and nothing else is left


def test_a_kill_while_a_table_is_written_leaves_nothing_behind(folder, store, tmp_path):
    """What a SIGKILL at any file of a shard leaves is called as the next run calls its own."""
    whole, killed = content(store), tmp_path / "killed"
    shutil.copytree(store, killed)
    for path in killed.glob("shard-00003.*"):
        path.rename(path.with_name(f"{path.name}.partial"))
    (killed / "index.json").unlink()
    pack(str(folder), killed, shard_size=2)
    assert content(killed) == whole


def test_a_killed_worker_is_named_and_the_same_command_goes_on(folder, tmp_path):
    store = tmp_path / "store"
    with stuck_at(folder / "b" / "11.jpg"):
        process = command(folder, store, "--shard_size", 2, "--workers", 2)
        wait_for(lambda: len(list(store.glob("shard-*.json"))) == 5 and list(store.glob("*.partial")), process)
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        spawned = [pid for pid in workers if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        for pid in spawned:
            os.kill(int(pid), signal.SIGKILL)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "a packing process was killed" in said and "run the same command again" in said and "Traceback" not in said
    before = marks(store)
    assert len(before) == 5 * 3
    pack(str(folder), store, shard_size=2)
    assert {name: marks(store)[name] for name in before} == before
    assert len(StoreFolder(store)) == COUNT and verify(store) == []


def test_a_full_disk_keeps_what_is_finished(folder, tmp_path):
    """A real limit of the system: no file may grow beyond 16 kB, and one shard has a larger picture."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)).save(
        folder / "b" / "08.jpg"
    )
    store, limits = tmp_path / "store", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16000, limits[1]))
    try:
        with pytest.raises(
            OSError, match=r"no room left while writing .*shard-00004.bin .*run the same command again"
        ) as raised:
            pack(str(folder), store, shard_size=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.errno == errno.EFBIG
    assert not list(store.glob("*.partial"))
    before = marks(store)
    assert len(before) == 4 * 3
    pack(str(folder), store, shard_size=2)
    assert {name: marks(store)[name] for name in before} == before and len(StoreFolder(store)) == COUNT


def test_a_full_disk_is_one_line_on_the_command_line(folder, tmp_path, monkeypatch, capsys):
    def full(handle, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("dctnet.data.pack_shard.os.write", full)
    assert main(["pack", str(folder), str(tmp_path / "store")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "No space left on device" in said and "Make room" in said


def test_unreadable_files_are_left_out_and_named(folder, tmp_path):
    damaged = jpeg(3)
    (folder / "a" / "03.jpg").write_bytes(damaged[: len(damaged) // 2])
    (folder / "b" / "07.jpg").unlink()
    (folder / "b" / "07.jpg").symlink_to(folder / "nowhere.jpg")
    store = tmp_path / "store"
    with pytest.raises(
        DataError,
        match=r"more than --max_broken allows.*repair them under the same names or raise --max_broken, and go on here; or remove "
        "them and pack into another folder",
    ):
        pack(str(folder), store, shard_size=2)
    pack(str(folder), store, shard_size=2, max_broken=0.2)
    with (store / "broken.csv").open(newline="") as file:
        found = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert (
        set(found) == {"a/03.jpg", "b/07.jpg"} and "byte" in found["a/03.jpg"] and "No such file" in found["b/07.jpg"]
    )
    names = [os.path.relpath(StoreFolder(store).path(index), store) for index in range(COUNT - 2)]
    assert names == [f"{'ab'[i // 6]}/{i:02d}.jpg" for i in range(COUNT) if i not in (3, 7)]


def test_the_share_of_unreadable_files_counts_over_all_shards(folder, tmp_path):
    for name in ("a/00", "a/04", "b/10"):
        (folder / f"{name}.jpg").write_bytes(b"\xff\xd8 nothing")
    with pytest.raises(
        DataError, match=r"3 of 12 files could not be read, more than the share of 0.2 allowed.*broken.csv"
    ):
        pack(str(folder), tmp_path / "store", shard_size=2, max_broken=0.2, share=(1, 1), workers=1)


@pytest.mark.parametrize("advice", ["repair", "raise", "remove"])
def test_each_advice_about_unreadable_files_works(folder, tmp_path, advice):
    store, path = tmp_path / "store", folder / "b" / "08.jpg"
    path.write_bytes(b"\xff\xd8 nothing")
    with pytest.raises(DataError, match="could not be read, more than --max_broken allows"):
        pack(str(folder), store, shard_size=2)
    if advice == "repair":
        path.write_bytes(jpeg(8))
    elif advice == "remove":
        path.unlink()
        store = tmp_path / "another"
    pack(str(folder), store, shard_size=2, max_broken=0.1 if advice == "raise" else 0.0)
    assert len(StoreFolder(store)) == COUNT - (advice != "repair")


@pytest.mark.parametrize("options,larger", [([], True), (["--resize", "16"], False)])
def test_the_size_of_a_store_stands_beside_that_of_its_files(folder, tmp_path, capsys, options, larger):
    store = tmp_path / "store"
    for number in range(3):  # smooth and fine: few bytes in a file, as many blocks as any
        Image.linear_gradient("L").resize((400, 300)).save(folder / "a" / f"{number}.jpg")
    assert main(["pack", str(folder), str(store), *options]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    files = sum(path.stat().st_size for path in folder.rglob("*.jpg"))
    made = sum(path.stat().st_size for suffix in ("bin", "npy") for path in store.glob(f"*.{suffix}"))
    assert f"{made / 1e6:.1f} MB" in said
    assert f"files that it was made from have {files / 1e6:.1f} MB, it has {made / files:.2f}x of that" in said
    assert ("smaller would be one with --resize 256 or so or fewer --bands" in said) == larger == (made > files)


def test_no_file_could_be_read(folder, tmp_path):
    for path in folder.rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"no file of the source of .* could be read; see .*broken.csv"):
        pack(str(folder), tmp_path / "store", max_broken=1)


def test_a_shard_cut_short_is_found_named_and_packed_again(store, folder):
    whole, path = content(store), store / "shard-00003.bin"
    path.write_bytes(whole[path.name][:-100])
    (store / "shard-00001.bin").unlink()
    before = {name: mark for name, mark in marks(store).items() if "00001" not in name and "00003" not in name}
    size = len(whole[path.name])
    with pytest.raises(DataError, match=r"2 of 6 shards of .* are damaged") as raised:
        StoreFolder(store)
    assert f"shard-00003.bin has {size - 100} of {size} bytes" in str(raised.value)
    assert "shard-00001.bin is missing" in str(raised.value) and "Remove the files of these shards" in str(raised.value)
    pack(str(folder), store, shard_size=2)
    assert content(store) == whole
    assert {name: marks(store)[name] for name in before} == before


def test_flipped_bytes_are_named_by_verify_and_left_out_in_training(store, folder, capsys):
    whole = content(store)
    table = np.load(store / "shard-00002.npy", allow_pickle=False)
    data = bytearray(whole["shard-00002.bin"])
    data[int(table[1]["offset"]) + 300] ^= 1
    (store / "shard-00002.bin").write_bytes(data)
    assert main(["pack", "--verify", str(store)]) == 1
    said = capsys.readouterr().out
    assert (
        "shard-00002.bin: record 1 (of 'a/05.jpg') does not match its checksum" in said and "Remove the files" in said
    )
    with pytest.raises(JPEGError, match=r"shard-00002.bin, byte \d+: record 1 does not match.*`dctnet pack --verify"):
        StoreFolder(store).sample(SampleKey(0, 5))
    batches = list(KeyedLoader(StoreFolder(store), 4, max_broken=0.1, report=False))
    assert [batch.planned for batch in batches] == [4, 4, 4] and sum(len(batch.labels) for batch in batches) == 11
    ((path, reason),) = batches[1].broken
    assert path == str(store / "a/05.jpg") and "record 1 does not match its checksum" in reason
    with pytest.raises(DataError, match="1 of 12 files could not be read"):
        list(KeyedLoader(StoreFolder(store), 4, max_broken=0.01, report=False))
    for path in store.glob("shard-00002.*"):
        path.unlink()
    pack(str(folder), store, shard_size=2)
    assert content(store) == whole
    capsys.readouterr()
    assert main(["pack", "--verify", str(store)]) == 0
    assert "every record matches its checksum" in capsys.readouterr().out


def test_verify_names_a_part_that_is_not_finished(folder, tmp_path, capsys):
    for split in ("train", "val"):
        shutil.copytree(folder, tmp_path / "data" / split)
    store = tmp_path / "store"
    pack(str(tmp_path / "data"), store, shard_size=2)
    index = (store / "val" / "index.json").read_bytes()
    (store / "val" / "index.json").unlink()
    capsys.readouterr()
    assert main(["pack", "--verify", str(store)]) == 1
    said = capsys.readouterr().out
    assert "train: every record matches its checksum" in said
    assert f"val: all shards are finished, but there is no index.json: `dctnet pack --finish {store}/val`" in said
    (store / "val" / "shard-00003.json").unlink()
    assert main(["pack", "--verify", str(store)]) == 1
    assert "1 of 6 shards of" in (said := capsys.readouterr().out) and "are not finished: 3 (counted from 0)" in said
    pack(str(tmp_path / "data"), store, shard_size=2)
    assert (store / "val" / "index.json").read_bytes() == index and main(["pack", "--verify", str(store)]) == 0


def test_every_flipped_byte_of_a_shard_is_found(store):
    """One byte of each record, wherever it lies: scales, values, name; and of the table."""
    whole, rng = (store / "shard-00000.bin").read_bytes(), np.random.default_rng(0)
    table = np.load(store / "shard-00000.npy", allow_pickle=False)
    row = table[0]
    for place in [0, 5, int(row["length"]) - 1, *rng.integers(0, int(row["length"]), 20)]:
        data = bytearray(whole)
        data[int(row["offset"]) + int(place)] ^= 1 << int(rng.integers(8))
        (store / "shard-00000.bin").write_bytes(data)
        assert len(verify(store)) == 1, place
    (store / "shard-00000.bin").write_bytes(whole)
    data = bytearray((store / "shard-00000.npy").read_bytes())
    data[-10] ^= 4
    (store / "shard-00000.npy").write_bytes(data)
    assert verify(store) == ["shard-00000.npy does not match its checksum"]


def edit(store: Path, change, valid: bool = True) -> None:
    """Change the index; ``valid``: with a checksum that agrees."""
    index = json.loads((store / "index.json").read_text())
    change(index)
    if valid:
        index["crc"] = checksum(index)
    (store / "index.json").write_text(json.dumps(index))


EDITS = {
    "renamed class": (lambda i: i["classes"].__setitem__(0, "z"), False, "was changed after packing, its checksum"),
    "wrong count": (lambda i: i.update(records=13), True, "counts 13 records, its shards have 12"),
    "wrong shard count": (
        lambda i: (i["shards"][0].update(records=3), i.update(records=13)),
        True,
        "has 2 rows, the index counts 3",
    ),
    "missing entry": (lambda i: i.pop("shards"), True, "the entry 'shards' is missing"),
    "missing entry of a shard": (lambda i: i["shards"][1].pop("bytes"), True, "the entry 'bytes' is missing"),
    "no shard": (lambda i: (i["shards"].clear(), i.update(records=0)), True, "it names no record"),
    "path traversal": (
        lambda i: i["shards"][0].update(name="../../shard-00000"),
        True,
        "is called '../../shard-00000', not",
    ),
    "absolute path": (lambda i: i["shards"][0].update(name="/etc/passwd"), True, "is called '/etc/passwd', not"),
    "shard twice": (lambda i: i["shards"].__setitem__(1, i["shards"][0]), True, "names a shard twice"),
    "absurd size": (
        lambda i: i["shards"][0].update(bytes=2**80),
        True,
        "bytes is 1208925819614629174706176, not a count",
    ),
    "negative size": (lambda i: i["shards"][0].update(table_bytes=-1), True, "table_bytes is -1, not a count"),
    "size as text": (lambda i: i["shards"][0].update(bytes="many"), True, "bytes is 'many', not a count"),
    "shard as number": (lambda i: i["shards"].__setitem__(0, 7), True, "a shard is described by 7"),
    "shards as number": (lambda i: i.update(shards=7), True, "not iterable"),
    "too few classes": (
        lambda i: i.update(classes=["a"]),
        True,
        "row 0 does not fit the shard, the bands or the classes",
    ),
    "classes as text": (lambda i: i.update(classes="ab"), True, "classes is no list of names"),
    "other bands": (lambda i: i["bands"].update(y=[0]), True, "row 0 does not fit the shard, the bands"),
    "impossible band": (lambda i: i["bands"].update(y=[0, 64]), True, "are no settings of a store"),
    "bands missing": (lambda i: i.pop("bands"), True, "are no settings of a store"),
    "other type": (lambda i: i.update(dtype="int16"), True, "row 0 does not fit"),
    "version to come": (lambda i: i.update(version=2), True, "version 2, this dctnet reads version 1: install"),
    "other format": (lambda i: i.update(format="zip"), True, "format is 'zip', not 'dctnet store'"),
    "other blocks": (lambda i: i.update(block_size=16), True, "blocks of 8"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_index_is_refused(store, name):
    change, valid, message = EDITS[name]
    edit(store, change, valid)
    with pytest.raises(DataError) as raised:
        StoreFolder(store)
    assert message in str(raised.value)
    assert any(advice in str(raised.value) for advice in ("`dctnet pack --finish", "Remove the files of these shards"))


@pytest.mark.parametrize("text", ["", "{", "[1]", "\0\xff", "[" * 100000, '{"format": NaN}'])
def test_an_index_that_is_no_json(store, text):
    (store / "index.json").write_text(text)
    with pytest.raises(DataError, match=r"index\.json"):
        StoreFolder(store)


def test_a_lost_or_edited_index_is_made_again_from_the_shards(store):
    whole = (store / "index.json").read_bytes()
    (store / "index.json").unlink()
    with pytest.raises(DataError, match="not finished: run the same `dctnet pack` again"):
        StoreFolder(store)
    assert main(["pack", "--finish", str(store)]) == 0
    assert (store / "index.json").read_bytes() == whole
    edit(store, lambda index: index.update(records=99))
    assert main(["pack", "--finish", str(store)]) == 0
    assert (store / "index.json").read_bytes() == whole and len(StoreFolder(store)) == COUNT


PLAN_EDITS = {
    "bands": lambda plan: plan["bands"].update(y=list(range(16))),
    "type": lambda plan: plan.update(dtype="int16"),
    "classes": lambda plan: plan["classes"].reverse(),
    "fewer shards": lambda plan: plan.update(shards=5),
    "no checksum": lambda plan: plan.pop("crc"),
}


@pytest.mark.parametrize("name", PLAN_EDITS)
def test_an_edited_plan_is_refused(folder, store, name):
    """All of these would fit the shards as they are, and give their coefficients another meaning."""
    plan = json.loads((store / "plan.json").read_text())
    PLAN_EDITS[name](plan)
    (store / "plan.json").write_text(json.dumps(plan))
    (store / "index.json").unlink()
    with pytest.raises(DataError, match=r"plan\.json was changed since the store was begun.*take back the change, or"):
        finish(store)
    with pytest.raises(DataError, match=r"plan\.json was changed"):
        pack(str(folder), store, shard_size=2)
    assert not (store / "index.json").exists()


HOSTILE = {
    "offset": (2**63, 2**64 - 64, 64 * 1000),
    "length": (2**32 - 1, 0),
    "name": (2**32 - 1,),
    "label": (-1, 2, 2**31 - 1),
    "height": (0, 2**32 - 1, 8),
    "width": (0, 2**32 - 1, 8),
    "sampling": (0, 255, 3),
}


@pytest.mark.parametrize("field", HOSTILE)
def test_a_hostile_table_reads_nothing_outside_of_its_shard(store, field):
    """With all checksums made to agree: only the checks of the values themselves are left."""
    for value in HOSTILE[field]:
        table = np.load(store / "shard-00000.npy", allow_pickle=False).copy()
        table[1][field] = value
        file = io.BytesIO()
        np.save(file, table)
        bad = store.with_name(f"bad-{value}")
        shutil.copytree(store, bad)
        (bad / "shard-00000.npy").write_bytes(file.getvalue())

        def change(index, file=file):
            data = file.getvalue()
            index["shards"][0].update(table_crc=zlib.crc32(data), table_bytes=len(data))

        edit(bad, change)
        with pytest.raises(DataError, match=r"row 1 (does not fit|has an impossible size)"):
            StoreFolder(bad)


def test_a_pickle_in_place_of_a_table_is_not_loaded(store):
    file = io.BytesIO()
    np.save(file, np.array([print, None], dtype=object), allow_pickle=True)
    (store / "shard-00000.npy").write_bytes(file.getvalue())
    edit(
        store, lambda i: i["shards"][0].update(table_crc=zlib.crc32(file.getvalue()), table_bytes=len(file.getvalue()))
    )
    with pytest.raises(DataError, match="Object arrays cannot be loaded when allow_pickle=False"):
        StoreFolder(store)
    assert TABLE.hasobject is False


def test_writers_that_start_at_once_share_the_work(folder, store, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "plan.json.1.partial").touch()  # of one more that starts at the same moment
    writers = [command(folder, shared, "--shard_size", 2, "--shard", f"{number}/3") for number in (1, 2, 3)]
    for writer in writers:
        _, said = writer.communicate(timeout=300)
        assert writer.returncode == 0, said
    (shared / "plan.json.1.partial").unlink()
    assert content(shared) == content(store)


def test_two_writers_at_one_shard(folder, tmp_path):
    store = tmp_path / "store"
    partial = store / "shard-00004.bin.partial"
    with stuck_at(folder / "b" / "09.jpg"):
        first = command(folder, store, "--shard_size", 2)
        wait_for(lambda: partial.exists() and partial.stat().st_size > 0, first)
        inode, size = partial.stat().st_ino, partial.stat().st_size
        second = command(folder, store, "--shard_size", 2)
        _, said = second.communicate(timeout=300)
        assert second.returncode == 2 and said.count("\n") == 1
        assert f"another process is writing {store}/shard-00004.bin now" in said and "--shard 1/N" in said
        assert first.poll() is None and (partial.stat().st_ino, partial.stat().st_size) == (inode, size)
        first.kill()
        first.communicate()
    pack(str(folder), store, shard_size=2)
    assert len(StoreFolder(store)) == COUNT and verify(store) == []


def test_a_job_array_parts_the_shards_and_the_last_writes_the_index(folder, store, tmp_path):
    shared = tmp_path / "shared"
    for number in (3, 1, 2):
        assert not (shared / "index.json").exists()
        assert main(["pack", str(folder), str(shared), "--shard_size", "2", "--shard", f"{number}/3"]) == 0
    assert content(shared) == content(store)


def test_reading_while_another_process_packs(folder, store, tmp_path):
    """Readers keep the files that they have open, whatever is renamed into their place."""
    reader = StoreFolder(store)
    planes = [reader.image(index).coefficients.y.clone() for index in range(COUNT)]
    for path in store.glob("shard-0000[135].*"):
        path.unlink()
    pack(str(folder), store, shard_size=2)
    assert all((reader.image(index).coefficients.y == plane).all() for index, plane in enumerate(planes))
    again = StoreFolder(store)
    assert all((again.image(index).coefficients.y == plane).all() for index, plane in enumerate(planes))


def test_a_shard_replaced_between_opening_and_reading_is_an_error_of_that_sample(store):
    reader = StoreFolder(store)
    (store / "shard-00000.bin").write_bytes(b"short")
    with pytest.raises(OSError, match="no longer has its"):
        reader.image(0)
    batch = next(iter(KeyedLoader(reader, 4, max_broken=1, report=False)))
    assert len(batch.labels) == 2 and len(batch.broken) == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_a_shard_cut_short_while_it_is_read_is_named(store, workers):
    """In place, under readers that have it open: a mapping would end the process."""
    loader = KeyedLoader(StoreFolder(store), 2, workers=workers, report=False)
    assert all(not batch.broken for batch in loader)  # each process has read all, and has the shards open
    os.truncate(store / "shard-00002.bin", 1000)
    with pytest.raises(
        DataError, match=r"could not be read.*shard-00002\.bin no longer has its \d+ bytes; `dctnet pack --verify"
    ):
        for _ in loader:
            pass


def test_no_more_shards_are_open_than_may_be(store, monkeypatch):
    monkeypatch.setattr("dctnet.data.store.MOST_OPEN", 2)
    reader = StoreFolder(store)

    def opened() -> int:
        links = [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return sum(link.startswith(str(store)) for link in links)

    for _ in range(2):
        for index in range(COUNT):
            reader.image(index)
            assert 1 <= opened() <= 2
    del reader
    assert opened() == 0


def test_other_settings_or_files_are_refused(folder, store):
    with pytest.raises(
        DataError, match=r"begun with other settings or files: bands, dtype, resize differ .*resize None there, 32 now"
    ):
        pack(str(folder), store, shard_size=2, bands=6, dtype="int16", resize=32)
    with pytest.raises(DataError, match="the number of shards differ"):
        pack(str(folder), store, shard_size=3)
    (folder / "a" / "99.jpg").write_bytes(jpeg(99))
    with pytest.raises(
        DataError, match=r"the files of the source differ|the number of shards, the files of the source differ"
    ):
        pack(str(folder), store, shard_size=2)


def test_a_share_in_shards_of_another_size_is_refused(folder, tmp_path):
    """Both sizes make three shards of ten files, with the files parted elsewhere."""
    for path in list(folder.rglob("*.jpg"))[:2]:
        path.unlink()
    pack(str(folder), tmp_path / "s", shard_size=4, share=(1, 2))
    with pytest.raises(DataError, match="shard_size 4 there, 5 now"):
        pack(str(folder), tmp_path / "s", shard_size=5, share=(2, 2))
    pack(str(folder), tmp_path / "s", shard_size=4, share=(2, 2))
    assert len(StoreFolder(tmp_path / "s")) == COUNT - 2


def test_a_finished_store_is_packed_again_without_being_written_to(folder, tmp_path, capsys):
    (folder / "b" / "08.jpg").write_bytes(b"\xff\xd8 nothing")
    pack(str(folder), tmp_path / "broken", shard_size=2, max_broken=0.1)
    pack(str(folder), tmp_path / "tars", shard_size=2, format="webdataset")

    for again, form in ((tmp_path / "broken", "store"), (tmp_path / "tars", "webdataset")):
        paths = [again, *again.iterdir()]  # whatever is made, renamed or removed changes the time of the folder
        before = {path: path.stat().st_mtime_ns for path in paths}
        capsys.readouterr()
        pack(str(folder), again, shard_size=2, max_broken=0.1, format=form)
        said = capsys.readouterr().out
        assert "6 of 6 shards are finished already" in said and "records in 6 shards" in said
        assert {path: path.stat().st_mtime_ns for path in paths} == before


@pytest.mark.parametrize("place", ["train", "../pictures/a/b"])
def test_a_store_within_its_source_is_refused(folder, place):
    before = sorted(folder.rglob("*"))
    with pytest.raises(DataError, match="where it would be a class"):
        pack(str(folder), folder / place)
    assert sorted(folder.rglob("*")) == before


def test_a_store_is_not_finished_over_a_damaged_table_or_mark(store):
    table, mark = store / "shard-00001.npy", store / "shard-00002.json"
    (store / "index.json").unlink()
    whole = table.read_bytes()
    table.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    with pytest.raises(DataError, match=r"shard-00001\.npy is damaged: remove the files of its shard"):
        finish(store)
    table.write_bytes(whole)
    text = mark.read_text()
    for name, value in (("broken", [1]), ("records", -3), ("table_crc", None)):
        mark.write_text(json.dumps(json.loads(text) | {name: value}))
        with pytest.raises(DataError, match="1 of 6 shards"):
            finish(store)
    mark.write_text(text)
    finish(store)
    assert not verify(store)


def test_a_folder_of_something_else_is_not_written_to(folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(DataError, match="exists and was not made by `dctnet pack`; remove it or choose another"):
        pack(str(folder), tmp_path / "mine")
    assert os.listdir(tmp_path / "mine") == ["thesis.tex"]


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["{folder}", "{out}", "--bands", "25"], "static sets hold"),
        (["{folder}", "{out}", "--bands", "some"], "square-1 to square-8, or all; got 'some'"),
        (["{folder}", "{out}", "--dtype", "int4"], "int8 or int16; got dtype 'int4'"),
        (["{folder}", "{out}", "--shard", "3"], "--shard is I/N, such as 3/100; got '3'"),
        (["{folder}", "{out}", "--shard", "3/2"], "1 <= I <= N; got 3/2"),
        (["{folder}", "{out}", "--shard_size", "0"], "at least 1; got 0"),
        (["{folder}", "{out}", "--workers", "0"], "at least 1; got 0"),
        (["{folder}", "{out}", "--max_broken", "2"], "from 0 to 1; got 2"),
        (["{folder}", "{out}", "--resize", "3"], "from 8 to 65535 pixels; got 3"),
        (["{folder}", "{out}", "--format", "zip"], "--format is store or webdataset; got 'zip'"),
        (["{folder}/nowhere", "{out}"], "there is no folder"),
        (["{folder}", "{folder}"], "exists and was not made by `dctnet pack`"),
        (["--verify", "{folder}"], "is no packed store"),
        (["--finish", "{folder}"], "is no packed store"),
    ],
)
def test_arguments_that_make_no_sense(folder, tmp_path, capsys, arguments, message):
    words = [word.format(folder=folder, out=tmp_path / "out") for word in arguments]
    assert main(["pack", *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("dctnet pack: ") and said.count("\n") == 1


def test_empty_classes_are_named(folder, tmp_path):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"1 of 3 class folders .* hold no JPEG file"):
        pack(str(folder), tmp_path / "store")


def test_splits_are_packed_each_on_its_own_and_a_class_may_be_called_train(folder, tmp_path, capsys):
    data = tmp_path / "data"
    for split in ("train", "val"):
        shutil.copytree(folder, data / split)
    assert main(["pack", str(data), str(tmp_path / "both")]) == 0
    assert len(StoreFolder(tmp_path / "both" / "train")) == len(StoreFolder(tmp_path / "both" / "val")) == COUNT
    assert main(["pack", "--verify", str(tmp_path / "both")]) == 0
    vehicles = tmp_path / "vehicles"
    shutil.copytree(folder / "a", vehicles / "train")
    shutil.copytree(folder / "b", vehicles / "tram")
    pack(str(vehicles), tmp_path / "store")
    assert StoreFolder(tmp_path / "store").classes == ["train", "tram"]
