"""The seal of JSON files: sorted, compact bytes that carry the digest of their own content.

A sealed file is the sorted, compact JSON of its content with `collected_at` and `digest` put in. Both
names sort side by side, so cutting that one piece out of the bytes gives back exactly what was hashed:
a flipped byte anywhere in the content shows without encoding anything again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from market.errors import DataInvalid
from market.hours import instant_iso
from market.snapshot import digest_of

Model = TypeVar("Model", bound=BaseModel)


def sealed(content: Mapping[str, Any], collected_at: datetime) -> bytes:
    """Return the bytes of a file; `content` is what the digest covers."""
    whole = {**content, "collected_at": instant_iso(collected_at), "digest": digest_of(content)}
    return orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)


def opened(data: bytes, where: str, schema_version: int) -> dict[str, Any]:
    """Return the JSON object in `data` after its schema version and its digest were checked.

    Raises:
        DataInvalid: Not a JSON object, an unknown version, or bytes that differ from what was sealed.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DataInvalid(where, "", f"not JSON: {error}; expected a sealed JSON object") from None
    if not isinstance(value, dict):
        raise DataInvalid(where, "", f"{type(value).__name__}, expected a JSON object")
    version = value.get("schema_version")
    if version != schema_version or isinstance(version, bool):
        raise DataInvalid(
            where, "schema_version", f"{version!r}, expected {schema_version}; written by a newer program?"
        )
    collected_at, told = value.get("collected_at"), value.get("digest")
    if not isinstance(collected_at, str) or not isinstance(told, str):
        raise DataInvalid(where, "collected_at, digest", "expected two strings")
    piece = b'"collected_at":' + orjson.dumps(collected_at) + b',"digest":' + orjson.dumps(told) + b","
    before, found_piece, after = data.partition(piece)
    if not found_piece or piece in after:
        raise DataInvalid(where, "digest", "not sorted, compact JSON as it was sealed")
    hashed = hashlib.sha256(before)
    hashed.update(after)
    found = "sha256:" + hashed.hexdigest()
    if found != told:
        raise DataInvalid(where, "digest", f"{told}, the content gives {found}")
    return value


def restamped(data: bytes, collected_at: datetime) -> bytes:
    """Return a sealed file with another time of collection; the digest does not cover it."""
    value = orjson.loads(data)
    before = b'"collected_at":' + orjson.dumps(value["collected_at"])
    return data.replace(before, b'"collected_at":' + orjson.dumps(instant_iso(collected_at)), 1)


def same_content(one: bytes, other: bytes) -> bool:
    """Say whether two sealed files differ in nothing but the time of their collection."""
    return bool(orjson.loads(one)["digest"] == orjson.loads(other)["digest"])


def fault_of(error: ValidationError) -> tuple[str, str]:
    """Return field and problem of the first error that pydantic found."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    shown = repr(first.get("input"))[:80]
    others = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return field, f"{shown}: {first['msg']}{others}"


def validated(model: type[Model], value: Any, where: str) -> Model:
    """Return `value` as the file's model.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        field, problem = fault_of(error)
        raise DataInvalid(where, field, problem) from None


def digest_of_bytes(data: bytes) -> str:
    """Return `sha256:<hex>` of a file's bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_of_file(path: str, data: bytes) -> str:
    """Return the digest that a record names a file by: of its content where it is sealed, else of its bytes.

    What is not the sealed JSON that its name promises has the digest of its bytes, which is nobody's.
    """
    if path.endswith(".json"):
        try:
            return str(opened(data, path, 1)["digest"])
        except DataInvalid:
            pass
    return digest_of_bytes(data)
