"""Emergencies that sound until someone acknowledges them: what a restart must not forget."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.to_thread
import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from notifications.durable import write_durably

_log = structlog.get_logger("receipts")

ReceiptId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,64}$")]


@dataclass(frozen=True, slots=True)
class OpenEmergency:
    """One emergency that was taken.

    Attributes:
        grid_id: Its grid, `""` for none.
        expires_at: When it stops to sound by itself.
        acknowledged_at: When someone acknowledged it; None while nobody has.
        acknowledged_by: Who; `""` while nobody has.
        silenced: It was cancelled; whether it was acknowledged before is still to be asked.
    """

    receipt: ReceiptId
    grid_id: str
    decision: str
    market: str
    sent_at: datetime
    expires_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    silenced: bool = False


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    receipt: ReceiptId
    grid_id: str
    decision: str
    market: str
    sent_at: AwareDatetime
    expires_at: AwareDatetime
    acknowledged_at: AwareDatetime | None = None
    acknowledged_by: str = ""
    silenced: bool = False


class _File(BaseModel):
    """What `receipts.json` holds."""

    model_config = ConfigDict(extra="forbid")

    open: list[_Entry] = []
    doubtful: list[str] = []
    closed_until: AwareDatetime | None = None


class Receipts:
    """Open emergencies, in `receipts.json`; what cannot be written is kept in memory and said in the log.

    Args:
        folder: Kept across restarts.

    Attributes:
        open: Emergencies that may still sound, or whose acknowledgement is not settled; oldest first.
        doubtful: Grids with an emergency that may have been taken although no answer came.
        closed_until: The end of the exhausted quota; None while there is quota.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "receipts.json"
        self._writing = anyio.Lock()
        self.open: tuple[OpenEmergency, ...] = ()
        self.doubtful: frozenset[str] = frozenset()
        self.closed_until: datetime | None = None
        self._read()

    def _read(self) -> None:
        try:
            read = _File.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return
        except (ValidationError, OSError) as error:
            # An emergency whose receipt is lost stops by itself; silence would be worse.
            _log.warning(
                "receipts are damaged and were set aside",
                file=self._path.name,
                error=_fault(error),
                remedy="acknowledge on the phone what still sounds",
            )
            with suppress(OSError):
                self._path.rename(self._path.with_suffix(".damaged"))
            return
        self.open = tuple(OpenEmergency(**entry.model_dump()) for entry in read.open)
        self.doubtful = frozenset(read.doubtful)
        self.closed_until = read.closed_until

    async def keep(self, emergency: OpenEmergency) -> None:
        """Add an emergency that was taken."""
        self.open = (*self.open, emergency)
        await self._write()

    async def drop(self, receipt: str) -> None:
        """Forget a receipt."""
        self.open = tuple(one for one in self.open if one.receipt != receipt)
        await self._write()

    async def acknowledge(self, receipt: str, at: datetime, by: str) -> None:
        """Note who acknowledged an emergency and when; it stays until it is dropped."""
        await self._change(receipt, acknowledged_at=at, acknowledged_by=by)

    async def silence(self, receipt: str) -> None:
        """Note that an emergency was cancelled."""
        await self._change(receipt, silenced=True)

    async def doubt(self, grid_id: str) -> None:
        """Note that an emergency of a grid is about to be sent: until an answer came, it may be out."""
        if grid_id not in self.doubtful:
            self.doubtful |= {grid_id}
            await self._write()

    async def trust(self, grid_id: str) -> None:
        """Note that every emergency of a grid that may be out is known by its receipt."""
        if grid_id in self.doubtful:
            self.doubtful -= {grid_id}
            await self._write()

    async def close_until(self, instant: datetime | None) -> None:
        """Note that the quota is used up until `instant`, None that there is quota."""
        if instant != self.closed_until:
            self.closed_until = instant
            await self._write()

    async def _change(self, receipt: str, **fields: Any) -> None:
        self.open = tuple(replace(one, **fields) if one.receipt == receipt else one for one in self.open)
        await self._write()

    async def _write(self) -> None:
        async with self._writing:
            content = _File.model_validate(
                {
                    "open": [{name: getattr(one, name) for name in _Entry.model_fields} for one in self.open],
                    "doubtful": sorted(self.doubtful),
                    "closed_until": self.closed_until,
                }
            ).model_dump_json()
            try:
                await anyio.to_thread.run_sync(write_durably, self._path, content.encode())
            except OSError as error:
                # A full disk must not keep an emergency from going out, nor send it twice.
                _log.error("receipts could not be written", file=self._path.name, error=error.strerror)


def _fault(error: ValidationError | OSError) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg']}" if field else str(first["msg"])
