"""A real process at the loudest log with every secret there is and trouble on each way out; then a search."""

from __future__ import annotations

import base64
import random
import signal
import string
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from anyio.to_thread import run_sync
from pydantic import SecretStr

from daemon.clock import DrivenClock, ScaledClock
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.keys import SandboxKey
from exchanges.sandbox.running import running_sandbox
from exchanges.signing import Credentials
from store.change_set import ChangeSet
from store.grids import encode_grid, grid_path
from tests.cycle.house import START, house, simulated, write_config
from tests.cycle.processes import clock_from, clock_standing_at, regimed, started
from tests.cycle.test_decisions import GRID, LOOSE, grid_from
from tests.cycle.told_outside import secret_file
from tests.notifications import receivers
from tests.notifications.receivers import PushoverServer, WebhookReceiver

KEY = "ETH-USDT"


@dataclass(frozen=True)
class Secrets:
    """Random texts, so that a hit is one; those that may hold anything have signs that have to be quoted."""

    exchange_key: str
    exchange_secret: str
    exchange_passphrase: str
    pushover_token: str
    pushover_user: str
    hook_path: str
    hook_query: str
    hook_key: str
    ping_path: str
    apprise_password: str
    apprise_path: str
    index_password: str
    api_token: str

    @classmethod
    def drawn(cls, seed: int) -> Secrets:
        chance = random.Random(seed)
        names = cls.__dataclass_fields__
        made = {name: "".join(chance.choices(string.ascii_letters + string.digits, k=30)) for name in names}
        made["api_token"] += made["api_token"][:10]  # no shorter one is taken
        for name in ("exchange_passphrase", "hook_key"):
            made[name] = f"{made[name]} +/%&é"[: 35 if name == "exchange_passphrase" else 34]
        return cls(**made)

    def forms(self) -> Iterator[tuple[str, bytes]]:
        """Yield each secret as it may be written: plain, quoted, in base64 at any place of a text."""
        for name in self.__dataclass_fields__:
            text = getattr(self, name)
            yield name, text.encode()
            yield f"{name}, quoted", quote(text, safe="").encode()
            yield f"{name}, quoted as in a form", quote_plus(text).encode()
            yield f"{name}, as Python shows it", repr(text.encode())[2:-1].encode()
            for shift in range(3):
                coded = base64.b64encode(b"\0" * shift + text.encode())
                first = -(-shift * 8 // 6)  # signs that the text before has a part in
                inner = coded[first : len(coded) - 4]  # and those after
                yield f"{name}, base64 at {shift}", inner
                yield (
                    f"{name}, base64 for addresses at {shift}",
                    inner.translate(bytes.maketrans(b"+/", b"-_")),
                )


@dataclass(frozen=True, slots=True)
class OwnKey(SandboxKey):
    """A key of the sandbox whose texts are the test's."""

    texts: tuple[str, str, str] = ("", "", "")

    @property
    def credentials(self) -> Credentials:
        return Credentials(*(SecretStr(text) for text in self.texts))


class Gossip(PushoverServer):
    """Answers some messages with all that it was sent: refused, malformed, in trouble."""

    gossiped = 0

    def _take(self, form: dict[str, str]) -> web.Response:
        self.gossiped += 1
        said = "&".join(f"{name}={text}" for name, text in form.items())
        if self.gossiped == 1:
            return web.json_response({"status": 0, "errors": [said], "request": "r"}, status=400)
        if self.gossiped == 2:
            return web.Response(text=f"<html>{said}</html>")
        if self.gossiped == 3:
            return web.Response(status=502, text=said)
        return super()._take(form)


class Switch(receivers.Receiver):
    """A dead-man switch, and an address of Apprise: everything is in trouble, or answered."""

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/{rest:.*}", self._answered)]

    async def _answered(self, request: web.Request) -> web.Response:
        fault = self.next_fault()
        said = f"{request.path_qs} {dict(request.headers)}"
        return await self.faulted(
            request, fault, lambda: web.Response(text=said), lambda: web.Response(status=429)
        )


FAULTS = ("500", "refuse connection", "lost", "slow", "429")


async def test_no_secret_leaves_in_any_way(tmp_path, monkeypatch):
    """Not in the output at DEBUG, a page, the records, their history or the state folder; in no coding."""
    secrets = Secrets.drawn(20260105)
    monkeypatch.setattr(receivers, "TOKEN", secrets.pushover_token)
    monkeypatch.setattr(receivers, "USER", secrets.pushover_user)
    key = OwnKey(
        "own",
        "General",
        texts=(secrets.exchange_key, secrets.exchange_secret, secrets.exchange_passphrase),
    )
    async with house(tmp_path, **LOOSE) as there:
        grid = grid_from(2000, 2200, START.plus(1))
        await there.app.store.write(ChangeSet({grid_path(GRID): encode_grid(grid)}, "[grid] it runs"))
    text = clock_from(START, 3600)
    clock = ScaledClock.parse(text)
    phone = Gossip(clock, faults=FAULTS[:-1], receipt_faults=FAULTS)  # a 429 would be the whole month
    hook, switch = WebhookReceiver(secrets.hook_key, FAULTS), Switch(FAULTS)
    faults = [
        Fault(kind=kind, after=after, count=1)
        for after, kind in ((2, "html"), (4, "disconnect"), (6, "partial_json"), (8, "server_error"))
    ]
    said: list[str] = []
    async with (
        phone,
        hook,
        switch,
        running_sandbox(simulated(1), clock, keys=[key], faults=faults) as sandbox,
    ):
        files = written(tmp_path, secrets, hook, switch)
        section = notifications(phone, files)
        config = configured(tmp_path, sandbox.url, files, section)
        run = ("--log-level", "DEBUG", "run", "--config", config, "--clock", text)
        with started(*run) as daemon:
            port = (await run_sync(daemon.line, r"http://127\.0\.0\.1:(\d+)/health", 60))[1]
            await run_sync(daemon.line, "hour judged", 60)
            receipts = tmp_path / "data.state" / "receipts.json"  # the search below wants one written
            met = len(FAULTS)
            await through(lambda: phone.shown and hook.shown and switch.requests > met and receipts.exists())
            await hook.down()
            await phone.down()
            for path in (
                "/",
                f"/markets/{KEY}",
                "/health",
                "/health/live",
                "/metrics",
                "/nothing",
                "/api/markets",
                "/openapi.json",
            ):
                said += [await run_sync(page, f"http://127.0.0.1:{port}{path}")]
            await run_sync(time.sleep, 1.5)
            said.append(await run_sync(page, f"http://127.0.0.1:{port}/health"))
            for token in (secrets.api_token, secrets.api_token[::-1]):
                said.append(await run_sync(page, asking(port, token)))
                said.append(await run_sync(page, sending(port, token)))
            assert await run_sync(daemon.end, signal.SIGTERM) == 0
        said += daemon.lines
        secret_file(tmp_path, "passphrase", secrets.exchange_passphrase[::-1])
        now = clock.now()  # standing still: at this rate a signature is seconds old when it arrives
        still = ("--clock", clock_standing_at(now))
        async with running_sandbox(simulated(1), DrivenClock(now), keys=[key]) as calm:
            config = configured(tmp_path, calm.url, files, section)
            refused = await run_sync(
                lambda: regimed("--log-level", "DEBUG", "run", "--config", config, *still)
            )
        assert refused.returncode != 0
        said += [refused.stdout, refused.stderr]
        for name in ("show", "check"):
            shown = await run_sync(lambda name=name: regimed("config", name, "--config", config))
            said += [shown.stdout, shown.stderr]
    for what in (
        "pushover",
        "webhook.n8n",
        "apprise.1",
        "ping",
        "hour judged",
        "the index is not filled now",
    ):
        assert any(what in line for line in said), what
    assert any("debug" in line for line in daemon.lines)
    assert_clean(tmp_path, secrets, "\n".join(said))


def written(folder: Path, secrets: Secrets, hook: WebhookReceiver, switch: Switch) -> dict[str, str]:
    """Write each secret into its file."""
    host = switch.url.removeprefix("http://")
    texts = {
        "key": secrets.exchange_key,
        "secret": secrets.exchange_secret,
        "passphrase": secrets.exchange_passphrase,
        "token": secrets.pushover_token,
        "user": secrets.pushover_user,
        "hook": f"{hook.url}/webhook/{secrets.hook_path}?key={secrets.hook_query}",
        "hook-key": secrets.hook_key,
        "ping": f"{switch.url}/ping/{secrets.ping_path}",
        "apprise": f"json://someone:{secrets.apprise_password}@{host}/{secrets.apprise_path}",
        "index": secrets.index_password,
        "api-token": secrets.api_token,
    }
    return {name: secret_file(folder, name, text) for name, text in texts.items()}


def notifications(phone: PushoverServer, files: dict[str, str]) -> dict[str, object]:
    return {
        "pushover": {
            "token_file": files["token"],
            "user_file": files["user"],
            "base_url": phone.url,
            "deadline_s": 0.5,
        },
        "webhooks": {"n8n": {"url_file": files["hook"], "secret_file": files["hook-key"], "deadline_s": 0.5}},
        "apprise": {"urls_file": files["apprise"], "deadline_s": 2.0},
        "ping": {"url_file": files["ping"], "every_s": 30, "deadline_s": 0.5},
    }


def configured(folder: Path, url: str, files: dict[str, str], section: dict[str, object]) -> str:
    keys = {f"{name}_file": files[name] for name in ("key", "secret", "passphrase")}
    beside = {
        "index": {"url": "postgresql://regimed@127.0.0.1:1/none", "password_file": files["index"]},
        "http": {"port": 0, "token_file": files["api-token"]},
    }
    return str(write_config(folder, url, [KEY], exchange=keys, notifications=section, **beside, **LOOSE))


async def through(done) -> None:
    """Wait until all trouble was met and something got through."""
    for _ in range(450):
        if done():
            return
        await run_sync(time.sleep, 0.1)
    pytest.fail("the channels met too little")


def asking(port: str, token: str) -> urllib.request.Request:
    """Return an answer to advice that is not there, under a token."""
    return urllib.request.Request(
        f"http://127.0.0.1:{port}/api/decisions/2026-01-05/dec-{KEY}-999999/actions",
        b'{"answer": "accept"}',
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )


def sending(port: str, token: str) -> urllib.request.Request:
    """Return the same as the form of the dashboard."""
    base = f"http://127.0.0.1:{port}"
    fields = f"answer=accept&note=x&token={token}".encode()
    return urllib.request.Request(f"{base}/decisions/2026-01-05/dec-{KEY}-999999", fields, {"Origin": base})


def page(url: str | urllib.request.Request) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def assert_clean(folder: Path, secrets: Secrets, said: str) -> None:
    """Search all that was said and all that was written, but for the secret files themselves."""
    places = {"what was said": said.encode()}
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".secret":
            places[str(path.relative_to(folder))] = path.read_bytes()
    for repository in (folder / "data", folder / "remote.git"):
        for command in (
            ("log", "-p", "--all", "--format=fuller"),
            ("cat-file", "--batch-all-objects", "--batch"),
        ):
            done = subprocess.run(["git", "-C", str(repository), *command], capture_output=True, check=True)
            assert len(done.stdout) > 1000
            places[f"git {command[0]} of {repository.name}"] = done.stdout
    assert {"data.state/receipts.json", "config.yaml"} <= set(places)
    found = [
        f"{form} in {place}"
        for form, text in secrets.forms()
        for place, content in places.items()
        if text in content
    ]
    assert found == []


def test_the_search_finds_what_it_looks_for(tmp_path):
    """A secret in any coding, inside a longer text; else the search above proves nothing."""
    secrets = Secrets.drawn(1)
    for name in secrets.__dataclass_fields__:
        text = getattr(secrets, name)
        for before in ("", "a", "ab", "user:"):
            wrapped = f"{before}{text}@host".encode()
            for coded in (wrapped, quote(wrapped, safe="").encode(), base64.b64encode(wrapped)):
                assert any(form in coded for _, form in secrets.forms()), (name, before, coded)
