"""Uids for the sandboxes of tests, which may run side by side, and beside a Germline of the machine's."""
import os
import socket

FIRST, EACH, SLOTS = 1_000_000_000, 20_000_000, 40
_held = []


def take_uid_base():
    """The first of 20 million uids that no other test has while this process lives."""
    for turn in range(SLOTS):
        slot = (os.getpid() + turn) % SLOTS
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0germline-test-uids-{slot}")  # a name that ends with its process
        except OSError:
            lock.close()
            continue
        _held.append(lock)
        return FIRST + slot * EACH
    raise RuntimeError(f"all {SLOTS} ranges of uids for tests are in use")
