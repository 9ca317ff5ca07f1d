"""Planning: which cells there are, and what is refused before any work."""

import json
import shutil

import pytest
from tiny_models import tiny_decoder, tiny_tokenizer
from tiny_task import TOPICS, tiny_task, write_rows

from rpo_bench.engine.plan.plan import PlanContext, plan_run
from rpo_bench.errors import UserError
from rpo_bench.methods.registry import METHODS, resolve_method
from rpo_bench.registry import load_plugin
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import (
    FIRST_PROTOCOL,
    DataSpec,
    Decoding,
    EvaluationSpec,
    MethodSpec,
    TrainingSpec,
)
from rpo_bench.spec.trust import Trust


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    root = tmp_path_factory.mktemp("tasks")
    tiny_task(root / "tiny")
    return root


def methods(*names, **options):
    return tuple(MethodSpec(name=name, options=options) for name in names)


def plan(tasks, tmp_path, chosen=("sft",), **changes):
    settings = {"task": "tiny", "methods": methods(*chosen), "seeds": (0,), **changes}
    settings.setdefault("training", TrainingSpec(steps=3, batch_size=4))
    return plan_run(RunSpec(**settings), PlanContext(tmp_path / "work", tasks, Trust()))


def refused(message, tasks, tmp_path, **changes):
    with pytest.raises(UserError, match=message) as caught:
        plan(tasks, tmp_path, **changes)
    assert "\n" not in str(caught.value)


def test_every_method_strength_and_seed_and_the_reference_once(tasks, tmp_path):
    made = plan(tasks, tmp_path, ("dro", "rpo"), seeds=(0, 1), n_strengths=3)
    assert [c.spec.strength for c in made.cells if c.spec.method.name == "rpo" and c.spec.seed == 1] == [
        2,
        0.5,
        0.125,
    ]
    assert len(made.cells) == 1 + 2 * 3 * 2
    assert [c.spec.method.name for c in made.cells if not c.trained] == ["reference"]
    assert len({c.spec.hash for c in made.cells}) == len(made.cells)
    assert len({c.spec.training_hash for c in made.cells}) == len(made.cells)


def test_strengths_that_come_to_one_checkpoint_are_one_cell(tasks, tmp_path):
    made = plan(tasks, tmp_path, strengths={"sft": (4.0, 8.0)})
    assert [c.spec.strength for c in made.cells if c.trained] == [4.0]
    assert any(
        note.startswith("sft at k = 8 is left out: it gives the same checkpoint as at k = 4")
        for note in made.warnings
    )


def test_the_learning_rate_is_the_flags_then_the_tasks_then_the_methods(tasks, tmp_path):
    made = plan(tasks, tmp_path, ("sft", "dro"), n_strengths=1)
    assert [c.spec.training.learning_rate for c in made.cells if c.trained] == [1e-4, 0.002]
    given = TrainingSpec(steps=3, batch_size=4, learning_rate=0.5)
    made = plan(tasks, tmp_path, ("sft", "dro"), n_strengths=1, training=given)
    assert [c.spec.training.learning_rate for c in made.cells if c.trained] == [0.5, 0.5]


def test_another_model_than_the_tasks_own_has_the_methods_rate_for_its_width(tasks, tmp_path, monkeypatch):
    """The task's rates were chosen for its own models."""
    other = tiny_decoder(tmp_path / "other")
    made = plan(tasks, tmp_path, ("dro",), n_strengths=1, models=(str(other),))
    assert [c.spec.training.learning_rate for c in made.cells if c.trained] == [1e-4]
    monkeypatch.setattr("trainers.rates._WIDTH", 4)  # of these models: 16
    made = plan(tasks, tmp_path, ("dro",), n_strengths=1, models=(str(other),))
    assert [c.spec.training.learning_rate for c in made.cells if c.trained] == [2.5e-5]


def test_a_sweep_makes_every_cell_at_each_learning_rate(tasks, tmp_path):
    """2 methods × 2 strengths × 3 rates; each a checkpoint of its own."""
    made = plan(tasks, tmp_path, ("rpo", "dro"), n_strengths=2, learning_rates=(1e-3, 1e-4, 1e-5))
    trained = [c.spec for c in made.cells if c.trained]
    assert len(trained) == 12
    assert {spec.training.learning_rate for spec in trained} == {1e-3, 1e-4, 1e-5}
    assert len({spec.training_hash for spec in trained}) == 12


def test_a_swept_cell_is_the_one_that_its_learning_rate_alone_would_make(tasks, tmp_path):
    swept = plan(tasks, tmp_path, learning_rates=(1e-3,)).cells[-1].spec
    alone = plan(tasks, tmp_path, training=TrainingSpec(steps=3, batch_size=4, learning_rate=1e-3))
    assert swept.hash == alone.cells[-1].spec.hash


def test_a_task_may_give_one_learning_rate_to_all_but_a_few(tmp_path):
    folder = tiny_task(tmp_path / "tasks" / "tiny")
    file = folder / "task.yaml"
    file.write_text(file.read_text().replace("dro: 0.002", "dro: 0.002\n  '*': 0.003"))
    made = plan(tmp_path / "tasks", tmp_path, ("sft", "dro"), n_strengths=1)
    assert [c.spec.training.learning_rate for c in made.cells if c.trained] == [0.003, 0.002]


def test_strengths_by_label_then_name_then_all(tasks, tmp_path):
    chosen = (
        MethodSpec(name="rpo"),
        MethodSpec(name="rpo", options={"partition": "leave_one_out"}),
        MethodSpec(name="kto"),
        MethodSpec(name="dro", options={"tau": "0.7"}),
    )
    strengths = {"rpo(partition=leave_one_out)": (0.9,), "rpo": (0.3, 0.2), "*": (0.1,)}
    made = plan(tasks, tmp_path, methods=chosen, strengths=strengths)
    found = {choice.spec.label: choice.strengths for choice in made.choices}
    assert found == {"rpo": (0.3, 0.2), "rpo(partition=leave_one_out)": (0.9,), "kto": (0.1,), "dro": (0.7,)}


def test_an_option_is_the_same_however_it_is_written(tasks, tmp_path):
    def hashes(**options):
        return [c.spec.hash for c in plan(tasks, tmp_path, methods=methods("kto", **options)).cells]

    assert hashes(weight_d="1.5") == hashes(weight_d=1.5)
    assert hashes(weight_d=1.0) == hashes()  # the default, said aloud
    assert hashes(weight_d=1.5) != hashes()


def test_a_presets_own_strength_is_the_middle_of_its_ladder(tasks, tmp_path):
    made = plan(tasks, tmp_path, ("rpo-released",), n_strengths=3)
    assert made.choices[0].strengths == (20.0, 5.0, 1.25)


def test_the_identity_does_not_depend_on_where_files_lie(tasks, tmp_path):
    elsewhere = tmp_path / "moved"
    shutil.copytree(tasks, elsewhere)
    here = plan(tasks, tmp_path / "a", ("rpo",))
    there = plan(elsewhere, tmp_path / "b", ("rpo",))
    assert [c.spec.hash for c in here.cells] == [c.spec.hash for c in there.cells]
    assert [c.spec.name for c in here.cells] == [c.spec.name for c in there.cells]


def test_evaluation_settings_leave_the_checkpoints_identity_alone(tasks, tmp_path):
    one = plan(tasks, tmp_path).cells[1].spec
    other = plan(tasks, tmp_path, evaluation=EvaluationSpec(n_samples=9)).cells[1].spec
    assert one.hash != other.hash
    assert one.training_hash == other.training_hash


def test_the_second_plan_takes_the_tokens_from_the_cache(tasks, tmp_path, monkeypatch):
    plan(tasks, tmp_path)

    def no_tokenizer(*args):
        raise AssertionError("the tokenizer was loaded again")

    monkeypatch.setattr("rpo_bench.engine.plan.plan.tokenizer_of", no_tokenizer)
    plan(tasks, tmp_path)


def test_a_file_makes_a_task_with_held_out_prompts(tasks, tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl")
    spec = {
        "task": "data:rows",
        "data": DataSpec(file=str(rows)),
        "models": (str(tasks / "tiny/models/decoder"),),
    }
    spec["evaluation"] = EvaluationSpec(decoding=Decoding(max_new_tokens=5))
    made = plan(tasks, tmp_path, ("kto",), **spec)
    trained = {row.prompt for row in made.data["decoder"].rows}
    heldout = {prompt.text for prompt in made.task.heldout}
    assert len(trained) + len(heldout) == len(TOPICS)
    assert not trained & heldout
    assert {prompt.text for prompt in made.task.probe} <= trained
    again = plan(tasks, tmp_path / "elsewhere", ("kto",), **spec)
    assert [c.spec.hash for c in made.cells] == [c.spec.hash for c in again.cells]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chosen": ("rpp",)}, r"Unknown method 'rpp'\. Did you mean 'rpo'"),
        ({"methods": methods("rpo", partitoin="released")}, "no option 'partitoin'.*'partition'"),
        ({"methods": methods("rpo", partition="relased")}, "'relased'.*'released'"),
        ({"chosen": ("sft", "sft")}, "sft twice"),
        ({"strengths": {"rpo": (1.0,)}}, "'rpo' is not among the methods"),
        ({"methods": methods("dro", tau=-1)}, r"tau = -1: a strength is a positive number"),
        ({"strengths": {"sft": (1.5,)}}, "k is a whole number"),
        ({"task": "tinny"}, r"Unknown task 'tinny'\. Did you mean 'tiny'"),
        ({"models": ("decodr",)}, r"no folder 'decodr'.*'decoder'"),
        ({"data": DataSpec(variant="onpolicy")}, "'onpolicy'.*'on_policy'"),
        ({"data": DataSpec(file="nowhere.jsonl")}, "nowhere.jsonl"),
        ({"methods": methods("rpo", partition="self_normalised")}, "'behaviour_logp' in every row.*32 of 32"),
        ({"methods": methods("rpo", partition="reference_samples")}, "'reference_rewards'.*8 of 8 prompts"),
        ({"evaluation": EvaluationSpec(reward="gold.py")}, "write python:FILE:FUNCTION"),
        ({"evaluation": EvaluationSpec(reward="python:gold.py:f")}, "no file gold.py"),
        ({"evaluation": EvaluationSpec(toxicity="perspective")}, "--toxicity perspective"),
        ({"evaluation": EvaluationSpec(decoding=Decoding(max_new_tokens=500))}, "6 of 6 held-out prompts"),
    ],
)  # fmt: skip
def test_what_can_not_work_is_one_sentence(tasks, tmp_path, changes, message):
    refused(message, tasks, tmp_path, **changes)


def test_data_that_a_method_can_not_use(tasks, tmp_path):
    single = DataSpec(responses_per_prompt=1)
    loo = methods("rpo", partition="leave_one_out")
    refused("leave_one_out.*8 of 8 prompts have one", tasks, tmp_path, data=single, methods=loo)
    refused("'dpo|dpo needs two responses", tasks, tmp_path, data=single, chosen=("dpo",))
    refused("All rewards in .* are 1", tasks, tmp_path, data=single)
    made = plan(
        tasks, tmp_path, ("rpo-released",), data=single.model_copy(update={"file": str(varied(tmp_path))})
    )
    assert "the reward cancels" in made.warnings[0]


def test_responses_that_make_no_pair_are_found_when_planning(tasks, tmp_path):
    """Two to a prompt, rewarded alike: neighbours are a pair even so, best and worst are none."""
    file = tmp_path / "ties.jsonl"
    rows = [
        {"prompt": f"what is {t} ?", "response": r, "reward": i}
        for i, t in enumerate(TOPICS)
        for r in ("yes", "no")
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = DataSpec(file=str(file))
    refused(
        "dpo needs pairs of responses to a prompt; .* has none", tasks, tmp_path, data=data, chosen=("dpo",)
    )
    assert plan(tasks, tmp_path, ("rebel",), data=data)


def varied(tmp_path):
    file = tmp_path / "varied.jsonl"
    rows = [{"prompt": f"what is {t} ?", "response": "yes .", "reward": i} for i, t in enumerate(TOPICS)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no usable rows"),
        ('{"prompt": "a", "response": "b", "reward": 1}\n', "only one prompt"),
        ('{"prompt": "a", "response": "b", "reward": NaN}\n', "line 1"),
        ('{"prompt": "a", "response": "b"}\n', "line 1: 'reward' is missing"),
    ],
)
def test_files_that_can_not_be_used(tasks, tmp_path, text, message):
    file = tmp_path / "bad.jsonl"
    file.write_text(text)
    refused(message, tasks, tmp_path, data=DataSpec(file=str(file)))


def test_rows_that_are_held_out_may_not_be_trained_on(tasks, tmp_path):
    file = tmp_path / "leak.jsonl"
    rows = [{"prompt": f"who is the {t} ?", "response": "yes .", "reward": i} for i, t in enumerate(TOPICS)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    refused("6 held-out prompts of the task 'tiny'", tasks, tmp_path, data=DataSpec(file=str(file)))


def test_long_rows_are_refused_cut_or_left_out(tasks, tmp_path):
    file = write_rows(tmp_path / "long.jsonl")
    long = {"prompt": "what " * 200, "response": "yes .", "reward": 2.0}
    file.write_text(file.read_text() + json.dumps(long) + "\n")
    refused(r"longer than the model's context of 128 tokens.*long.jsonl line 33.*--truncate", tasks, tmp_path,
            data=DataSpec(file=str(file)))  # fmt: skip
    for policy, said in (("truncate", "were cut"), ("drop", "were left out")):
        made = plan(tasks, tmp_path, data=DataSpec(file=str(file), long=policy))
        assert any(f"rows didn't fit the model's context and {said}" in one for one in made.warnings)


def test_model_folders_that_can_not_be_used(tasks, tmp_path):
    def broken(name, message, change):
        folder = tmp_path / name
        tiny_decoder(folder)
        change(folder)
        refused(message, tasks, tmp_path, models=(str(folder),))

    broken("weightless", "no weights", lambda f: (f / "model.safetensors").unlink())
    broken("mute", "no tokenizer", lambda f: [p.unlink() for p in f.glob("tokenizer*")])
    broken("larger", "doesn't fit its model", wider_tokenizer)
    broken("damaged", "can.t be read", lambda f: (f / "model.safetensors").write_bytes(b"not weights"))


def wider_tokenizer(folder):
    tokenizer = tiny_tokenizer(append_eos=False)
    tokenizer.add_tokens([f"word{i}" for i in range(50)])
    tokenizer.save_pretrained(folder)


def test_two_models_of_one_name_are_refused(tasks, tmp_path):
    for parent in ("a", "b"):
        tiny_decoder(tmp_path / parent / "base")
    refused(
        "both called 'base'", tasks, tmp_path, models=(str(tmp_path / "a/base"), str(tmp_path / "b/base"))
    )


def test_a_plug_ins_content_is_part_of_the_identity(tasks, tmp_path, monkeypatch):
    """Whoever edits a method and runs again gets the edited method, not yesterday's results."""
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))  # no later test has them
    text = "from rpo_bench.methods import METHODS\nfrom trainers.rpo import RPO\n"
    text += "METHODS.add('mine-{0}', lambda: RPO(logp='mean'))\n"
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text(text.format(name))
        load_plugin(tmp_path / f"{name}.py")
    made = plan(tasks, tmp_path, ("mine-a", "rpo"), n_strengths=1).choices
    assert made[1].spec.source is None
    assert made[0].spec.source is not None
    assert plan(tasks, tmp_path, ("mine-b",), n_strengths=1).choices[0].spec.source != made[0].spec.source


def test_what_an_online_method_learns_from_is_part_of_its_checkpoints_identity(tasks, tmp_path):
    """Another reward makes other checkpoints of GRPO, and the same ones of RPO."""
    (tmp_path / "other.py").write_text("def f(prompts, responses):\n    return [0.0 for _ in responses]\n")
    own = plan(tasks, tmp_path, ("rpo", "grpo"), n_strengths=1).cells
    reward = EvaluationSpec(reward=f"python:{tmp_path / 'other.py'}:f")
    other = plan(tasks, tmp_path, ("rpo", "grpo"), n_strengths=1, evaluation=reward).cells
    same = [a.spec.training_hash == b.spec.training_hash for a, b in zip(own, other, strict=True)]
    assert [cell.spec.method.name for cell in own] == ["reference", "rpo", "grpo"]
    assert same == [True, True, False]


@pytest.mark.parametrize(
    ("options", "first", "label", "passes"),
    [
        ({}, False, "ppo(inner_epochs=1)", 1),
        ({"inner_epochs": 4}, False, "ppo(inner_epochs=4)", 4),
        ({}, True, "ppo", 4),
        ({"inner_epochs": 1}, True, "ppo(inner_epochs=1)", 1),
    ],
)
def test_online_methods_pass_over_their_rollouts_equally_often(
    tasks, tmp_path, options, first, label, passes
):
    """PPO's own default is four; version 0.1 left it that, and its commands make its cells again."""
    training = TrainingSpec(steps=3, batch_size=4, **(FIRST_PROTOCOL if first else {}))
    chosen = (MethodSpec(name="ppo", options=options), MethodSpec(name="grpo"))
    made = plan(tasks, tmp_path, methods=chosen, n_strengths=1, training=training).choices
    assert made[0].spec.label == label
    assert made[0].method.inner_epochs == passes
    assert made[1].spec.label == "grpo"
    assert made[1].method.inner_epochs == 1
    cell = plan(tasks, tmp_path, methods=chosen[:1], n_strengths=1, training=training).cells[-1]
    assert resolve_method(cell.spec.method, cell.spec.strength).inner_epochs == passes


def test_budgets_are_multiples_of_the_steps(tasks, tmp_path):
    """2 methods × 2 strengths × 3 budgets; each a checkpoint of its own."""
    made = plan(tasks, tmp_path, ("rpo", "dro"), n_strengths=2, budgets=(1, 3, 10))
    trained = [c.spec for c in made.cells if c.trained]
    assert len({spec.hash for spec in trained}) == len(trained) == 12
    assert {spec.training.steps for spec in trained} == {3, 9, 30}
