"""The note that a repository was filled from its remote: what came after that is gone."""

from __future__ import annotations

from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from market.errors import RepositoryUnusable
from store import disk
from store.seal import fault_of


class RestoredMarket(BaseModel):
    """What the remote held of one market.

    Attributes:
        newest: The newest judged hour, as `2026-02-02T14`; None where it held none.
        owed: Hours that were owed when the repository was back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    newest: str | None
    owed: int


class Restored(BaseModel):
    """Made before the first commit of a clone is in force, so that no death in between can hide it.

    Attributes:
        at: When the remote was asked.
        commit: Its newest commit.
        committed_at: When that was made.
        owed_to: The last hour that was owed when the repository was back; None until the operator is told.
        markets: What the remote held of each; empty until the operator is told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    commit: str
    committed_at: AwareDatetime
    owed_to: str | None = None
    markets: dict[str, RestoredMarket] = {}

    @property
    def is_told(self) -> bool:
        return self.owed_to is not None


def restored_path(root: Path) -> Path:
    """Return where the note lies: in this disk's Git folder, which no clone takes along."""
    return root / ".git" / "regimed.restored"


def note_restored(root: Path, restored: Restored) -> None:
    """Keep the note, durably.

    Raises:
        OSError: Disk full, no rights.
    """
    path = restored_path(root)
    data = restored.model_dump_json(indent=1).encode()
    disk.replace_synced(path, data, path.with_name(f"{path.name}.tmp"))


def recall_restored(root: Path) -> Restored | None:
    """Return the note, None where this repository began here.

    Raises:
        RepositoryUnusable: The note is damaged; says what to do.
    """
    path = restored_path(root)
    try:
        data = disk.read(path)
        return None if data is None else Restored.model_validate_json(data)
    except (ValidationError, OSError) as error:
        problem = str(error)
        if isinstance(error, ValidationError):
            field, problem = fault_of(error)
            problem = f"{field}: {problem}" if field else problem
        raise RepositoryUnusable(f"{path}: {problem}; remove it once you know what it told") from None
