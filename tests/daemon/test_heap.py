"""Few arenas: what many threads took and gave back does not stay with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from daemon import heap

GROWN = """
import ctypes, sys, threading
import numpy as np
from daemon.heap import keep_few_arenas

if sys.argv[1] == "few":
    assert keep_few_arenas()
gate, kept = threading.Barrier(16), []

def work():
    gate.wait()
    mine = [np.zeros(3000) for _ in range(200)]  # 24 kB each: below what malloc maps by itself
    gate.wait()
    kept.append(mine[-1])

threads = [threading.Thread(target=work) for _ in range(16)]
[each.start() for each in threads]
[each.join() for each in threads]
libc = ctypes.CDLL(None)
file = libc.tmpfile
file.restype = ctypes.c_void_p
stream = ctypes.c_void_p(file())
libc.malloc_info(0, stream)
size = libc.ftell(stream)
libc.rewind(stream)
text = ctypes.create_string_buffer(size + 1)
libc.fread(text, 1, size, stream)
print(text.value.count(b"<heap nr"))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
def test_sixteen_threads_share_two_arenas():
    """Left alone, glibc makes one for each thread up to eight a core; asked, two for all."""
    arenas = {}
    for way in ("many", "few"):
        done = subprocess.run([sys.executable, "-c", GROWN, way], capture_output=True, text=True, check=True)
        arenas[way] = int(done.stdout)
    assert arenas["few"] <= heap.ARENAS < arenas["many"]


def test_another_library_is_left_alone(monkeypatch):
    """No glibc, no arenas: the program runs all the same."""
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _name: object())
    assert heap.keep_few_arenas() is False
