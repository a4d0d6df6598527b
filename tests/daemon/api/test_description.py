"""/openapi.json: a valid document, and every answer is of the schema that it names."""

from __future__ import annotations

import jsonschema_rs
import pytest

from daemon.api import routes
from store.advice import decision_ids
from store.kpi_files import encode_kpis
from tests.cycle.house import START
from tests.daemon.api.serving import SERIES
from tests.daemon.api.test_records import daemon
from tests.store.test_kpi_files import PATH, made

META = "https://json-schema.org/draft/2020-12/schema"


def validator(document, name):
    """Return what checks an answer against a schema of the document, formats too."""
    schema = {"$schema": META, "$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


async def test_the_document_is_sound(api):
    """OpenAPI 3.1: each route with its parameters and answers, every schema valid, every reference there."""
    document = await api.json("/openapi.json")
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {route.path for route in routes.READING}
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema_rs.meta.validate({"$schema": META, **schema})
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    for path, operations in document["paths"].items():
        for operation in operations.values():
            named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert len({each["name"] for each in operation["parameters"]}) == len(operation["parameters"])
    operations = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(set(operations)) == len(operations)


async def test_regime_answers_are_of_their_schemas(any_api):
    """Each route, with and without candles, full pages and empty ones."""
    document = await any_api.json("/openapi.json")
    for path, name in (
        ("/1h?limit=300", "Rows"),
        ("/1h?limit=30&candles=true", "Rows"),
        ("/4h?start=2150-01-01", "Rows"),
        ("/1h/stats", "Stats"),
        ("/1h/stats?start=2150-01-01", "Stats"),
        ("/1h/periods?start=2024-05-20&limit=50", "Periods"),
        ("/1h/transitions?start=2024-05-20", "Transitions"),
    ):
        validator(document, name).validate(await any_api.json(f"{SERIES}{path}"))
    validator(document, "Problem").validate(await any_api.problem(f"{SERIES}/1h", 400, limit="0"))
    validator(document, "Problem").validate(await any_api.problem("/api/nonsense", 404))


async def test_records_are_of_their_schemas(tmp_path):
    """Of a daemon that ran for some hours, and a day's KPI record beside."""
    async with daemon(tmp_path, hours=3) as api:
        document = await api.json("/openapi.json")
        (decision_id, *_) = decision_ids(api.root)
        (api.root / "kpis").mkdir()
        (api.root / PATH).write_bytes(encode_kpis(made()))
        assert (await api.json("/api/kpis/2026-02-02"))["date"] == "2026-02-02"
        for path, name in (
            ("/api/markets", "Markets"),
            ("/api/decisions", "Decisions"),
            (f"/api/decisions/{decision_id}", "Decision"),
            (f"/api/snapshots/ETH-USDT/{START}", "SnapshotFile"),
            ("/api/grids", "Grids"),
            ("/api/kpis/2026-02-02", "KpisFile"),
        ):
            validator(document, name).validate(await api.json(path))


@pytest.mark.parametrize("name", ["Rows", "Stats", "Periods", "Transitions", "Decisions", "Problem"])
async def test_the_schemas_refuse_what_they_do_not_tell(api, name):
    """An unknown member is not of the schema: what is described is all there is."""
    document = await api.json("/openapi.json")
    assert document["components"]["schemas"][name]["additionalProperties"] is False
    assert not validator(document, name).is_valid({"more": 1})
