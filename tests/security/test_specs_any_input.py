"""Whatever is said, it is a spec or refused in one sentence: never a traceback, never a hang."""

import string

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import rpo_bench as rb
from rpo_bench.cli.knobs import KnobFlags
from rpo_bench.cli.measuring_flags import EvaluationFlags, GenerationFlags
from rpo_bench.cli.run_flags import DataFlags, ModelFlags, TrainingFlags
from rpo_bench.cli.spec_flags import build_spec, spec_changes
from rpo_bench.cli.train_and_eval import MatrixFlags
from rpo_bench.engine.inputs.choices import choose
from rpo_bench.engine.inputs.rewards import parse_rewards
from rpo_bench.errors import UserError
from rpo_bench.files.plain_data import MAX_SEED, plain_problem
from rpo_bench.spec.presets import load_config, load_preset, spec_over
from rpo_bench.spec.python_settings import SpecSettings
from rpo_bench.spec.schema import CellSpec, RunSpec
from rpo_bench.tasks.task import TaskSpec, load_task

few = settings(
    max_examples=40,
    phases=[Phase.generate],
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

huge = st.sampled_from([400, 5000]).map(lambda digits: 10**digits)
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([2**32, -1, 2**63, 1e308]), huge)
texts = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=8),
    st.sampled_from(["rpo", "sft", "civil_qa", "gold", "hf:", "a\0", "\ud800", "\x1b[2J", "null", "1e999"]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts, st.binary(max_size=3))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3), st.tuples(inner, inner)
    ),
    max_leaves=6,
)


def fields_of(model):
    """Names of a model's fields and of those within them, at any place of it."""
    return st.sampled_from(
        [*model.model_fields, "name", "options", "steps", "seed", "temperature", "lora", "*"]
    )


def mappings(model):
    """Something like a model: its own fields, with values of any kind or of further fields."""
    names = fields_of(model)
    inner = st.dictionaries(names, values, max_size=3)
    kinds = st.one_of(values, inner, st.lists(inner, max_size=2))
    return st.dictionaries(names | texts, kinds, max_size=4)


def refused_or(work):
    """What ``work`` gives; None where it says why not, in one short line."""
    try:
        return work()
    except UserError as error:
        text = str(error)
        assert text.strip()
        assert "\n" not in text
        assert len(text) < 3000
        return None


def means_something(spec):
    """What holds for every spec that there is."""
    assert isinstance(spec, RunSpec)
    assert plain_problem(spec.model_dump()) is None
    assert all(0 <= seed <= MAX_SEED for seed in spec.seeds)
    assert spec.seeds
    assert spec.methods
    assert all(strengths and min(strengths) > 0 for strengths in spec.strengths.values())
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec


@few
@given(st.dictionaries(st.sampled_from([*SpecSettings.__annotations__]), values, max_size=3))
def test_any_settings_in_python(given):
    spec = refused_or(lambda: rb.make_spec("smoke", **given))
    if spec is not None:
        means_something(spec)


@few
@given(mappings(RunSpec), mappings(RunSpec))
def test_any_layers(below, above):
    spec = refused_or(lambda: spec_over([load_preset("smoke"), below, above], {}))
    if spec is not None:
        means_something(spec)
        refused_or(lambda: choose(spec))


@few
@given(mappings(RunSpec) | values)
def test_any_file_that_was_written(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("any") / "spec.yaml"
    try:
        file.write_text(yaml.safe_dump(content))
    except (yaml.YAMLError, ValueError):  # no YAML can say it
        return
    layer = refused_or(lambda: load_config(file))
    if layer is not None:
        spec = refused_or(lambda: spec_over([load_preset("smoke"), layer], {}))
        if spec is not None:
            means_something(spec)


snippets = st.sampled_from(
    ["methods:", "seeds:", " ", "\n", "- ", "[", "]", "{", "}", ",", "&a ", "*a", "<<: ", "? ", ": ", "'",
     '"', "!!int ", "!!binary ", "!!timestamp ", "|", ">", "%YAML 9", "---", "...", "#", "\t", "\\ud800",
     "0x", "~", "2026-99-99", ".inf", "1:59", "yes", "1_0", "\ufeff", "\x85", "@", "`"]
)  # fmt: skip


@few
@given(st.one_of(st.lists(snippets, max_size=12).map("".join).map(str.encode), st.binary(max_size=30)))
@pytest.mark.parametrize("door", ["config", "task"])
def test_any_bytes_in_a_file(tmp_path_factory, door, content):
    folder = tmp_path_factory.mktemp("any")
    (folder / "task.yaml").write_bytes(content)
    if door == "task":
        refused_or(lambda: load_task(str(folder)))
    else:
        refused_or(lambda: load_config(folder / "task.yaml"))


@few
@given(mappings(TaskSpec))
def test_any_task(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any")
    try:
        (folder / "task.yaml").write_text(yaml.safe_dump(content))
    except (yaml.YAMLError, ValueError):
        return
    refused_or(lambda: load_task(str(folder)))


flag_texts = st.one_of(
    st.none(),
    texts,
    st.text(st.sampled_from("rpo=;,()*+-.:0123456789einfa _"), max_size=12),
    st.sampled_from(
        ["rpo=0.3,1;kto=0.1", "0-4", "lr=1e-4", "sft,rpo(tau=0.3)", "temperature=0.7", "0-4000000000"]
    ),
    st.text(string.printable, max_size=6).map(lambda text: text * 2000),
)
flag_numbers = st.one_of(st.none(), numbers)


@few
@given(st.data())
def test_any_flags(data):
    draw = data.draw
    matrix = {name: draw(flag_texts) for name in ("methods", "strengths", "seeds", "models", "sweep")}
    training = TrainingFlags(
        steps=draw(flag_numbers),
        learning_rate=draw(flag_numbers),
        max_grad_norm=draw(flag_numbers),
        lora_rank=draw(flag_numbers),
        lora_alpha=draw(flag_numbers),
        report_to=draw(flag_texts),
        train_reward=draw(flag_texts),
    )
    evaluation = EvaluationFlags(gen_kwargs=draw(flag_texts), toxicity=draw(flag_texts))
    files = DataFlags(task=draw(flag_texts), data=draw(flag_texts), test_fraction=draw(flag_numbers))
    generation = GenerationFlags(draw(flag_texts), draw(flag_texts))
    models = ModelFlags(prompt_format=draw(flag_texts), revision=draw(flag_texts))
    knobs = KnobFlags(tau=draw(flag_texts))

    def build():
        groups = (MatrixFlags(**matrix), files, training, evaluation, models, generation)
        return build_spec([load_preset("smoke")], spec_changes(*groups), knobs)

    spec = refused_or(build)
    if spec is not None:
        means_something(spec)
        refused_or(lambda: parse_rewards(spec.training.reward))


@few
@given(flag_texts.filter(bool))
def test_any_single_flag(text):
    """One flag at a time comes further than several."""
    for name in ("methods", "strengths", "seeds", "models", "sweep", "budgets", "kl_budgets"):
        spec = refused_or(
            lambda name=name: build_spec([load_preset("smoke")], spec_changes(MatrixFlags(**{name: text})))
        )
        if spec is not None:
            means_something(spec)
            refused_or(lambda spec=spec: choose(spec))


@few
@given(mappings(CellSpec))
def test_a_cell_is_one_or_none(content):
    """Of a cell's spec ValidationError is what readers of records expect."""
    try:
        CellSpec.model_validate(content)
    except ValueError:
        return
