"""Opening an exchange: from its settings and its mounted secrets to a client."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import SecretStr

from exchanges.kucoin import KucoinExchange
from exchanges.resilience import SILENT, Observer
from exchanges.settings import ExchangeSettings
from exchanges.signing import Credentials
from market.errors import ConfigInvalid
from market.ports import Clock

_LONGEST_SECRET = 1024


def open_exchange(
    name: str, settings: ExchangeSettings, clock: Clock, observer: Observer = SILENT
) -> KucoinExchange:
    """Return the client of one configured exchange; reads the secret files, asks nothing of the network.

    Raises:
        ConfigInvalid: A secret file cannot be used; names every one of them, never what is in it.
    """
    seed = f"{name} {os.getpid()}"
    return KucoinExchange(
        name, settings, clock, credentials=_credentials(name, settings), observer=observer, seed=seed
    )


def _credentials(name: str, settings: ExchangeSettings) -> Credentials | None:
    problems: list[str] = []
    read: dict[str, SecretStr] = {}
    for field in ("key_file", "secret_file", "passphrase_file"):
        path: Path | None = getattr(settings, field)
        if path is None:
            return None
        try:
            read[field] = _secret(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            problems.append(f"exchanges.{name}.{field}: {path}: {reason}")
    if problems:
        raise ConfigInvalid(*problems)
    return Credentials(read["key_file"], read["secret_file"], read["passphrase_file"])


def _secret(path: Path) -> SecretStr:
    with path.open("rb") as file:
        content = file.read(_LONGEST_SECRET + 1)
    if len(content) > _LONGEST_SECRET:
        raise ValueError(f"holds more than {_LONGEST_SECRET} bytes; expected one secret")
    text = content.strip()
    if not text:
        raise ValueError("is empty")
    # A key travels in a header, where anything else would end up in an error message.
    if any(not 0x20 <= byte <= 0x7E for byte in text):
        raise ValueError("holds something other than one line of printable ASCII")
    return SecretStr(text.decode("ascii"))
