"""The committed JSON schema says what the record's model says."""

import json

import jsonschema
import pytest
from results_factory import cell_spec, record_of

from rpo_bench.results.json_schema import SCHEMA_FILE, schema_text, write_schema


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_committed_schema_is_current():
    assert SCHEMA_FILE.read_text() == schema_text(), "run: python -m rpo_bench.results.json_schema"


def test_the_command_writes_what_is_committed(tmp_path):
    write_schema(tmp_path / "schema.json")
    assert (tmp_path / "schema.json").read_text() == SCHEMA_FILE.read_text()


@pytest.mark.parametrize("status", ["completed", "diverged"])
def test_a_written_record_fits_it(validator, status):
    validator.validate(json.loads(record_of(cell_spec(), status).model_dump_json()))


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"status": "fine"},
        {"metrics": {"reward": 0.5}},
        {"spec": {}},
        {"surprise": 1},
    ],
)
def test_other_things_do_not(validator, change):
    value = {**json.loads(record_of(cell_spec()).model_dump_json()), **change}
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(value)
