"""What befalls the worker processes of a loader, as one error of ours where a batch is awaited."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from torch.utils.data import DataLoader

from dctnet.data.folder import DataError

Item = TypeVar("Item")

CAUSES = {
    signal.SIGKILL: "Most often memory ran out: `dmesg` names the process then. Take fewer workers (--data.workers N), a "
    "smaller --data.prefetch or --data.batch_size",
    signal.SIGBUS: "A file was cut short while it was mapped (of a store: `dctnet pack --verify STORE`), or the shared memory "
    "is full (`df /dev/shm`): then take fewer workers (--data.workers N) or a smaller --data.prefetch",
}
OTHERWISE = "`dmesg` may say why; --data.workers 0 reads in the training process itself"
RESUME = "A run of `dctnet fit` goes on from its last checkpoint: the same command with --ckpt_path last."


def from_workers(loader: DataLoader[Any], start: Callable[[], Iterator[Item]] | None = None) -> Iterator[Item]:
    """The items of ``loader``, of the iterator that ``start`` makes where a subclass has one of its own.

    A DataError of a worker comes as it was raised there; ChildProcessError, which says what to do, for a worker that is gone.
    """
    items = loader._iterator  # of the epoch before, where workers persist: they are called when the next one starts
    try:
        items = iter(loader) if start is None else start()
        _raise_only_where_awaited()
        yield from items
    except DataError as error:
        caught, _, message = str(error).rpartition("DataError: ")
        if not caught.startswith("Caught DataError in DataLoader worker"):
            raise
        raise DataError(message.strip()) from error
    except (RuntimeError, OSError, EOFError) as error:
        lost = what_is_lost(getattr(items, "_workers", ()))
        if lost is None:
            raise
        raise ChildProcessError(lost) from error


def what_is_lost(workers: Sequence[BaseProcess]) -> str | None:
    """Which worker is gone, the likely causes and the next step; None where all are there."""
    gone = wait([worker.sentinel for worker in workers], timeout=1) if workers else []
    for worker in workers:
        if worker.sentinel in gone:
            worker.join()
            code = worker.exitcode or 0
            how = f'was ended by the signal "{signal.strsignal(-code)}"' if code < 0 else f"ended with exit code {code}"
            return f"a reading worker (process {worker.pid}) {how}. {CAUSES.get(-code, OTHERWISE)}. {RESUME}"
    return None


def _raise_only_where_awaited() -> None:
    """Take torch's handler of SIGCHLD away.

    It raises its error wherever the program is at that moment: halfway in a message to another worker, or in what C++ calls
    and must not raise, which ends the process. While a batch is awaited torch looks after its workers every five seconds.
    """
    handler = signal.getsignal(signal.SIGCHLD)
    ours = getattr(handler, "__module__", None) == "torch.utils.data._utils.signal_handling"
    if ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
