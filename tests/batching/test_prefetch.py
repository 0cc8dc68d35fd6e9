import threading
import time

import pytest

from compbench_jax.batching.prefetch import prefetch


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_items_come_in_order_and_the_thread_ends(size):
    assert list(prefetch(range(50), size)) == list(range(50))
    assert list(prefetch([], size)) == []
    assert threads() == []


def test_none_is_an_item_like_any_other():
    assert list(prefetch([None, 0, None])) == [None, 0, None]


def test_items_are_made_in_another_thread_and_ahead_of_their_use():
    made = []

    def items():
        for i in range(10):
            made.append((i, threading.current_thread().name))
            yield i

    iterator = prefetch(items(), size=2)
    assert next(iterator) == 0
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    assert len(made) == 4  # the one used, two waiting, one in the thread's hands
    assert {name for _, name in made} == {"prefetch"}
    assert list(iterator) == list(range(1, 10))


def test_an_exception_arrives_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise KeyError("spoilt")

    seen = []
    with pytest.raises(KeyError, match="spoilt"):
        for item in prefetch(items()):
            seen.append(item)
    assert seen == [1, 2]
    assert threads() == []


def test_an_abandoned_iteration_ends_its_thread():
    def forever():
        i = 0
        while True:
            yield i
            i += 1

    iterator = prefetch(forever())
    assert next(iterator) == 0
    assert len(threads()) == 1
    iterator.close()
    assert threads() == []


def test_an_error_in_the_consumer_ends_the_thread():
    def consume():
        for item in prefetch(iter(range(10**9))):
            if item == 3:
                raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        consume()
    deadline = time.monotonic() + 5
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == []
