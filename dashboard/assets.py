"""The libraries of a page, each as `assets.lock` names it: a file that differs is not used, and named.

`make setup` packs them (`dashboard/pack_assets.py`); nothing is fetched while a page is made or served.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from market.errors import DataInvalid

LOCK = Path(__file__).with_name("assets.lock")
FOLDER = Path(__file__).with_name("assets")
PACK = "make assets"


class Library(BaseModel):
    """One file of one package.

    Attributes:
        integrity: Of the package, as its registry states it: `sha512-` and base64.
        file: Its path in the package.
        sha512: Of the file, hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    licence: str
    integrity: str = Field(pattern=r"^sha512-[A-Za-z0-9+/]{86}==$")
    file: str = Field(pattern=r"^package/[A-Za-z0-9._/-]+\.js$")
    sha512: str = Field(pattern=r"^[0-9a-f]{128}$")

    @property
    def name(self) -> str:
        """Its name in the folder of assets."""
        return PurePosixPath(self.file).name


@dataclass(frozen=True, slots=True)
class Asset:
    """A library that is there and is what the lock says.

    Attributes:
        address: A name that changes with its bytes, so that it may be kept for ever.
        text: The script.
    """

    package: str
    address: str
    text: str


@dataclass(frozen=True, slots=True)
class Shipped:
    """What pages may use.

    Attributes:
        assets: By package.
        lacks: Why a library is not used, one sentence each.
    """

    assets: Mapping[str, Asset]
    lacks: tuple[str, ...]

    def at(self, address: str) -> Asset | None:
        """Return the asset of that address."""
        return next((each for each in self.assets.values() if each.address == address), None)


def locked(lock: Path = LOCK) -> tuple[Library, ...]:
    """Return what the lock names.

    Raises:
        DataInvalid: The lock is missing or not of its form.
    """
    try:
        told = tomllib.loads(lock.read_text(encoding="utf-8")).get("library", [])
        return tuple(Library.model_validate(each) for each in told)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DataInvalid(str(lock.name), "", str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise DataInvalid(lock.name, field, f"{first['msg']}, found {first['input']!r:.80}") from None


def refusal(library: Library, content: bytes) -> str:
    """Return why these bytes are not that library; empty where they are."""
    found = hashlib.sha512(content).hexdigest()
    if found == library.sha512:
        return ""
    return (
        f"dashboard/assets/{library.name} is not {library.package} {library.version} of assets.lock: "
        f"sha512 {found[:16]}…, expected {library.sha512[:16]}…"
    )


@cache
def shipped(folder: Path = FOLDER, lock: Path = LOCK) -> Shipped:
    """Return the libraries that are there; read once a process."""
    assets, lacks = {}, []
    for library in locked(lock):
        try:
            content = (folder / library.name).read_bytes()
        except OSError:
            lacks.append(f"{library.package} {library.version} is not installed: `{PACK}` packs it")
            continue
        if reason := refusal(library, content):
            lacks.append(f"{reason}; it is not used, `{PACK}` packs it anew")
            continue
        address = f"{PurePosixPath(library.name).stem}-{library.version}-{library.sha512[:16]}.js"
        assets[library.package] = Asset(library.package, address, content.decode())
    return Shipped(assets, tuple(lacks))
