"""What answers are rewarded by: expressions, identities, and what is refused at plan time."""

import json
import shutil

import pytest
import yaml
from family_models import family
from run_cli import invoke, stored
from tiny_models import tiny_decoder
from tiny_task import tiny_task

from rpo_bench.data.readers import read_rows
from rpo_bench.data.row import Prompt
from rpo_bench.data.split import split_rows
from rpo_bench.engine.inputs.rewards import Part, WeightedSum, parse_rewards, training_reward
from rpo_bench.engine.plan.plan import PlanContext, plan_run
from rpo_bench.errors import UserError
from rpo_bench.models.reward_training import RewardData, train_reward_model
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import TrainingSpec
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.task import load_task
from trainers.reward_model import RewardModelSettings

ASKED = [Prompt(prompt_id="a", text="what is the cat ?")]
LENGTHS = "def words(prompts, responses):\n    return [float(len(r.split())) for r in responses]\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A tiny task with a proxy that is trained on its rows, and a reward in a file."""
    root = tmp_path_factory.mktemp("world")
    folder = tiny_task(root / "tiny")
    split = split_rows(read_rows(folder / "train.jsonl"), 0.25, 0)
    settings = RewardModelSettings(steps=20, batch_size=4, learning_rate=5e-3)
    data = RewardData(split.train, split.test, "rows")
    train_reward_model(data, folder / "models/decoder", settings, folder / "proxy")
    spec = yaml.safe_load((folder / "task.yaml").read_text())
    (folder / "task.yaml").write_text(yaml.safe_dump(spec | {"proxy": "proxy"}))
    (root / "words.py").write_text(LENGTHS)
    return root


def planned(world, work, reward="gold", methods=("rloo",), task="tiny", evaluation=None):
    spec = RunSpec.model_validate(
        {
            "task": str(world / task),
            "methods": [{"name": name} for name in methods],
            "strengths": {"*": [0.5]},
            "seeds": [0],
            "training": {"reward": reward, "steps": 2, "batch_size": 8},
            "evaluation": evaluation or {},
        }
    )
    return plan_run(spec, PlanContext(work))


# --- expressions ---


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gold", [Part("gold")]),
        ("proxy*0.5+python:a+b.py:f*0.25", [Part("proxy", 0.5), Part("python:a+b.py:f", 0.25)]),
        ("hf:m/x+golden + gold * -2", [Part("hf:m/x+golden"), Part("gold", -2.0)]),
        ("hf:a*b", [Part("hf:a*b")]),
    ],
)
def test_a_sum_of_rewards(text, parts):
    assert list(parse_rewards(text)) == parts


@pytest.mark.parametrize("text", ["silver", "", "proxy*x", "gold+silver"])
def test_what_is_no_reward(text):
    with pytest.raises(UserError, match=r"--train-reward .* is not understood; write gold, proxy"):
        parse_rewards(text)


def test_a_list_is_a_sum():
    assert TrainingSpec(reward=["proxy*0.5", "gold"]).reward == "proxy*0.5+gold"


def test_a_weighted_sum_has_no_score_where_a_part_has_none():
    """2·1 + 3·10 = 32."""
    total = WeightedSum(((lambda p, r: [1.0, None], 2.0), (lambda p, r: [10.0, 10.0], 3.0)))
    assert total(ASKED * 2, ["x", "y"]) == [32.0, None]


def test_a_part_with_too_few_scores_is_named():
    total = WeightedSum(((lambda p, r: [1.0], 1.0),))
    with pytest.raises(UserError, match="returned 1 scores for 2 responses"):
        total(ASKED * 2, ["x", "y"])


def test_gold_proxy_functions_and_models_add_up(world, tmp_path):
    """ "thanks good": gold 2, two words, and the proxy twice over."""
    reward = f"gold+proxy*0.5+hf:{world / 'tiny/proxy'}*0.5+python:{world / 'words.py'}:words*10"
    cell = planned(world, tmp_path, reward).cells[-1].spec
    task = load_task(str(world / "tiny"))
    proxy = training_reward(cell.model_copy(update={"training": TrainingSpec(reward="proxy")}), task, Trust())
    found = training_reward(cell, task, Trust())
    assert found(ASKED, ["thanks good"]) == [pytest.approx(2 + 20 + proxy(ASKED, ["thanks good"])[0])]


@pytest.mark.parametrize("flag", ["--train-reward", "--reward"])
def test_a_function_that_cannot_score_is_found_before_any_training(world, tmp_path, flag):
    file = tmp_path / "r.py"
    file.write_text("def score(prompts, responses):\n    return [len(prompts) / 0]\n")
    done = invoke(
        "train-and-eval", "--task", world / "tiny", "--methods", "rloo(group_size=4)", "--steps", 2,
        flag, f"python:{file}:score", "--output-path", tmp_path / "run",
    )  # fmt: skip
    assert done.exit_code == 2, done.output
    assert f"{flag} python:{file}:score was tried on" in " ".join(done.stderr.split())
    assert "ZeroDivisionError" in done.stderr
    assert not (tmp_path / "run/work/cells").exists()


# --- identity ---


def test_the_training_reward_is_part_of_an_online_checkpoints_identity(world, tmp_path):
    rewards = ["gold", "proxy", "proxy*0.5", "gold+proxy", f"python:{world / 'words.py'}:words"]
    hashes = [planned(world, tmp_path, reward).cells[-1].spec.training_hash for reward in rewards]
    assert len(set(hashes)) == len(rewards)


def test_its_identity_is_its_content_wherever_it_lies(world, tmp_path):
    shutil.copy(world / "words.py", tmp_path / "moved.py")
    shutil.copytree(world / "tiny/proxy", tmp_path / "elsewhere")

    def identity(reward):
        return planned(world, tmp_path / "work", reward).cells[-1].spec.hash

    assert identity(f"python:{world / 'words.py'}:words") == identity(f"python:{tmp_path / 'moved.py'}:words")
    assert identity("proxy") == identity(f"hf:{tmp_path / 'elsewhere'}")
    (tmp_path / "moved.py").write_text(LENGTHS + "# longer\n")
    assert identity(f"python:{world / 'words.py'}:words") != identity(f"python:{tmp_path / 'moved.py'}:words")


def test_offline_checkpoints_are_the_same_under_any_training_reward(world, tmp_path):
    plans = [planned(world, tmp_path, reward, ("rpo",)) for reward in ("gold", "proxy")]
    assert plans[0].cells[-1].spec == plans[1].cells[-1].spec
    assert not plans[0].warnings
    assert "offline methods learn from the rewards in their data" in plans[1].warnings[0]


def test_another_proxy_is_another_task(world, tmp_path):
    folder = shutil.copytree(world / "tiny", tmp_path / "tiny")
    same = load_task(str(folder)).hash
    record = json.loads((folder / "proxy/reward_model.json").read_text())
    (folder / "proxy/reward_model.json").write_text(json.dumps(record | {"data": "others"}))
    assert same == load_task(str(world / "tiny")).hash != load_task(str(folder)).hash


# --- plan time ---


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("proxy", "the task 'bare' has no proxy reward model: train one with 'rpo-bench reward-model'"),
        ("hf:{0}/nowhere", "there is no model folder"),
        ("hf:{0}/bare/models/decoder", "not a sequence classifier"),
        ("python:{0}/nowhere.py:f", "there is no file"),
        ("python:{0}/words.py:f", "has no function 'f'"),
        ("python:{0}/words.py", "write python:FILE:FUNCTION or hf:FOLDER"),
    ],
)
def test_what_can_not_be_learnt_from_is_refused_when_planning(world, tmp_path, reward, message):
    if not (world / "bare").exists():
        tiny_task(world / "bare")
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        planned(world, tmp_path, reward.format(world), task="bare")


def test_a_classifier_with_two_labels_is_refused_when_planning(world, tmp_path):
    folder = shutil.copytree(world / "tiny/proxy", tmp_path / "two")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": {"0": "no", "1": "yes"}}))
    with pytest.raises(UserError, match=r"--train-reward hf:.* has 2 labels \(no, yes\)"):
        planned(world, tmp_path / "work", f"hf:{folder}")
    with pytest.raises(UserError, match=r"--reward hf:.* has 2 labels \(no, yes\)"):
        planned(world, tmp_path / "work", evaluation={"reward": f"hf:{folder}"})


def test_a_critic_that_starts_as_the_reward_model_needs_one_when_planning(world, tmp_path):
    done = invoke(
        "train-and-eval", "--task", world / "tiny", "--methods", "ppo(critic_init=reward)", "--steps", 2,
        "--output-path", tmp_path / "run", "--dry-run",
    )  # fmt: skip
    assert done.exit_code == 2, done.output
    said = " ".join(done.stderr.split())
    assert "critic_init=reward needs a reward model as the only training reward" in said


@pytest.mark.parametrize(
    ("kind", "why"),
    [("t5", "which has another architecture"), ("gpt2", "which uses another vocabulary")],
)
def test_a_critic_does_not_start_as_a_reward_model_of_another_kind(world, tmp_path, kind, why):
    """The tiny proxy is a decoder's with words for tokens."""
    method = {"name": "ppo", "options": {"critic_init": "reward"}}
    asked = {
        "task": str(world / "tiny"),
        "methods": [method],
        "strengths": {"*": [0.5]},
        "seeds": [0],
        "training": {"reward": "proxy", "steps": 2, "batch_size": 8},
        "evaluation": {"toxicity": "none"},
    }
    assert plan_run(RunSpec.model_validate(asked), PlanContext(tmp_path / "work")).cells
    other = RunSpec.model_validate(asked | {"models": [str(family(kind, tmp_path / kind))]})
    with pytest.raises(UserError, match=rf"a critic of {kind} can't start as --train-reward proxy, {why}: "):
        plan_run(other, PlanContext(tmp_path / "work"))


# --- a run ---


def test_training_on_the_proxy_and_measuring_both(world, tmp_path):
    done = invoke(
        "train-and-eval", "--task", world / "tiny", "--methods", "rloo(group_size=4)", "--steps", 2,
        "--batch-size", 8, "--seeds", 0, "--strengths", "0.5", "--n-samples", 2, "--workers", 1,
        "--train-reward", "proxy", "--output-path", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    records = {found.record.spec.method.name: found.record for found in stored(tmp_path / "out")}
    assert "--train-reward proxy" in records["rloo"].command
    for record in records.values():
        assert record.metrics["proxy_reward"].backend.startswith("proxy (")
        points = [record.metrics[name].interval.point for name in ("proxy_reward", "reward", "proxy_gap")]
        assert points[2] == pytest.approx(points[0] - points[1], abs=1e-6)


def test_measuring_by_a_reward_model(world, tmp_path):
    """Another gold reward: the proxy stays in its own units, and there is no gap to speak of."""
    done = invoke(
        "eval", tiny_decoder(tmp_path / "checkpoint", seed=1), "--task", world / "tiny",
        "--reference", "decoder", "--reward", f"hf:{world / 'tiny/proxy'}", "--n-samples", 2,
        "--workers", 1, "--output-path", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    for found in stored(tmp_path / "out"):
        metrics = found.record.metrics
        assert metrics["reward"].backend.startswith("proxy (")
        assert metrics["reward"].interval.point == pytest.approx(metrics["proxy_reward"].interval.point)
        assert metrics["proxy_reward"].unit == "the proxy's own"
        assert "proxy_gap" not in metrics


def test_a_proxy_that_is_not_there_is_known_before_anything_is_trained(world, tmp_path):
    """Every checkpoint is measured by it, whatever its method learns from."""
    folder = shutil.copytree(world / "tiny", tmp_path / "tiny")
    shutil.rmtree(folder / "proxy")
    with pytest.raises(UserError, match=r"The proxy of the task 'tiny': there is no folder .*/proxy\.$"):
        planned(tmp_path, tmp_path / "work", methods=("rpo",))
    shutil.copytree(folder / "models/decoder", folder / "proxy")
    with pytest.raises(UserError, match=r"The proxy of the task 'tiny': .* holds a LlamaForCausalLM"):
        planned(tmp_path, tmp_path / "work", methods=("rpo",))
