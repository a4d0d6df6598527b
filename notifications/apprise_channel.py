"""Mail, Slack, Telegram and a hundred others through Apprise, the extra `notify`.

Apprise is blocking: each address has a thread while it is sent to. It says what went wrong only in its log,
which quotes addresses, so its log is kept quiet and a failure here names an address by its place in the file.
"""

from __future__ import annotations

import logging
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
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
    """Sends a notice to every address; one that has taken it is not told again when another has not.

    Args:
        urls: Apprise's addresses; each is a secret.

    Raises:
        ConfigInvalid: Apprise is not installed, or does not know one of the addresses.
    """

    def __init__(self, name: str, urls: Sequence[SecretStr], settings: AppriseSettings) -> None:
        self.name = name
        self._deadline_s = settings.deadline_s
        self._receivers = [_receiver(place, url) for place, url in enumerate(urls, start=1)]
        self._taken: OrderedDict[str, set[int]] = OrderedDict()
        self._under_way: set[tuple[str, int]] = set()
        self._threads = anyio.CapacityLimiter(_AT_ONCE)

    async def send(self, notice: Notice) -> None:
        """Deliver a notice to every address that has not taken it yet.

        Raises:
            NotifyFailed: At least one address has not taken it.
        """
        taken = self._taken.setdefault(notice.dedupe, set())
        while len(self._taken) > _REMEMBERED:
            self._taken.popitem(last=False)
        with anyio.move_on_after(self._deadline_s):
            async with anyio.create_task_group() as group:
                for place in range(len(self._receivers)):
                    # One that outlived its deadline is still being sent: a second one would show twice.
                    if place not in taken and (notice.dedupe, place) not in self._under_way:
                        group.start_soon(self._send_one, place, notice, taken)
        missing = [place + 1 for place in range(len(self._receivers)) if place not in taken]
        if missing:
            shown = ", ".join(str(place) for place in missing)
            raise NotifyFailed(f"{self.name}: not taken by address {shown} of {len(self._receivers)}")

    async def aclose(self) -> None:
        """Nothing to give back: a thread that is still sending ends by its own timeouts."""

    async def _send_one(self, place: int, notice: Notice, taken: set[int]) -> None:
        deliver = partial(self._deliver, place, notice, taken)
        await anyio.to_thread.run_sync(deliver, abandon_on_cancel=True, limiter=self._threads)

    def _deliver(self, place: int, notice: Notice, taken: set[int]) -> None:
        """Send in a thread that may outlive its caller; what it achieves counts all the same."""
        self._under_way.add((notice.dedupe, place))
        try:
            with discreet():
                if self._receivers[place].notify(
                    body=notice.body or notice.title,
                    title=notice.title,
                    notify_type=_TYPES[notice.level],
                    body_format="text",
                ):
                    taken.add(place)
        except Exception:  # noqa: BLE001 a plug-in raises anything, and its text may quote the address
            return
        finally:
            self._under_way.discard((notice.dedupe, place))


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
