"""Damaged forms of a file: cut, flipped, emptied, of another form, deep, huge, not text."""

from __future__ import annotations

import random
from collections.abc import Iterator


def broken(data: bytes, number: int = 24, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """Yield what was done to a file and its bytes after that, `number` cuts and flips each."""
    dice = random.Random(seed)
    for at in sorted(dice.sample(range(len(data) - 1), min(number, len(data) - 1))):
        yield f"cut at {at}", data[:at]
        flipped = bytearray(data)
        flipped[at] ^= 1 << dice.randrange(8)
        yield f"bit flipped at {at}", bytes(flipped)
    yield "emptied", b""
    yield "zeros, as after a lost write", bytes(len(data))
    yield "half zeros", data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
    yield "twice", data + data
    yield "deep", b"[" * 100_000
    yield "another form", b"[1, 2]\n"
    yield "not text", b"\xff\xfe" + data
    yield (
        "a newer version",
        data.replace(b'schema_version":1', b'schema_version":99').replace(
            b"schema_version: 1", b"schema_version: 99"
        ),
    )
