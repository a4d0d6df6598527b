"""A schema fuzzer over the description finds nothing: description and checks are one table."""

from __future__ import annotations

import anyio.to_thread
import pytest
import schemathesis
from schemathesis.config import (
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
    StatefulPhaseConfig,
)
from schemathesis.engine import Status, events, from_schema

from tests.cycle.house import START
from tests.daemon.api.test_records import TOKEN, daemon


def fuzzed(port: int, decision_id: str, examples: int, seed: int) -> tuple[int, list[str]]:
    """Return how many requests were made and every finding."""
    date, _, name = decision_id.partition("/")
    known = {"symbol": "ETH-USDT", "key": "ETH-USDT", "hour": str(START), "date": date, "name": name}
    config = SchemathesisConfig(
        seed=seed,
        projects=ProjectsConfig(
            default=ProjectConfig(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {TOKEN}"},
                continue_on_failure=True,
                phases=PhasesConfig(stateful=StatefulPhaseConfig(enabled=False)),  # no links are described
                generation=GenerationConfig(max_examples=examples, no_shrink=True, database="none"),
            )
        ),
    )
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json", config=config)

    @schema.hook
    def map_path_parameters(context, path_parameters):
        """Ask for what is there every other time: no random name would ever be."""
        if not path_parameters:
            return path_parameters
        odd = sum(len(str(value)) for value in path_parameters.values()) % 2
        return {key: known.get(key, value) if odd else value for key, value in path_parameters.items()}

    @schema.hook
    def map_query(context, query):
        """Ask without a cursor every other time: a random one is never the server's."""
        if query and "cursor" in query and len(str(query["cursor"])) % 2:
            return {name: value for name, value in query.items() if name != "cursor"}
        return query

    requests, busy, found = 0, 0, []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            requests += len(event.recorder.cases)
            for words, answer in failures(event.recorder):
                if answer.status_code == 503 and "retry-after" in answer.headers:
                    busy += 1
                else:
                    found.append(words)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            found.append(str(getattr(event, "info", None) or getattr(event, "exception", event)))
    if busy > requests / 100:  # a machine at its limit may be told to come back, now and then
        found.append(f"{busy} of {requests} requests were told to come back later")
    return requests, found


def failures(recorder):
    """Yield what each failed check says, and the answer that it failed for."""
    for case_id, checks in recorder.checks.items():
        for check in checks:
            answer = recorder.interactions[case_id].response
            if check.status is Status.FAILURE and not beyond_schemas(check.name, answer):
                called = recorder.cases[case_id].value.as_curl_command()
                yield f"{check.name}: {called}: {check.failure_info.failure.message}", answer


def beyond_schemas(check: str, answer) -> bool:
    """Say whether right data was refused for what no schema says: whose cursor it is, a span's order."""
    named = answer.json().get("parameter", {}).get("name") if answer.status_code == 400 else None
    return check == "positive_data_acceptance" and named in ("cursor", "end")


@pytest.fixture
def unlimited(monkeypatch):
    """A fuzzer that is told to wait would wait."""
    monkeypatch.setattr("daemon.api.actions.WRONG_A_MINUTE", 10**9)
    monkeypatch.setattr("daemon.api.actions.ANSWERS_A_MINUTE", 10**9)


async def run(tmp_path, examples, seed):
    async with daemon(tmp_path, hours=2) as api:
        listed = await api.json("/api/decisions")
        decision_id = listed["decisions"][0]["id"]
        requests, found = await anyio.to_thread.run_sync(fuzzed, api.port, decision_id, examples, seed)
    assert not found, "\n".join(found[:20])
    return requests


async def test_a_fuzzer_finds_nothing(tmp_path, unlimited):
    """Status, type, schema and headers as described; right data taken, wrong data refused; no 500."""
    assert await run(tmp_path, examples=8, seed=7) > 300


@pytest.mark.check
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_fuzzer_finds_nothing_in_many_tries(tmp_path, unlimited, seed):
    """The same with many more examples."""
    assert await run(tmp_path, examples=100, seed=seed) > 1000
