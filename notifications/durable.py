"""Small files that must survive a power cut: whole or not there, never half."""

from __future__ import annotations

import os
from pathlib import Path

from market.failpoints import reach


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file by `content` and bring both bytes and name to the disk.

    Raises:
        OSError: Disk full, no rights; the file is then what it was before.
    """
    temporary = path.with_name(path.name + ".tmp")
    reach("notify.before_write")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        reach("notify.before_fsync")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    reach("notify.before_rename")
    temporary.rename(path)
    reach("notify.after_rename")
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
