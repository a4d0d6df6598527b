"""What becomes of damaged files: refused with a message, taken whole, as another valid one, or half-read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from structlog.testing import capture_logs

from daemon.cli import said
from market.errors import ConfigInvalid, RegimedError
from tests.corpus.damage import broken
from tests.corpus.kinds import FileKind, kinds

# Where in the file it is: a field, a line, a byte; or that the whole has no such form.
_PLACES = (
    r"(line|column|byte|row|set|schema|version) \d+", r"\d+ (bytes|YAML documents|rows|of \d+ lines)",
    r"(^|[: ])\S+(, [\w.]+)*: .", r"\w+, expected a|malformed",
    r"not JSON|Invalid JSON|not UTF-8|not YAML|not CSV|not a (readable|database)|not the bytes|is empty",
    r"expected a mapping|should be an object|unknown key|is required|holds \w+, expected|\w+Error: ",
)  # fmt: skip
# What to do: what was expected there, a command, or what the program did by itself.
_REMEDIES = (
    r"`regimed (fsck|index rebuild)`|again|anew|expected|should (be|have)|known here|did you mean",
    r"configured:|is required|deeper than \d+",
    r"take it away|once more|set aside|remove it|acknowledge on the phone|name another folder",
)
_PLACE, _REMEDY = re.compile("|".join(_PLACES)), re.compile("|".join(_REMEDIES))


@dataclass(slots=True)
class Tally:
    """What became of a kind's damaged files.

    Attributes:
        refused: Refused, set aside or forgotten, with a message.
        whole: Taken, and equal to what it was.
        other: Taken as another valid one; `kind.found_by` says who finds that.
        cut: Those among them that were cut short, where a valid one could end.
        half: Taken although not what it was, where a digest or a form should have refused it.
        broke: The exceptions that were no refusals.
        mute: Messages that lack file, place or remedy.
    """

    kind: FileKind
    refused: int = 0
    whole: int = 0
    other: int = 0
    cut: int = 0
    half: list[str] = field(default_factory=list)
    broke: list[str] = field(default_factory=list)
    mute: list[str] = field(default_factory=list)

    @property
    def files(self) -> int:
        return self.refused + self.whole + self.other + len(self.half) + len(self.broke)


def counted(kind: FileKind, number: int, seed: int = 1) -> Tally:
    """Damage one kind of file in every way and say what became of each."""
    tally = Tally(kind)
    before, _ = _read(kind, kind.data)
    for what, damaged in broken(kind.data, number, seed):
        if damaged == kind.data:
            continue
        try:
            taken, messages = _read(kind, damaged)
        except RegimedError as error:
            tally.refused += 1
            _hear(tally, what, error.problems if isinstance(error, ConfigInvalid) else [said(error)])
            continue
        except Exception as error:  # noqa: BLE001 a traceback is what is looked for
            tally.broke.append(f"{kind.name}: {what}: {type(error).__name__}: {error}")
            continue
        if messages:
            tally.refused += 1
            _hear(tally, what, messages)
        elif taken == before:
            tally.whole += 1
        elif kind.found_by:
            tally.other += 1
            tally.cut += what.startswith("cut")
        else:
            tally.half.append(f"{kind.name}: {what}")
    return tally


def _read(kind: FileKind, data: bytes) -> tuple[object, Sequence[str]]:
    """Return what the program took of these bytes, and what it said in its log."""
    with TemporaryDirectory() as folder, capture_logs() as logs:
        taken = kind.read(data, Path(folder))
    words = [" ".join(str(value) for value in line.values()) for line in logs if line["log_level"] != "info"]
    return taken, words


def _hear(tally: Tally, what: str, messages: Sequence[str]) -> None:
    """Keep the messages that do not name the file, the place in it and what to do."""
    for words in messages:
        lacks = [] if Path(tally.kind.file).name in words else ["file"]
        lacks += [] if _PLACE.search(words) else ["place"]
        lacks += [] if _REMEDY.search(words) else ["remedy"]
        if lacks:
            tally.mute.append(f"{tally.kind.name}: {what}: no {', '.join(lacks)}: {words[:300]}")


def corpus(number: int, seed: int = 1) -> Iterator[Tally]:
    """Yield what became of each kind of file."""
    with TemporaryDirectory() as folder, kinds(Path(folder)) as found:
        for kind in found:
            yield counted(kind, number, seed)
