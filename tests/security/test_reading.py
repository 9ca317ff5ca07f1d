"""Whatever lies in the place of a stored file, reading it ends with the content or with one sentence."""

import copy
import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import IN_PLACE, Trap, put, write_judge, write_results, write_sampled
from results_factory import cell_spec

import rpo_bench
from rpo_bench.engine.plan.evaluation import own_spec
from rpo_bench.errors import UserError
from rpo_bench.files import reading
from rpo_bench.judge.alpaca_eval import read_alpaca_eval
from rpo_bench.judge.card import read_card
from rpo_bench.judge.commands import read_commands
from rpo_bench.judge.storage import load_games, open_store, read_identity
from rpo_bench.lm_eval.stored import read_docs, read_parts
from rpo_bench.models.folder import check_whole, read_json
from rpo_bench.models.reward_record import read_reward_record
from rpo_bench.results.store import (
    BrokenRecord,
    read_record,
    read_results,
    read_samples,
    read_scores,
    read_train_log,
)
from rpo_bench.spec.sections import Decoding, LoraSpec
from rpo_bench.stats.layout import contrast_spread
from rpo_bench.tasks.oracle_files import read_rewards

#: File → what reads it, given its folder.
READERS: dict[str, Callable[[Path], object]] = {
    "result.json": read_record,
    "samples.jsonl.gz": read_samples,
    "scores.jsonl.gz": read_scores,
    "train_log.jsonl.gz": read_train_log,
    "lm_eval.json": read_parts,
    "lm_eval_docs.jsonl.gz": read_docs,
    "judge.json": read_identity,
    "card.json": read_card,
    "replies.jsonl": load_games,
    "games.jsonl": load_games,
    "reward_model.json": read_reward_record,
    "rewards.npz": lambda folder: read_rewards(folder / "rewards.npz", "rewards.npz"),
    "annotations.json": lambda folder: read_alpaca_eval(folder / "annotations.json"),
    "model.safetensors.index.json": lambda folder: read_json(folder / "model.safetensors.index.json"),
}

#: Configs of models may hold infinity and any text: nothing of ours computes with them.
LENIENT = {"model.safetensors.index.json": ("number", "surrogate")}

#: What is refused wherever a number may stand.
NO_NUMBERS = ("1e999", "-1e999", "NaN", "Infinity", "-Infinity", "1e101", "1" + 30 * "0", "9" * 5000)

#: Folders of the package that read what others stored, and the raw reads that they may have.
STORED = ("results", "judge", "lm_eval", "analysis", "submit", "site", "metrics")
RAW = {
    "site/build.py": "the page that it has built itself",
    "results/environment.py": "what the processor is called",
    "lm_eval/find_tasks.py": "lm-eval's own tasks",
    "metrics/toxicity/detoxify.py": "weights that the user names, without pickles",
}


_RAW_READ = re.compile(
    r"\.read_(?:text|bytes)\(|\b(?:json|np|torch|pickle|yaml)\.(?:safe_)?load\(|\bgzip\.(?:open|decompress)\("
    r"|\bopen\(\)|\bopen\([^)]*[\"']r[bt]?[\"']"
)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("kind", IN_PLACE)
@pytest.mark.parametrize("name", READERS)
def test_whatever_lies_in_a_files_place_is_refused_in_one_sentence(name: str, kind: str, tmp_path: Path):
    write_judge(tmp_path / "folder")
    put(tmp_path / "folder" / name, kind)
    if kind in LENIENT.get(name, ()):
        assert isinstance(READERS[name](tmp_path / "folder"), dict)
        return
    with pytest.raises((UserError, BrokenRecord)) as refused:
        READERS[name](tmp_path / "folder")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("kind", IN_PLACE)
def test_what_is_only_told_of_is_empty_when_it_cannot_be_read(kind: str, tmp_path: Path):
    put(tmp_path / "commands.json", kind)
    told = read_commands(tmp_path)
    assert all(isinstance(one, str) for one in told)
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (tmp_path / "fit.json").write_text("{}")
    put(tmp_path / "spec.yaml", kind)
    assert own_spec(checkpoint) is None


def _leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(item, (*place, key))
    elif value is None or type(value) in (int, float):
        yield place


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A result whose record has a number, or none yet, in every field that may have one."""
    spec = cell_spec("rpo", 0.3)
    training = spec.training.model_copy(update={"lora": LoraSpec(), "learning_rate": 1e-4})
    evaluation = spec.evaluation.model_copy(update={"limit": 24, "decoding": Decoding(max_new_tokens=8)})
    whole = spec.model_copy(update={"training": training, "evaluation": evaluation})
    return write_sampled(tmp_path, whole, extra={"steps": 3, "generation": {"seconds": 1.0}})


@pytest.mark.parametrize("number", NO_NUMBERS, ids=lambda text: text[:12])
def test_what_is_no_finite_number_is_refused_in_every_field_of_a_record(number: str, full: Path):
    read_record(full)
    record = json.loads((full / "result.json").read_text())
    places = list(_leaves(record))
    assert len(places) > 80
    for place in places:
        changed = copy.deepcopy(record)
        at = changed
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = "@"
        (full / "result.json").write_text(json.dumps(changed).replace('"@"', number))
        with pytest.raises(BrokenRecord, match="is not JSON: "):
            read_record(full)


@pytest.mark.parametrize("number", NO_NUMBERS, ids=lambda text: text[:12])
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("scores.jsonl.gz", '{"prompt_id": "p", "sample": 0, "scores": {"reward": @}}'),
        ("scores.jsonl.gz", '{"prompt_id": "p", "sample": @, "scores": {}}'),
        ("train_log.jsonl.gz", '{"step": 1, "loss": @}'),
        ("train_log.jsonl.gz", '{"step": 1, "other": {"deep": [1, [2, @]]}}'),
        ("lm_eval_docs.jsonl.gz", '{"task": "t", "metric": "m", "doc_id": @, "doc_hash": "h", "score": 1}'),
        ("replies.jsonl", '{"key": "k", "attempts": [{"text": null, "prompt_tokens": @}]}'),
        ("replies.jsonl", '{"key": "k", "attempts": [{"text": null, "seconds": @}]}'),
    ],
)
def test_what_is_no_finite_number_is_refused_in_every_line(name: str, line: str, number: str, tmp_path: Path):
    write_judge(tmp_path / "folder")
    data = f"{line.replace('@', '1')}\n{line.replace('@', number)}\n".encode()
    file = tmp_path / "folder" / name
    file.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    with pytest.raises(UserError, match="line 2"):
        READERS[name](tmp_path / "folder")


def test_numbers_within_the_bound_are_read(tmp_path: Path):
    texts = ("1e100", "-1e100", "1e-400", "0.00012345678901234567", "-9223372036854775807", '"1e999 NaN"')
    for text in texts:
        assert reading.parse_json(f"[{text}]".encode()) == json.loads(f"[{text}]")


def test_a_bomb_is_put_down_before_it_goes_off(tmp_path: Path):
    file = tmp_path / "scores.jsonl.gz"
    with gzip.open(file, "wb", compresslevel=1) as packed:
        for _ in range(reading.UNPACKED // 2**20 + 2):
            packed.write(bytes(2**20))
    with pytest.raises(UserError, match="unpack to more than 128 MB"):
        read_scores(tmp_path)


def test_an_oracle_beside_results_is_no_pickle_and_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file, mark = tmp_path / "rewards.npz", tmp_path / "mark"
    np.savez(file, rewards=np.array([Trap(mark)], dtype=object))
    with pytest.raises(UserError, match="can't be read"):
        read_rewards(file, file.name)
    assert not mark.exists()
    monkeypatch.setattr(reading, "UNPACKED", 2**20)
    np.savez_compressed(file, rewards=np.zeros((2**10, 2**10)))
    with pytest.raises(UserError, match="unpack to more than"):
        read_rewards(file, file.name)


@pytest.mark.parametrize("missing", ["mode", "backend", "model"])
@pytest.mark.parametrize("value", [..., None, 3, ["x"]], ids=["missing", "null", "number", "list"])
def test_a_judge_without_its_fields_is_one_sentence(missing: str, value: object, tmp_path: Path):
    identity: dict[str, object] = {"backend": "hf", "model": "m", "mode": "verdict", missing: value}
    kept = {name: one for name, one in identity.items() if one is not ...}
    (tmp_path / "judge.json").write_text(json.dumps(kept))
    with pytest.raises(UserError, match=f"it needs '{missing}'"):
        read_identity(tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 50_000 + b"]" * 50_000,
        b'{"__metadata__": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        b'{"w": {"data_offsets": [0, "x"]}}',
        b'{"w": {"data_offsets": [0, -1]}}',
        b'{"w": {"data_offsets": [0, 1e999]}}',
        b'{"w": {"data_offsets": null}}',
        b'{"w": null}',
        b"null",
    ],
    ids=["deep", "deep metadata", "text", "negative", "infinite", "null offsets", "null", "no object"],
)
def test_weights_with_an_odd_header_are_one_sentence(header: bytes, tmp_path: Path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UserError, match="damaged or truncated"):
        check_whole(file)


def test_a_spread_of_the_largest_numbers_is_finite_and_scales_exactly():
    scores = np.random.default_rng(0).normal(size=(3, 5))
    small, scale = contrast_spread([scores], np.ones(1)), 2.0**330
    large = contrast_spread([scale * scores], np.ones(1))
    assert large.variance == scale**2 * small.variance
    assert large.freedom == small.freedom


def test_stored_files_are_read_through_one_door():
    """A new read of a stored file goes through ``rpo_bench.files.reading``, or says here why it needn't."""
    package = Path(rpo_bench.__file__).parent
    files = (file for folder in STORED for file in (package / folder).rglob("*.py"))
    raw = {file.relative_to(package).as_posix() for file in files if _RAW_READ.search(file.read_text())}
    assert raw == RAW.keys(), "read it through rpo_bench.files.reading"


@pytest.mark.parametrize("name", ["result.json", "samples.jsonl.gz", "train_log.jsonl.gz"])
def test_a_link_in_a_result_folder_shows_nobodys_files(name: str, tmp_path: Path):
    """A stranger's folder may name a private file by a link, which a clone keeps."""
    good, linked, _ = write_results(tmp_path / "results")
    private = tmp_path / "private"
    private.write_bytes((linked / name).read_bytes() if (linked / name).is_file() else b"{}")
    (linked / name).unlink(missing_ok=True)
    (linked / name).symlink_to(private)
    found = read_results(tmp_path / "results")
    (broken,) = found.broken
    assert (broken.folder, broken.reason.partition(":")[0]) == (linked, f"{name} is a link")
    assert good in {stored.folder for stored in found.records}


@pytest.mark.parametrize("name", ["replies.jsonl", "games.jsonl"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link"])
def test_judgements_are_appended_to_files_of_their_own_alone(name: str, kind: str, tmp_path: Path):
    """A pipe would be waited for, and a link would write to somebody's file."""
    private = tmp_path / "private"
    private.write_text("without a line end")
    folder = tmp_path / "judge"
    folder.mkdir()
    if kind == "link":
        (folder / name).symlink_to(private)
    else:
        put(folder / name, kind)
    with pytest.raises(UserError, match=name), open_store(folder, {}):
        pass
    assert private.read_text() == "without a line end"
