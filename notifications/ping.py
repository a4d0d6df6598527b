"""The dead-man switch outside: it alarms when this stays away. When to ping is the daemon's part."""

from __future__ import annotations

from pydantic import SecretStr

from market.errors import NotifyFailed
from notifications.http import HttpClient, Transport
from notifications.settings import PingSettings


class Ping:
    """One address to GET.

    Args:
        url: The address; who knows it can keep the alarm quiet, so it is a secret.
        transport: Replaces the network in a test.
    """

    name = "ping"

    def __init__(self, url: SecretStr, settings: PingSettings, transport: Transport | None = None) -> None:
        self._url = url
        self._client = HttpClient(self.name, settings.deadline_s, transport=transport)

    async def send(self) -> None:
        """Say that we live.

        Raises:
            NotifyFailed: No answer, or one that is not 2xx.
        """
        answer = await self._client.get(self._url.get_secret_value())
        if not 200 <= answer.status < 300:
            raise NotifyFailed(f"{self.name}: HTTP {answer.status}")

    async def aclose(self) -> None:
        await self._client.aclose()
