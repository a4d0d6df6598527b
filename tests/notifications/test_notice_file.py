"""The file of a waiting notice: damage is found, and what an earlier version wrote is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from daemon.clock import DrivenClock
from market.errors import DataInvalid
from notifications.notice import Kind, Level, Notice
from notifications.notice_file import NoticeFile, decode_notice, encode_notice
from notifications.outbox import Outbox
from notifications.shelf import tag_of

AT = datetime(2026, 2, 2, 15, tzinfo=UTC)
PUT = AT + timedelta(seconds=7)
NOTICE = Notice(
    "ETH-USDT/2026-02-02T14/verdict", "ETH-USDT", Level.EMERGENCY, 'title "x" ü', "body\n", AT,
    Kind.ADVICE, "eth-1", "WARNING", "2026-02-02/dec-ETH-USDT-150000",
)  # fmt: skip
FILE = encode_notice(NOTICE, PUT, ["phone"])
NAME = f"00000001-{tag_of(NOTICE.dedupe)}.json"
# as the version before the digest wrote it, and as the first version did
UNSEALED = orjson.dumps({name: each for name, each in orjson.loads(FILE).items() if name != "digest"})
OLDEST = orjson.dumps(
    {"dedupe": "d", "market": "", "level": "high", "title": "t", "body": "b", "at": "2026-02-02T15:00:00Z",
     "left": ["phone", "pager"]}
)  # fmt: skip


class Phone:
    """A channel that takes everything."""

    def __init__(self, name: str = "phone") -> None:
        self.name, self.got = name, list[Notice]()

    async def send(self, notice: Notice) -> None:
        self.got.append(notice)

    async def aclose(self) -> None:
        pass


def flipped(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def test_every_single_bit_flip_is_found():
    """Of any bit of the file, digest and quotes too: refused by the file's name, never another notice."""
    assert decode_notice(FILE, "f") == NoticeFile(NOTICE, PUT, ("phone",))
    for bit in range(8 * len(FILE)):
        with pytest.raises(DataInvalid, match=r"^outbox/1: "):
            decode_notice(flipped(FILE, bit), "outbox/1")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 8 * len(FILE) - 1))
def test_no_flipped_bit_drops_a_notice_silently(bit):
    """At a start it is set aside, in the log and told; nothing was noted as told, nothing removed."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / NAME).write_bytes(flipped(FILE, bit))
        with capture_logs() as logs:
            outbox = Outbox(folder, [Phone()], DrivenClock(AT))
        aside = NAME.replace(".json", ".damaged")
        assert outbox.damaged == [aside]
        assert [path.name for path in folder.iterdir()] == [aside]
        assert [(entry["event"], entry["file"]) for entry in logs] == [
            ("a notice is damaged and was set aside", NAME)
        ]
        assert not outbox.knows(NOTICE.dedupe)


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        (FILE[:-1], "", "JSON"),
        (b"", "", "JSON"),
        (b"[" * 100_000, "", "recursion"),
        (b"[1, 2]", "", "expected a notice as the outbox wrote it"),
        (FILE.replace(b"phone", b"phonf"), "digest", "the content gives sha256:"),
        (UNSEALED.replace(b'["phone"]', b"[]"), "left", "at least 1 item"),
        (UNSEALED.replace(b'"left"', b'"lefu"'), "left", "Field required"),
        (UNSEALED.replace(b'"grid_id"', b'"grid_ie"'), "grid_ie", "Extra inputs"),
        (
            UNSEALED.replace(b'"at":"2026-02-02T15:00:00Z"', b'"at":1770044400'),
            "at",
            "expected the form 2026-",
        ),
        (UNSEALED.replace(b"emergency", b"emergencz"), "level", "'quiet', 'normal', 'high' or 'emergency'"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_field(data, field, words):
    """File, field, what was found and what was expected."""
    with pytest.raises(DataInvalid) as caught:
        decode_notice(data, "outbox/1")
    assert (caught.value.where, caught.value.field) == ("outbox/1", field)
    assert words in caught.value.problem
    assert len(str(caught.value)) < 400


async def test_what_an_earlier_version_left_is_read_and_sealed(tmp_path):
    """Without a digest it is read by its fields, what it did not know as it was then; then sealed."""
    assert decode_notice(UNSEALED, "f") == NoticeFile(NOTICE, PUT, ("phone",), is_sealed=False)
    path = tmp_path / f"00000001-{tag_of('d')}.json"
    path.write_bytes(OLDEST)
    phone, pager = Phone(), Phone("pager")
    outbox = Outbox(tmp_path, [phone, pager], DrivenClock(AT))
    notice = Notice("d", "", Level.HIGH, "t", "b", AT)
    assert decode_notice(path.read_bytes(), "f") == NoticeFile(notice, AT, ("phone", "pager"))
    assert await outbox.deliver() == 0
    assert (phone.got, pager.got) == ([notice], [notice])


def test_a_name_that_is_no_notice_s_ends_no_start(tmp_path):
    """Whoever put it there: what is not numbered is not ours."""
    (tmp_path / "1x.json").write_bytes(FILE)
    assert Outbox(tmp_path, [Phone()], DrivenClock(AT)).waiting == 0
    assert (tmp_path / "1x.json").exists()
