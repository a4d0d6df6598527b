"""Opening the channels: from settings and mounted secrets to something that can be told."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from market.errors import ConfigInvalid
from market.ports import Clock
from notifications.apprise_channel import AppriseChannel
from notifications.http import is_private_address
from notifications.notice import Channel
from notifications.ping import Ping
from notifications.pushover import PushoverChannel
from notifications.receipts import Receipts
from notifications.settings import AppriseSettings, NotificationSettings, PushoverSettings, WebhookSettings
from notifications.webhook import WebhookChannel

_LONGEST_FILE = 16_384


def open_channels(settings: NotificationSettings, state_folder: Path, clock: Clock) -> list[Channel]:
    """Return the configured channels without the log; reads the secret files, asks nothing of the network.

    A webhook's channel is named `webhook.` and its key in the settings, one of Apprise's `apprise.` and the
    place of its address in the file.

    Args:
        state_folder: Kept across restarts, for one process at a time; Pushover's receipts stand in it.

    Raises:
        ConfigInvalid: Secret files that cannot be used, or an extra that is not installed; names every
            setting concerned, never what is in a file.
    """
    problems: list[str] = []
    openers: list[Callable[[], Channel]] = []
    if settings.pushover is not None:
        openers.append(_pushover(settings.pushover, settings.link, state_folder, clock, problems))
    for key, webhook in settings.webhooks.items():
        openers.append(_webhook(key, webhook, settings.link, problems))
    if settings.apprise is not None:
        openers.extend(_apprise(settings.apprise, problems))
    if problems:
        raise ConfigInvalid(*problems)
    return [opened() for opened in openers]


def open_ping(settings: NotificationSettings) -> Ping | None:
    """Return the configured dead-man ping, None where there is none.

    Raises:
        ConfigInvalid: Its file cannot be used.
    """
    if settings.ping is None:
        return None
    problems: list[str] = []
    url = _secret("notifications.ping.url_file", settings.ping.url_file, problems, _address)
    if problems:
        raise ConfigInvalid(*problems)
    return Ping(url, settings.ping)


def _pushover(
    settings: PushoverSettings, link: str | None, state_folder: Path, clock: Clock, problems: list[str]
) -> Callable[[], Channel]:
    where = "notifications.pushover"
    token = _secret(f"{where}.token_file", settings.token_file, problems, _pushover_key)
    user = _secret(f"{where}.user_file", settings.user_file, problems, _pushover_key)
    return lambda: PushoverChannel("pushover", token, user, settings, Receipts(state_folder), clock, link)


def _webhook(
    key: str, settings: WebhookSettings, link: str | None, problems: list[str]
) -> Callable[[], Channel]:
    where = f"notifications.webhooks.{key}"
    url = _secret(f"{where}.url_file", settings.url_file, problems, _address)
    secret = _secret(f"{where}.secret_file", settings.secret_file, problems, _one_line)
    return lambda: WebhookChannel(f"webhook.{key}", url, secret, settings, link)


def _apprise(settings: AppriseSettings, problems: list[str]) -> list[Callable[[], Channel]]:
    """Return one channel an address: a dead one must not hold up the others."""
    lines = _secret("notifications.apprise.urls_file", settings.urls_file, problems, lambda _: None)
    urls = [line.strip() for line in lines.get_secret_value().splitlines() if line.strip()]
    return [
        partial(AppriseChannel, f"apprise.{place}", place, SecretStr(url), settings)
        for place, url in enumerate(urls, start=1)
    ]


def _secret(where: str, path: Path, problems: list[str], wrong: Callable[[str], str | None]) -> SecretStr:
    """Return what a file holds without the blanks around it; notes what is wrong with it.

    Args:
        wrong: Returns what is wrong with the content, without quoting it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_FILE + 1)
        text = content.decode("utf-8").strip()
    except OSError as error:
        problem: str | None = error.strerror or type(error).__name__
        text = ""
    except UnicodeDecodeError:
        problem, text = "is not text", ""
    else:
        if len(content) > _LONGEST_FILE:
            problem = f"holds more than {_LONGEST_FILE} bytes"
        elif not text:
            problem = "is empty"
        else:
            problem = wrong(text)
    if problem is not None:
        problems.append(f"{where}: {path}: {problem}")
    return SecretStr(text)


def _one_line(text: str) -> str | None:
    if all(0x20 <= ord(sign) <= 0x7E for sign in text):
        return None
    return "holds something other than one line of printable ASCII"


def _pushover_key(text: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9]{30}", text):
        return None
    return _one_line(text) or f"holds {len(text)} characters; expected 30 letters and digits"


def _address(text: str) -> str | None:
    if problem := _one_line(text):
        return problem
    if " " not in text and is_private_address(text):
        return None
    return "is not an address that can be used; expected https://, or http:// to this machine"
