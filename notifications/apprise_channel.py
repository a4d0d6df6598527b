"""Mail, Slack, Telegram and a hundred others through Apprise, the extra `notify`.

Each address is a channel of its own: a dead one holds up no other. Apprise is blocking: a send has a thread.
It says what went wrong only in its log, which quotes addresses, so its log is kept quiet and a failure here
names an address by its place in the file.
"""

from __future__ import annotations

import logging
import warnings
from collections import OrderedDict
from typing import Any

import anyio
import anyio.to_thread
from pydantic import SecretStr

from market.errors import ConfigInvalid, NotifyFailed
from notifications.discreet import discreet
from notifications.notice import Level, Notice
from notifications.settings import AppriseSettings

_REMEMBERED = 1000
_AT_ONCE = 4
_TYPES = {Level.QUIET: "info", Level.NORMAL: "info", Level.HIGH: "warning", Level.EMERGENCY: "failure"}


class AppriseChannel:
    """Sends a notice to one address, and not again while a send that outlived its deadline still runs.

    Args:
        place: Of the address in its file, from 1.
        url: Apprise's address; a secret.

    Raises:
        ConfigInvalid: Apprise is not installed, or does not know the address.
    """

    def __init__(self, name: str, place: int, url: SecretStr, settings: AppriseSettings) -> None:
        self.name = name
        self._deadline_s = settings.deadline_s
        self._receiver = _receiver(place, url)
        self._taken: OrderedDict[str, None] = OrderedDict()
        self._under_way: set[str] = set()
        self._threads = anyio.CapacityLimiter(_AT_ONCE)

    async def send(self, notice: Notice) -> None:
        """Deliver a notice, unless a send that was given up has delivered it meanwhile.

        Raises:
            NotifyFailed: The address has not taken it.
        """
        if notice.dedupe not in self._taken and notice.dedupe not in self._under_way:
            with anyio.move_on_after(self._deadline_s):
                await anyio.to_thread.run_sync(
                    self._deliver, notice, abandon_on_cancel=True, limiter=self._threads
                )
        if notice.dedupe not in self._taken:
            raise NotifyFailed(f"{self.name}: not taken")

    async def aclose(self) -> None:
        """Nothing to give back: a thread that is still sending ends by its own timeouts."""

    def _deliver(self, notice: Notice) -> None:
        """Send in a thread that may outlive its caller; what it achieves counts all the same."""
        self._under_way.add(notice.dedupe)
        try:
            with discreet():
                if self._receiver.notify(
                    body=notice.body or notice.title,
                    title=notice.title,
                    notify_type=_TYPES[notice.level],
                    body_format="text",
                ):
                    self._taken[notice.dedupe] = None
                    while len(self._taken) > _REMEMBERED:
                        self._taken.popitem(last=False)
        except Exception:  # noqa: BLE001 a plug-in raises anything, and its text may quote the address
            return
        finally:
            self._under_way.discard(notice.dedupe)


def _receiver(place: int, url: SecretStr) -> Any:
    try:
        import apprise
    except ImportError:
        raise ConfigInvalid(
            "notifications.apprise: Apprise is not installed; install the extra `notify`:"
            " pip install 'regimed[notify]'"
        ) from None
    # What it logs outside our calls (its own threads, its clean-up) must not reach our log either.
    logging.getLogger("apprise").propagate = False
    with discreet(), warnings.catch_warnings():
        # It imports all its plug-ins here; what those find deprecated nobody here can mend.
        warnings.simplefilter("ignore")
        receiver = apprise.Apprise()
        service = apprise.Apprise.instantiate(url.get_secret_value())
    if service is None:
        raise ConfigInvalid(
            f"notifications.apprise.urls_file: address {place} is not one that Apprise knows;"
            " expected for example mailtos://user:password@host"
        )
    receiver.add(service)
    return receiver
