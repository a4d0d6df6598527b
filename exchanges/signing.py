"""Credentials and KuCoin's signature. Nothing here ever shows a secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import SecretStr

from market.hours import micros


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key with what belongs to it."""

    key: SecretStr = field(repr=False)
    secret: SecretStr = field(repr=False)
    passphrase: SecretStr = field(repr=False)

    def redacted(self, text: str) -> str:
        """Return `text` with every credential in it masked (exchanges echo keys in their answers)."""
        for value in (self.key, self.secret, self.passphrase):
            text = text.replace(value.get_secret_value(), "***")
        return text


def digest_base64(secret: str, message: str) -> str:
    """Return base64(HMAC-SHA256(secret, message))."""
    return base64.b64encode(hmac.new(secret.encode(), message.encode(), hashlib.sha256).digest()).decode()


def signed_headers(
    credentials: Credentials, key_version: int, at: datetime, method: str, path_and_query: str, body: str = ""
) -> dict[str, str]:
    """Return the headers that sign one request.

    Args:
        key_version: 2 or 3; both send the passphrase as a digest.
        at: Our instant; KuCoin refuses more than 5 s off.
        method: Upper case.
        path_and_query: The query not percent-encoded, as KuCoin computes it.
        body: The exact text sent, empty for GET.

    Source:
        KuCoin documentation, authentication, "signing a message".
    """
    secret = credentials.secret.get_secret_value()
    timestamp = str(micros(at) // 1000)
    return {
        "KC-API-KEY": credentials.key.get_secret_value(),
        "KC-API-SIGN": digest_base64(secret, f"{timestamp}{method}{path_and_query}{body}"),
        "KC-API-TIMESTAMP": timestamp,
        "KC-API-PASSPHRASE": digest_base64(secret, credentials.passphrase.get_secret_value()),
        "KC-API-KEY-VERSION": str(key_version),
    }
