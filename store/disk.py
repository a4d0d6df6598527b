"""Every call that changes the disk, in one place: a test counts them here and lets the Nth one fail."""

from __future__ import annotations

# ruff: noqa: PTH102, PTH105, PTH108  every call goes through `os`, where a test counts it
import os
from pathlib import Path

from market.failpoints import reach


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and bring its bytes to the disk; what stood under that name is lost.

    Raises:
        OSError: Disk full, no rights, ...; the file may then be there in part.
    """
    reach("writer.before_write")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        reach("writer.before_fsync")
        os.fsync(handle)
        reach("writer.after_fsync")
    finally:
        os.close(handle)


def rename(source: Path, target: Path) -> None:
    os.replace(source, target)


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path, root: Path) -> None:
    """Create `folder` under `root` with what is missing between them, each name synced."""
    if folder == root or folder.is_dir():
        return
    make_folder(folder.parent, root)
    os.mkdir(folder)
    sync_folder(folder.parent)


def remove(*paths: Path) -> None:
    """Remove files that are there, and sync each folder once."""
    folders: dict[Path, None] = {}
    for path in paths:
        reach("writer.before_remove")
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
        folders[path.parent] = None
    for folder in folders:
        sync_folder(folder)


def replace_synced(path: Path, data: bytes, temporary: Path) -> None:
    """Give `path` new bytes at once: whoever looks sees the old or the new ones, never a part."""
    write_synced(temporary, data)
    rename(temporary, path)
    sync_folder(path.parent)


def read(path: Path) -> bytes | None:
    """Return the bytes of a file, None where there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def whole_file(path: str) -> bytes:
    """Return the bytes of a file, for those who read thousands: no path is taken apart, nothing buffered.

    Raises:
        OSError: Not there, not readable.
    """
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.read()


def names_in(folder: Path) -> list[str]:
    """Return the sorted names in a folder, none where it is not there."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208, names are all that is wanted, and quickly
    except (FileNotFoundError, NotADirectoryError):
        return []
