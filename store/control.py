"""The control socket: commands hand their change-sets to the running daemon, one JSON line each way."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

import anyio
import anyio.abc
import orjson
from anyio.streams.buffered import BufferedByteReceiveStream
from pydantic import BaseModel, ConfigDict, ValidationError

from market.errors import CommitFailed, DataInvalid, HistoryRefused, RegimedError, StoreError
from store.change_set import ChangeSet
from store.seal import fault_of

MAX_REQUEST = 64_000_000
LONGEST_PATH = 100  # bytes; sockaddr_un holds 108 on Linux, 104 elsewhere
Write: TypeAlias = Callable[[ChangeSet], Awaitable[str]]
Status: TypeAlias = Callable[[], Mapping[str, Any]]
_ERRORS: dict[str, Callable[[str], RegimedError]] = {
    "HistoryRefused": lambda text: HistoryRefused(*_split(text)),
    "DataInvalid": lambda text: DataInvalid(_split(text)[0], "", _split(text)[1]),
    "CommitFailed": CommitFailed,
}


class Request(BaseModel):
    """One line to the daemon; files are base64."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    op: Literal["write", "status"]
    files: dict[str, str] = {}
    message: str = ""
    trailers: dict[str, str] = {}


def socket_path(state_folder: Path) -> Path:
    """Return where the control socket lies: in the state folder, or a private temporary one if too long."""
    wanted = state_folder.resolve() / "control.sock"
    if len(os.fsencode(wanted)) <= LONGEST_PATH:
        return wanted
    name = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"regimed-{os.getuid()}-{name}" / "control.sock"


def _private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if folder.name.startswith("regimed-") and (found.st_uid != os.getuid() or found.st_mode & 0o077):
        raise StoreError(f"{folder}: expected a folder of ours alone (mode 0700) for the control socket")


def _make_room(path: Path) -> None:
    _private_folder(path.parent)
    _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def serve(
    path: Path,
    write: Write,
    status: Status,
    *,
    deadline_s: float = 60.0,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Answer requests until cancelled; call it only under the repository's lock.

    Args:
        path: Where the socket lies (`socket_path`); one left by a killed process is replaced.
        write: Commits a change-set and returns the commit's name.
        status: Returns what `status` answers.
        deadline_s: For reading a request, doing it and answering.
        task_status: Told once the socket listens.
    """
    _make_room(path)
    before = os.umask(0o177)
    try:
        listener = await anyio.create_unix_listener(path)
    finally:
        os.umask(before)

    async def answer(client: anyio.abc.SocketStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with client:
                with anyio.move_on_after(deadline_s) as scope:
                    await client.send(orjson.dumps(await _answered(client, write, status)) + b"\n")
                if scope.cancelled_caught:
                    with anyio.move_on_after(1, shield=True):
                        await client.send(
                            b'{"error":"CommitFailed","text":"no answer before the deadline"}\n'
                        )

    try:
        async with listener:
            task_status.started()
            await listener.serve(answer)
    finally:
        _remove(path)


async def _answered(client: anyio.abc.SocketStream, write: Write, status: Status) -> dict[str, Any]:
    try:
        line = await BufferedByteReceiveStream(client).receive_until(b"\n", MAX_REQUEST)
        request = Request.model_validate(orjson.loads(line))
        if request.op == "status":
            return {"status": dict(status())}
        files = {name: base64.b64decode(text, validate=True) for name, text in request.files.items()}
        change_set = ChangeSet(files, request.message, request.trailers)
        return {"commit": await write(change_set)}
    except RegimedError as error:
        return {"error": type(error).__name__, "text": str(error)}
    except ValidationError as error:
        field, problem = fault_of(error)
        return {"error": "DataInvalid", "text": f"request: {field}: {problem}"}
    except (anyio.IncompleteRead, anyio.DelimiterNotFound, orjson.JSONDecodeError, binascii.Error) as error:
        return {"error": "DataInvalid", "text": f"request: {str(error) or type(error).__name__}"}


async def hand_change_set(path: Path, change_set: ChangeSet, deadline_s: float = 60.0) -> str:
    """Hand a change-set to the daemon behind the socket and return the commit that resulted.

    Raises:
        HistoryRefused, DataInvalid, CommitFailed: What the daemon answered, as if it had happened here.
        StoreError: Nobody listens, or there was no answer before the deadline.
    """
    request = Request(
        op="write",
        files={name: base64.b64encode(data).decode() for name, data in change_set.files.items()},
        message=change_set.message,
        trailers=dict(change_set.trailers),
    )
    answer = await _asked(path, request, deadline_s)
    return str(answer["commit"])


async def ask_status(path: Path, deadline_s: float = 10.0) -> dict[str, Any]:
    """Return what the daemon tells about its store.

    Raises:
        StoreError: Nobody listens, or there was no answer before the deadline.
    """
    answer = await _asked(path, Request(op="status"), deadline_s)
    return dict(answer["status"])


async def _asked(path: Path, request: Request, deadline_s: float) -> dict[str, Any]:
    try:
        with anyio.fail_after(deadline_s):
            async with await anyio.connect_unix(path) as stream:
                await stream.send(request.model_dump_json().encode() + b"\n")
                line = await BufferedByteReceiveStream(stream).receive_until(b"\n", MAX_REQUEST)
    except TimeoutError:
        raise StoreError(f"{path}: the daemon gave no answer in {deadline_s:.0f} s") from None
    except (OSError, anyio.IncompleteRead, anyio.BrokenResourceError) as error:
        raise StoreError(f"{path}: the daemon cannot be reached: {error or 'connection closed'}") from None
    answer: dict[str, Any] = orjson.loads(line)
    if "error" in answer:
        raise _ERRORS.get(answer["error"], StoreError)(answer["text"])
    return answer


def _split(text: str) -> tuple[str, str]:
    where, _, problem = text.partition(": ")
    return where, problem
