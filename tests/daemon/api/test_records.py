"""Records over HTTP: what lies in the data repository, and answering advice."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from time import monotonic

import httpx
import orjson
import pytest

from daemon.http import serving
from daemon.regimes import RegimeHistory
from market.errors import ConfigInvalid
from market.hours import Hour
from store import yaml_text
from store.advice import decision_ids, read_advice
from store.commits import CommittedChanges
from tests.cycle.house import START, house
from tests.daemon.api.serving import Served, told_problem
from tests.daemon.regimes import RULES, regimes

TOKEN = "0123456789abcdef" * 3


@asynccontextmanager
async def daemon(folder, hours=3, markets=1, token=True):
    """Run a daemon's house for some hours and serve it."""
    http = {"port": 0}
    if token:
        (folder / "token").write_text(f"{TOKEN}\n")
        http["token_file"] = str(folder / "token")
    async with house(folder, markets=markets, http=http) as there:
        root = there.app.store.root
        there.app.regimes = RegimeHistory(
            lambda: None, regimes(root), RULES, CommittedChanges(root), monotonic
        )
        await there.hours(START, hours)
        async with (
            serving(there.app, "127.0.0.1", 0) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
        ):
            yield Served(port, client, there.app.regimes, there.app.metrics, root, there)


async def posted(api, decision_id, token=TOKEN, **body):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await api.client.post(f"/api/decisions/{decision_id}/actions", json=body, headers=headers)


async def test_records_are_told_as_they_lie_there(tmp_path):
    """Markets, snapshots, decisions, grids, KPIs: each equal to its file."""
    async with daemon(tmp_path, hours=3, markets=2) as api:
        told = await api.json("/api/markets")
        assert told["markets"][0]["recorded_from"]["1m"] == START.iso()
        assert told["markets"][0]["recorded_from"]["4h"] == told["markets"][0]["start"]
        assert [(m["symbol"], m["configured"]) for m in told["markets"]] == [
            ("BTC-USDT", True),
            ("ETH-USDT", True),
        ]
        path = api.root / f"snapshots/ETH-USDT/{START.opens_at:%Y/%m/%d/%H}.json"
        answer = await api.get(f"/api/snapshots/ETH-USDT/{START}")
        assert answer.content == path.read_bytes()
        (decision_id, *_) = decision_ids(api.root)
        told = await api.json(f"/api/decisions/{decision_id}")
        recorded = yaml_text.load((api.root / f"decisions/{decision_id}.yaml").read_bytes(), "")
        assert told == {"decision": json.loads(orjson.dumps(recorded)), "actions": []}
        assert await api.json("/api/grids") == {"grids": [], "damaged": []}
        (api.root / "grids").mkdir(exist_ok=True)
        (api.root / "grids" / "broken.yaml").write_text("token: hunter2\n")
        await told_problem_of(api, f"/api/kpis/{START.opens_at:%Y-%m-%d}", 404)


async def told_problem_of(api, path, status):
    return told_problem(await api.get(path), status)


async def test_decisions_are_walked_newest_first_while_more_come(tmp_path):
    """No recommendation twice or missing over pages, though an hour is judged between them."""
    async with daemon(tmp_path, hours=4, markets=2) as api:
        before = list(decision_ids(api.root))
        page = await api.json("/api/decisions", limit=3)
        await api.house.hour(START.plus(4))
        found = [each["id"] for each in page["decisions"]]
        found += [
            e["id"] for e in await api.walk("/api/decisions", "decisions", limit=3, cursor=page["next"])
        ]
        assert sorted(found) == sorted(before)
        closes = [Hour.parse(read_advice(api.root, each).file.hour).close_ts for each in found]
        assert closes == sorted(closes, reverse=True)
        told = await api.walk("/api/decisions", "decisions", market="BTC-USDT", since=str(START.plus(3)))
        assert {each["market"] for each in told} == {"BTC-USDT"}
        assert [each["hour"] for each in told] == [START.plus(n).iso() for n in (4, 3, 2)]
        problem = await api.problem("/api/decisions", 400, cursor=page["next"], market="ETH-USDT")
        assert problem["parameter"]["name"] == "cursor"


async def test_a_damaged_record_is_named_without_its_insides(tmp_path):
    """The list says which, the record itself is a 500 problem; nothing of its content is told."""
    async with daemon(tmp_path, hours=2) as api:
        first, second = decision_ids(api.root)
        (api.root / f"decisions/{first}.yaml").write_text("token: hunter2\n")
        told = await api.json("/api/decisions")
        assert ([each["id"] for each in told["decisions"]], told["damaged"]) == ([second], [first])
        answer = await api.get(f"/api/decisions/{first}")
        told_problem(answer, 500)
        assert "hunter2" not in answer.text
        (api.root / "grids").mkdir(exist_ok=True)
        (api.root / "grids" / "eth-grid.yaml").write_text("token: hunter2\n")
        assert await api.json("/api/grids") == {"grids": [], "damaged": ["grids/eth-grid.yaml"]}


async def test_an_answer_over_http_is_the_commands(tmp_path):
    """A note is recorded as `regimed decide` records it, is told at once, and has a commit."""
    async with daemon(tmp_path) as api:
        (decision_id, *_) = decision_ids(api.root)
        before = await api.get(f"/api/decisions/{decision_id}")
        answer = await posted(api, decision_id, answer="note", note="seen <b>it</b>", price="2500.5")
        assert answer.status_code == 201, answer.text
        assert len(answer.json()["commit"]) == 40
        (action,) = read_advice(api.root, decision_id).actions
        assert (action.actor, action.action.value, action.note) == ("api", "note", "seen <b>it</b>")
        assert action.price == 2500.5
        after = await api.get(
            f"/api/decisions/{decision_id}", headers={"If-None-Match": before.headers["etag"]}
        )
        assert after.status_code == 200
        assert [each["note"] for each in after.json()["actions"]] == ["seen <b>it</b>"]
        listed = await api.json("/api/decisions")
        assert {each["id"]: each["actions"] for each in listed["decisions"]}[decision_id] == 1


async def test_what_cannot_be_answered_so_is_a_conflict(tmp_path):
    """Advice that asks for nothing cannot be accepted; a second answer is refused; nothing is written."""
    async with daemon(tmp_path) as api:
        (decision_id, *_) = decision_ids(api.root)
        problem = told_problem(await posted(api, decision_id, answer="accept"), 409)
        assert problem["parameter"]["name"] == "answer"
        assert (await posted(api, decision_id, answer="decline")).status_code == 201
        problem = told_problem(await posted(api, decision_id, answer="decline"), 409)
        assert "already answered" in problem["detail"]
        assert len(read_advice(api.root, decision_id).actions) == 1
        unknown = decision_id.replace("dec-ETH", "dec-DOGE")
        told_problem(await posted(api, unknown, answer="note"), 404)


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"[]", 400, "body"),
        (b"{}", 400, "answer"),
        (b'{"answer":"expired"}', 400, "answer"),
        (b'{"answer":"note","price":"0"}', 400, "price"),
        (b'{"answer":"note","price":2500}', 400, "price"),
        (b'{"answer":"note","price":"1e9"}', 400, "price"),
        (b'{"answer":"note","at":"yesterday"}', 400, "at"),
        (b'{"answer":"note","drop":"table"}', 400, "drop"),
        (b'{"answer":"note","note":"' + b"x" * 2001 + b'"}', 400, "note"),
        (b'{"answer":"note","note":"\xff"}', 400, None),
        (b" " * 70_000, 413, None),
    ],
)
async def test_a_body_that_is_not_an_answer_is_named(tmp_path, body, status, name):
    """Empty, not JSON, of another form, too large: a problem with the field, and nothing is written."""
    async with daemon(tmp_path, hours=1) as api:
        (decision_id,) = decision_ids(api.root)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        address = f"/api/decisions/{decision_id}/actions"
        problem = told_problem(await api.client.post(address, content=body, headers=headers), status)
        assert problem.get("parameter", {}).get("name") == name
        headers["Content-Type"] = "text/plain"
        told_problem(await api.client.post(address, content=b"{}", headers=headers), 415)
        assert read_advice(api.root, decision_id).actions == ()


async def test_without_the_token_nothing_is_taken_and_guessing_is_slow(tmp_path):
    """401 with what is needed; after ten wrong ones in a minute 429; the right one still passes."""
    async with daemon(tmp_path, hours=1) as api:
        (decision_id,) = decision_ids(api.root)
        for token in (None, "x", "wrong", TOKEN[:-1], f"{TOKEN}0", TOKEN.upper(), "ünsicher"):
            headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
            answer = await api.client.post(
                f"/api/decisions/{decision_id}/actions", json={"answer": "note"}, headers=headers
            )
            told_problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        statuses = [(await posted(api, decision_id, token="x", answer="note")).status_code for _ in range(4)]
        assert statuses == [401, 401, 401, 429]
        answer = await posted(api, decision_id, token="x", answer="note")
        assert 1 <= int(answer.headers["retry-after"]) <= 61
        assert (await posted(api, decision_id, answer="note", note="mine")).status_code == 201
        for _ in range(29):
            await posted(api, decision_id, answer="expired")
        told_problem(await posted(api, decision_id, answer="note"), 429)
        assert len(read_advice(api.root, decision_id).actions) == 1


async def test_without_a_configured_token_there_is_no_such_route(tmp_path):
    """Off: 404, and the description does not tell of it."""
    async with daemon(tmp_path, hours=1, token=False) as api:
        (decision_id,) = decision_ids(api.root)
        told_problem(await posted(api, decision_id, answer="note"), 404)
        paths = (await api.json("/openapi.json"))["paths"]
        assert not [path for path in paths if path.endswith("/actions")]
        answer = await api.client.post(f"/api/decisions/{decision_id}", json={})
        told_problem(answer, 405)
        assert set(answer.headers["allow"].split(",")) == {"GET", "HEAD"}


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 40, b"two lines\n" * 5, None])
async def test_a_token_that_is_none_stops_the_start(tmp_path, content):
    """Named by its setting, never quoted."""
    path = tmp_path / "token-file"
    if content is not None:
        path.write_bytes(content)
    async with house(tmp_path, http={"port": 0, "token_file": str(path)}) as there:
        root = there.app.store.root
        there.app.regimes = RegimeHistory(
            lambda: None, regimes(root), RULES, CommittedChanges(root), monotonic
        )
        with pytest.raises(ConfigInvalid, match=r"^http\.token_file: ") as told:
            async with serving(there.app, "127.0.0.1", 0):
                pass
        assert "two lines" not in str(told.value)
