"""The committed JSON schema of result.json; ``python -m rpo_bench.results.json_schema`` rewrites it."""

import json
from pathlib import Path
from typing import Any

from rpo_bench.files.atomic import atomic_file
from rpo_bench.results.schema import SCHEMA_VERSION, Record

SCHEMA_FILE = Path(__file__).with_name("record.schema.json")


def record_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of the record's model."""
    schema = Record.model_json_schema(mode="validation")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"RPO-Bench result record, version {SCHEMA_VERSION}",
    }
    return {**head, **{key: value for key, value in schema.items() if key != "title"}}


def schema_text() -> str:
    """The schema as committed bytes."""
    return json.dumps(record_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_schema(file: Path = SCHEMA_FILE) -> None:
    """Writes the schema to its place in the repository."""
    with atomic_file(file) as temporary:
        temporary.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    write_schema()
