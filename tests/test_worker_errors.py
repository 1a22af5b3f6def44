"""A reading worker that is killed is one line that says what to do, wherever the program is at that moment."""

import faulthandler
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from dctnet.data.folder import DataError, FileList
from dctnet.data.torch_loader import KeyedLoader
from dctnet.data.worker_errors import from_workers
from tests.test_webdataset import jpeg

ROOT = Path(__file__).resolve().parents[1]


def workers_of(process: int) -> list[int]:
    """The processes that ``process`` has forked, without Python's own helper processes."""
    found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(process)], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "dctnet.cli" in line]


def test_fit_names_a_killed_worker_in_one_line(tmp_path):
    for index in range(12):
        path = tmp_path / "data" / ("train" if index < 10 else "val") / "ab"[index % 2] / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(index))
    words = [
        "fit",
        "--config",
        "clothing",
        "--data.root",
        "data",
        "--data.workers",
        "2",
        "--trainer.max_epochs",
        "1000",
    ]
    words += ["--data.image_size", "32", "--data.batch_size", "2", "--model.options", '{"depth": 18, "width": 0.1}']
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "dctnet.cli", *words, "--data.augment", "randaugment", "--trainer.accelerator", "cpu"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout.readline().startswith("epoch 1/1000")
            killed = workers_of(process.pid)[-1]
            os.kill(killed, signal.SIGKILL)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 1
    assert len(said.splitlines()) == 1, said
    (line,) = said.splitlines()
    assert line.startswith(f'dctnet fit: a reading worker (process {killed}) was ended by the signal "Killed". '), line
    assert "memory ran out: `dmesg`" in line and "--data.workers N" in line and "with --ckpt_path last" in line


class Dying(FileList):
    """Files of which the third ends its worker."""

    def __init__(self, paths, number):
        super().__init__(paths)
        self.number = number

    def load_batch(self, keys):
        if keys[0].index == 2:
            faulthandler.disable()  # pytest's: it would tell of the signal on the terminal
            os.kill(os.getpid(), self.number)
            time.sleep(60)
        return super().load_batch(keys)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGKILL, "memory ran out"),
        (signal.SIGBUS, "A file was cut short while it was mapped.*pack --verify STORE.*/dev/shm"),
        (signal.SIGABRT, "`dmesg` may say why"),
    ],
)
def test_a_loader_names_a_worker_that_is_gone_and_why(tmp_path, number, message):
    (tmp_path / "a.jpg").write_bytes(jpeg(0))
    loader = KeyedLoader(Dying([tmp_path / "a.jpg"] * 4, number), 1, workers=1, prefetch=1)
    with pytest.raises(ChildProcessError, match=rf"a reading worker \(process \d+\) .*{message}"):
        list(loader)


class Failing(torch.utils.data.Dataset):
    """A data set whose samples raise."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise self.error


def test_errors_of_workers_come_as_they_were_raised():
    def failing(error, workers):
        return list(from_workers(DataLoader(Failing(error), num_workers=workers)))

    with pytest.raises(DataError) as caught:
        failing(DataError("x.tar: it is damaged"), 1)
    assert str(caught.value) == "x.tar: it is damaged"
    for error in (DataError("here"), RuntimeError("of something else"), ValueError("of the user's own data set")):
        for workers in (0, 1):
            with pytest.raises(type(error), match=re.escape(str(error))):
                failing(error, workers)


def test_the_loss_of_a_worker_is_told_where_a_batch_is_awaited(tmp_path):
    """And nowhere else, where it could leave C++ in the middle of a call."""
    (tmp_path / "a.jpg").write_bytes(jpeg(0))
    loader = KeyedLoader(Dying([tmp_path / "a.jpg"] * 4, signal.SIGKILL), 1, workers=1, prefetch=1)
    before = {child.pid for child in multiprocessing.active_children()}
    batches = iter(loader)
    next(batches), next(batches)
    (worker,) = (child for child in multiprocessing.active_children() if child.pid not in before)
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    for _ in range(1000):
        pass  # bytecode, between which a handler of the signal would run
    with pytest.raises(ChildProcessError, match=f"process {worker.pid}"):
        next(batches)
