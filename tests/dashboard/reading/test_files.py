"""Files are read once while they stay the same, within a bound, and damage is remembered like content."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.reading.files import FileCache
from market.errors import DataInvalid


class Reading:
    """Decodes text and counts how often."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, data: bytes, path: str) -> str:
        self.asked.append(path)
        if data == b"bad":
            raise DataInvalid(path, "field", "it is bad")
        return data.decode()


def test_a_file_is_read_again_only_when_it_changed(tmp_path):
    """Also one that is damaged; one that went is None."""
    reading = Reading()
    cache = FileCache(tmp_path, reading, 8)
    (tmp_path / "a").write_bytes(b"one")
    assert [cache.read("a"), cache.read("a")] == ["one", "one"] and reading.asked == ["a"]
    (tmp_path / "a").write_bytes(b"bad")
    for _ in range(2):
        with pytest.raises(DataInvalid, match="a: field: it is bad"):
            cache.read("a")
    assert reading.asked == ["a", "a"]
    (tmp_path / "a").unlink()
    assert cache.read("a") is None and cache.read("nothing/here") is None


def test_no_more_than_the_bound_is_kept(tmp_path):
    """The one used longest ago goes first."""
    reading = Reading()
    cache = FileCache(tmp_path, reading, 2)
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    for name in "abacab":
        cache.read(name)
    assert "".join(reading.asked) == "abcb"


def test_what_cannot_be_read_is_named(tmp_path):
    """A folder where a file should be, for example."""
    (tmp_path / "a").mkdir()
    with pytest.raises(DataInvalid, match="a: cannot be read: Is a directory"):
        FileCache(tmp_path, Reading(), 2).read("a")


def test_a_file_that_goes_between_the_look_and_the_reading_is_none(tmp_path, monkeypatch):
    """It went to quarantine a moment ago."""
    monkeypatch.setattr("dashboard.reading.files.sign_of", lambda _path: (1, 2, 3))
    assert FileCache(tmp_path, Reading(), 2).read("gone") is None


def test_many_threads_read_at_once(tmp_path):
    """Each gets the content, and the bound holds."""
    cache = FileCache(tmp_path, Reading(), 3)
    for number in range(9):
        (tmp_path / str(number)).write_bytes(str(number).encode())
    names = [str(number % 9) for number in range(900)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(cache.read, names)) == names
    assert len(cache._held) == 3
