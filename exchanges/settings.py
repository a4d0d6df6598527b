"""Settings of the exchanges, declared beside the code they steer."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from exchanges.http import HttpSettings
from exchanges.resilience import ResilienceSettings
from market.costs import FEES_BY_KIND, Fees
from market.origin import checked_origin


class KucoinSettings(BaseModel):
    """How to talk to KuCoin, or to something that speaks like it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = Field("https://api.kucoin.com", description="Scheme, host and port, nothing else.")
    key_version: Literal[2, 3] = Field(3, description="Version of the API key; new keys are 3.")
    http: HttpSettings = Field(default_factory=HttpSettings)
    resilience: ResilienceSettings = Field(default_factory=ResilienceSettings)

    @field_validator("base_url")
    @classmethod
    def _only_an_origin(cls, value: str) -> str:
        return checked_origin(value)

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read along: TLS, or this machine."""
        parts = urlsplit(self.base_url)
        if parts.scheme == "https" or parts.hostname == "localhost":
            return True
        try:
            return ip_address(parts.hostname or "").is_loopback
        except ValueError:
            return False


class ExchangeSettings(KucoinSettings):
    """One entry of `exchanges:` in config.yaml. Credentials come only as mounted files."""

    kind: Literal["kucoin"] = Field("kucoin", description="Which client speaks to it.")
    fees: Fees | None = Field(None, description="Fees of the account; the kind's when left out.")
    key_file: Path | None = Field(None, description="Mounted file that holds the API key.")
    secret_file: Path | None = Field(None, description="Mounted file that holds the API secret.")
    passphrase_file: Path | None = Field(None, description="Mounted file that holds the passphrase.")

    @model_validator(mode="after")
    def _whole_credentials(self) -> Self:
        given = [path is not None for path in (self.key_file, self.secret_file, self.passphrase_file)]
        if any(given) and not all(given):
            raise ValueError("key_file, secret_file and passphrase_file belong together: give all or none")
        if all(given) and not self.is_private:
            raise ValueError("keys are not sent over plain http to another machine: use https")
        return self

    @property
    def fees_in_force(self) -> Fees:
        return self.fees or FEES_BY_KIND[self.kind]
