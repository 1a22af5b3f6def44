"""What befalls the worker processes of a loader, as one error of ours in place of torch's two tracebacks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from dctnet.data.folder import DataError

SIGNAL = re.compile(r"DataLoader worker \(pid (\d+)\) is killed by signal: ([^.]*)\.")
GONE = re.compile(r"DataLoader worker \(pid\(s\) ([\d, ]+)\) exited unexpectedly")
CAUSES = {
    "Killed": "Most often memory ran out: `dmesg` names the process then. Take fewer workers (--data.workers N), a smaller "
    "--data.prefetch or --data.batch_size",
    "Bus error": "A file was cut short while it was mapped (of a store: `dctnet pack --verify STORE`), or the shared memory is "
    "full (`df /dev/shm`): then take fewer workers (--data.workers N) or a smaller --data.prefetch",
}
OTHERWISE = "`dmesg` may say why; --data.workers 0 reads in the training process itself"

RESUME = "A run of `dctnet fit` goes on from its last checkpoint: the same command with --ckpt_path last."


@contextmanager
def worker_errors() -> Iterator[None]:
    """A DataError of a worker as it was raised there; ChildProcessError, which says what to do, for a worker that is gone.

    torch tells of such a worker wherever the program is at that moment, not only while it waits for a batch.
    """
    try:
        yield
    except DataError as error:
        caught, _, message = str(error).rpartition("DataError: ")
        if not caught.startswith("Caught DataError in DataLoader worker"):
            raise
        raise DataError(message.strip()) from error
    except RuntimeError as error:
        lost = what_is_lost(error)
        if lost is None:
            raise
        raise ChildProcessError(lost) from error


def what_is_lost(error: BaseException | None) -> str | None:
    """Which worker is gone, the likely causes and the next step; None where the error is of something else.

    >>> what_is_lost(RuntimeError("DataLoader worker (pid 7) is killed by signal: Aborted. "))[:70]
    'a reading worker (process 7) was ended by the signal "Aborted". `dmesg'
    """
    gone = None
    while error is not None:
        if found := SIGNAL.search(str(error)):
            said = f'a reading worker (process {found[1]}) was ended by the signal "{found[2]}". '
            return f"{said}{CAUSES.get(found[2], OTHERWISE)}. {RESUME}"
        if found := GONE.search(str(error)):
            gone = f"a reading worker (process {found[1]}) ended unexpectedly. {CAUSES['Killed']}. {RESUME}"
        error = error.__cause__ or error.__context__
    return gone
