"""Where a result lies on the disk: its JSON, and its page beside it."""

from __future__ import annotations

from pathlib import Path

from backtest.report import html
from backtest.result import read_result
from market.errors import ConfigInvalid
from store import disk

RESULT, PAGE = "result.json", "report.html"


def result_in(named: Path) -> Path:
    """Return the file of a result that is named itself, or by the folder that holds it."""
    return named / RESULT if named.is_dir() else named


def checked_folder(folder: Path) -> Path:
    """Return a folder for results, that need not be there yet.

    Raises:
        ConfigInvalid: A file stands in its place.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigInvalid(f"--out: {folder} is a file; expected a folder")
    return folder


def write_result(folder: Path, data: bytes) -> tuple[Path, Path]:
    """Write a result's bytes and the page that is made of them; the same bytes for the same result.

    Args:
        folder: Made where there is none.
        data: As `BacktestResult.as_bytes` gives them, or as they were read.

    Returns:
        Where both lie: the JSON, the page.

    Raises:
        DataInvalid: The page cannot be made of it; the JSON is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / RESULT
    disk.replace_synced(result, data, folder / f".{RESULT}.part")
    return write_page(folder, data, page_of(data, str(result)))


def page_of(data: bytes, where: str) -> bytes:
    """Return the page of a result's bytes; errors as of `backtest.report.html`, named by `where`."""
    return html(read_result(data, where), where).encode()


def write_page(folder: Path, data: bytes, page: bytes) -> tuple[Path, Path]:
    """Write both files and return where they lie; a JSON that is there with these bytes is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    result, shown = folder / RESULT, folder / PAGE
    if disk.read(result) != data:
        disk.replace_synced(result, data, folder / f".{RESULT}.part")
    disk.replace_synced(shown, page, folder / f".{PAGE}.part")
    return result, shown
