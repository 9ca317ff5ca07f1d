"""The committed JSON schema says what the record's model says."""

import json
from pathlib import Path

import jsonschema
import pytest
from results_factory import cell_spec, record_of
from run_cli import invoke

from rpo_bench.engine.output import flat
from rpo_bench.results.json_schema import SCHEMA_FILE, schema_text, write_schema
from rpo_bench.results.schema import Record


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


def test_a_new_setting_at_its_default_does_not_show_in_published_records():
    """Their page would change; those of version 0.1 lack only what they are told apart by."""
    root = Path(__file__).parents[2] / "results"
    of_version_0_1 = {"seen", "spec.training.batches", "spec.training.clipping"}
    for file in sorted(root.rglob("result.json"))[::20]:
        stored = json.loads(file.read_text())
        read = Record.model_validate(stored).model_dump(mode="json")
        assert flat(read).keys() - flat(stored).keys() <= of_version_0_1


def test_what_is_published_passes_the_check_of_contributions():
    """Its size too, which any file below results/ may break."""
    done = invoke("submit", "check", Path(__file__).parents[2] / "results")
    assert done.exit_code == 0, done.stdout
