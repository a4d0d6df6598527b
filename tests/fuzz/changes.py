"""How valid samples are spoilt: bits, cuts, splices, and what parsers are known to stumble over."""

from __future__ import annotations

import random
from collections.abc import Sequence

NUMBERS = b"-1 0 1e999 -0.0 NaN Infinity 9223372036854775808 1.0000000000000001".split()
WORDS = b'null true "" [] {} [[[[[[[[ \\u0000 ../../x 2026-02-30T25:00:00Z 9999-12-31T23:59:59Z'.split()
YAML_ONLY = (
    b"&a ",
    b"*a",
    b"!!python/object:os.system ",
    b"<<: ",
    b"---\n",
    b"? ",
    b"|\n",
    b"- ",
    b": ",
    b"\t",
)
BYTES = (
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\r\n",
    b"1" * 5000,
    b'{"a":' * 50,
    b"- " * 9000,
)
AWKWARD = (*NUMBERS, *WORDS, *YAML_ONLY, *BYTES)


def spoilt(dice: random.Random, samples: Sequence[bytes]) -> bytes:
    """Return a sample after one to four changes."""
    data = bytearray(dice.choice(samples))
    for _ in range(dice.choice((1, 1, 1, 2, 3, 4))):
        if not data:
            break
        at = dice.randrange(len(data))
        way = dice.randrange(7)
        if way == 0:
            data[at] ^= 1 << dice.randrange(8)
        elif way == 1:
            del data[at : at + dice.choice((1, 2, 8, 64, 4096))]
        elif way == 2:
            data[at:at] = dice.choice(AWKWARD)
        elif way == 3:
            del data[at:]
        elif way == 4:
            other = dice.choice(samples)
            start = dice.randrange(len(other) or 1)
            data[at : at + 32] = other[start : start + dice.randrange(64)]
        elif way == 5:
            _replace_token(dice, data, at)
        else:
            data[at:at] = data[at : at + dice.randrange(200)] * dice.randrange(1, 4)
    return bytes(data)


def _replace_token(dice: random.Random, data: bytearray, at: int) -> None:
    """Put something awkward in place of a whole value."""
    ends = b',:[]{}\n" &?=/'
    start = at
    while start and data[start - 1] not in ends:
        start -= 1
    end = at
    while end < len(data) and data[end] not in ends:
        end += 1
    data[start:end] = dice.choice(AWKWARD)
