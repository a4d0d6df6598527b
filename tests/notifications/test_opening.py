"""From settings and secret files to channels: every problem at once, never a secret in a message."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigInvalid
from notifications.opening import _address, _one_line, _pushover_key, open_channels, open_ping
from notifications.ping import Ping
from notifications.receipts import Receipts
from notifications.settings import NotificationSettings
from tests.fakes import FakeClock
from tests.notifications.receivers import TOKEN, USER

CLOCK = FakeClock(datetime(2026, 3, 10, tzinfo=UTC))


def settings(folder, **contents):
    """Every channel, each secret in a file of its own; `contents` replaces what stands in some."""
    good = {
        "token": f"  {TOKEN}\n",
        "user": USER,
        "url": "https://n8n.example/webhook/1?key=2\n",
        "secret": "a key with blanks",
        "urls": "json://127.0.0.1:9/a\n\n  json://127.0.0.1:9/b\n",
        "ping": "http://127.0.0.1:9/ping",
    }
    for name, text in (good | contents).items():
        if text is not None:
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return NotificationSettings.model_validate(
        {
            "pushover": {"token_file": folder / "token", "user_file": folder / "user"},
            "webhooks": {"n8n": {"url_file": folder / "url", "secret_file": folder / "secret"}},
            "apprise": {"urls_file": folder / "urls"},
            "ping": {"url_file": folder / "ping"},
            "link": "https://there",
        }
    )


async def closed(channels):
    for channel in channels:
        await channel.aclose()


async def test_each_configured_channel_is_opened(tmp_path):
    """Names are those of the settings; the receipts stand in the state folder."""
    found = settings(tmp_path)
    channels = open_channels(found, tmp_path / "state", CLOCK)
    assert [channel.name for channel in channels] == ["pushover", "webhook.n8n", "apprise.1", "apprise.2"]
    assert Receipts(tmp_path / "state").open == ()
    ping = open_ping(found)
    assert isinstance(ping, Ping)
    await closed([*channels, ping])


def test_nothing_configured_is_nothing_opened(tmp_path):
    """The log alone needs nothing from here."""
    assert open_channels(NotificationSettings(), tmp_path / "state", CLOCK) == []
    assert open_ping(NotificationSettings()) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "where", "content", "said"),
    [
        ("token", "pushover.token_file", None, "No such file or directory"),
        ("token", "pushover.token_file", "", "is empty"),
        ("token", "pushover.token_file", " \n", "is empty"),
        ("token", "pushover.token_file", "verysecret", "holds 10 characters; expected 30 letters and digits"),
        ("user", "pushover.user_file", "verysecret-verysecret-verysecr", "holds 30 characters"),
        ("user", "pushover.user_file", "verysecret\nverysecret", "other than one line of printable ASCII"),
        ("url", "webhooks.n8n.url_file", "http://n8n.example/verysecret", "expected https://"),
        ("url", "webhooks.n8n.url_file", "https://n8n.example/very secret", "expected https://"),
        ("url", "webhooks.n8n.url_file", "https://n8n/verysecret\nhttps://b", "other than one line"),
        ("secret", "webhooks.n8n.secret_file", "verysecret\nverysecret", "other than one line"),
        ("secret", "webhooks.n8n.secret_file", "verysecret€", "other than one line of printable ASCII"),
        ("secret", "webhooks.n8n.secret_file", b"verysecret\xff", "is not text"),
        ("urls", "apprise.urls_file", "", "is empty"),
        ("urls", "apprise.urls_file", "verysecret" * 1700, "holds more than 16384 bytes"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_by_its_setting(tmp_path, name, where, content, said):
    """The message leads to the setting and the file, and says nothing of what is in it."""
    with pytest.raises(ConfigInvalid) as raised:
        open_channels(settings(tmp_path, **{name: content}), tmp_path / "state", CLOCK)
    (problem,) = raised.value.problems
    assert problem.startswith(f"notifications.{where}: {tmp_path / name}: ")
    assert said in problem
    assert "verysecret" not in problem.removeprefix(f"notifications.{where}: {tmp_path / name}")
    assert not (tmp_path / "state").exists()


def test_every_problem_is_told_at_once(tmp_path):
    """One start, one list."""
    found = settings(tmp_path, token="", user=None, url="x", secret="", urls=" ")
    with pytest.raises(ConfigInvalid) as raised:
        open_channels(found, tmp_path, CLOCK)
    assert [
        problem.partition(":")[0].removeprefix("notifications.") for problem in raised.value.problems
    ] == [
        "pushover.token_file",
        "pushover.user_file",
        "webhooks.n8n.url_file",
        "webhooks.n8n.secret_file",
        "apprise.urls_file",
    ]


def test_a_ping_that_cannot_be_used_is_named_by_its_setting(tmp_path):
    """The ping has the same rule as a webhook."""
    with pytest.raises(ConfigInvalid, match=r"^notifications\.ping\.url_file: .*expected https://"):
        open_ping(settings(tmp_path, ping="http://elsewhere.example/verysecret"))


@given(st.text(min_size=8, alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x2FF)))
def test_no_check_quotes_what_it_checks(text):
    """Whatever stands in a file, what is said of it is the same few words."""
    for check in (_one_line, _pushover_key, _address):
        problem = check(text)
        assert problem is None or text not in problem
