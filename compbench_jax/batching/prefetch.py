"""Preparing the next batches while the device is busy with the present one."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterable[Item], size: int = 2) -> Iterator[Item]:
    """Yield ``items`` in order, prepared by one background thread that stays at most ``size`` of them ahead.

    An exception raised by ``items`` is raised here, after the items before it. The thread ends with the
    iteration, also when that is abandoned (``close()``, ``break``, or an error in the consumer).
    """
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(max(1, size))
    abandoned = threading.Event()

    def put(kind: str, value: Any) -> bool:
        """Hand over, unless the consumer has gone: it then no longer empties the queue, hence the timeout."""
        while not abandoned.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # handed to the consumer, whatever it is
            put("error", error)

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        abandoned.set()
        thread.join()
