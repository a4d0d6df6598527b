"""How the data repository is kept; declared beside the code that it steers."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from store.git import checked_remote


class StoreSettings(BaseModel):
    """Where the data repository lies, where it is pushed, and what bounds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_path: Path = Field(description="Folder of the data repository.")
    remote: str | None = Field(None, description="Git remote that is pushed to; none keeps everything here.")
    branch: str = Field("main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Branch of both.")
    ssh_key_file: Path | None = Field(None, description="Private key for an ssh remote.")
    known_hosts_file: Path | None = Field(None, description="Host keys for an ssh remote.")
    state_dir: Path | None = Field(
        None, description="Intents, outbox, index and socket; {base_path}.state if left out."
    )
    push_timeout_s: float = Field(60.0, gt=0, le=600, description="Deadline of a push or fetch, seconds.")
    clone_timeout_s: float = Field(
        480.0,
        gt=0,
        le=86_400,
        description="Deadline of the clone that fills an empty folder, seconds; below the start-up probe's.",
    )
    queue_bound: int = Field(256, ge=1, le=10_000, description="Change-sets that may wait for the writer.")
    cache_bytes: int = Field(256_000_000, ge=1_000_000, description="Decoded columns held in memory, bytes.")
    author_name: str = Field("regimed", pattern=r"^[^<>\n]+$", description="Name on each commit.")
    author_email: str = Field(
        "regimed@localhost", pattern=r"^[^<>\s]+$", description="Address on each commit."
    )

    @field_validator("remote")
    @classmethod
    def _check_remote(cls, remote: str | None) -> str | None:
        return None if remote is None else checked_remote(remote)

    @property
    def state_folder(self) -> Path:
        return self.state_dir or self.base_path.with_name(f"{self.base_path.name}.state")
