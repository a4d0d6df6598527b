"""Accounts of the sandbox: API keys with the permissions that a client has to tell apart. Not secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from pydantic import SecretStr

from exchanges.signing import Credentials, digest_base64
from market.hours import micros

CLOCK_TOLERANCE_S = 5.0
_HEADERS = ("KC-API-KEY", "KC-API-SIGN", "KC-API-TIMESTAMP", "KC-API-PASSPHRASE")


@dataclass(frozen=True, slots=True)
class SandboxKey:
    """One API key, with the account behind it.

    Attributes:
        permission: Comma list, as KuCoin writes it.
        ip_whitelist: Comma list of addresses, None where the key has none.
        balances: Available amount by currency.
    """

    name: str
    permission: str
    ip_whitelist: str | None = "127.0.0.1"
    balances: tuple[tuple[str, str], ...] = (("USDT", "5000"), ("ETH", "1.5"))

    @property
    def credentials(self) -> Credentials:
        return Credentials(
            SecretStr(f"sandbox-{self.name}-key"),
            SecretStr(f"sandbox-{self.name}-secret"),
            SecretStr(f"sandbox-{self.name}-passphrase"),
        )


TRADING_KEY = SandboxKey("trading", "General,Spot")
READING_KEY = SandboxKey("reading", "General")
WITHDRAWING_KEY = SandboxKey("withdrawing", "General,Spot,Transfer")
OPEN_KEY = SandboxKey("open", "General,Spot", ip_whitelist=None)
UNKNOWN_WORD_KEY = SandboxKey("unknown-word", "General,Spot,Teleport")
EXAMPLE_KEYS = (TRADING_KEY, READING_KEY, WITHDRAWING_KEY, OPEN_KEY, UNKNOWN_WORD_KEY)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a signed request is turned away."""

    status: int
    code: str
    message: str


def identified(
    keys: Mapping[str, SandboxKey],
    headers: Mapping[str, str],
    now: datetime,
    signed_path: str,
    remote: str | None,
) -> SandboxKey | Refusal:
    """Return the key that signed a GET request, or why it is refused.

    Args:
        keys: By the text of the key.
        now: What the timestamp is compared with.
        signed_path: Path and un-encoded query.
        remote: Address of the caller.
    """
    if any(not headers.get(name) for name in _HEADERS):
        return Refusal(400, "400001", f"Please check the header of your request for {', '.join(_HEADERS)}")
    timestamp = headers["KC-API-TIMESTAMP"]
    if not timestamp.isdigit() or abs(int(timestamp) - micros(now) / 1000) > CLOCK_TOLERANCE_S * 1000:
        return Refusal(400, "400002", "Invalid KC-API-TIMESTAMP")
    key = keys.get(headers["KC-API-KEY"])
    if key is None:
        return Refusal(401, "400003", "KC-API-KEY not exists")
    if headers.get("KC-API-KEY-VERSION") not in {"2", "3"}:
        return Refusal(400, "400009", "KC-API-KEY-VERSION is not supported")
    return _signature_fault(key, headers, signed_path) or _address_fault(key, remote) or key


def _signature_fault(key: SandboxKey, headers: Mapping[str, str], signed_path: str) -> Refusal | None:
    secret = key.credentials.secret.get_secret_value()
    passphrase = digest_base64(secret, key.credentials.passphrase.get_secret_value())
    if not compare_digest(passphrase, headers["KC-API-PASSPHRASE"]):
        return Refusal(401, "400004", "Invalid KC-API-PASSPHRASE")
    signature = digest_base64(secret, f"{headers['KC-API-TIMESTAMP']}GET{signed_path}")
    if not compare_digest(signature, headers["KC-API-SIGN"]):
        return Refusal(401, "400005", "Invalid KC-API-SIGN")
    return None


def _address_fault(key: SandboxKey, remote: str | None) -> Refusal | None:
    if not key.ip_whitelist or remote in key.ip_whitelist.split(","):
        return None
    return Refusal(403, "400006", f"Invalid request ip, the current clientIp is:{remote}")
