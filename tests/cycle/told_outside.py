"""The two receivers of `tests/notifications/receivers.py` as the configuration of a real house names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.notifications.receivers import TOKEN, USER, PushoverServer, WebhookReceiver

HOOK_KEY = "hmac-key-of-the-hook"
HOOK = "webhook.n8n"


def secret_file(folder: Path, name: str, text: str) -> str:
    """Write a secret beside the data; returns its path."""
    path = folder / f"{name}.secret"
    path.write_text(text)
    return str(path)


def told_outside(
    folder: Path, phone: PushoverServer, hook: WebhookReceiver, deadline_s: float = 10.0
) -> dict[str, Any]:
    """Return a `notifications:` section over both receivers."""
    return {
        "pushover": {
            "token_file": secret_file(folder, "token", TOKEN),
            "user_file": secret_file(folder, "user", USER),
            "base_url": phone.url,
            "deadline_s": deadline_s,
        },
        "webhooks": {
            "n8n": {
                "url_file": secret_file(folder, "hook", hook.hook),
                "secret_file": secret_file(folder, "hook-key", HOOK_KEY),
                "deadline_s": deadline_s,
            }
        },
    }
