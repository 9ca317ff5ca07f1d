"""The Hugging Face backend: samples are what the model says, log-probs are of those very tokens."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tiny_models import EOS, PAD, WORDS, tiny_decoder, tiny_encoder_decoder

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.models.hf import HFModel
from rpo_bench.models.inverse_cdf import pick, uniforms
from rpo_bench.models.protocol import Model
from rpo_bench.spec.sections import RPO_PAPER_DECODING, Decoding

KINDS = ("llama", "gpt2", "t5", "bart")
SCALE = {"llama": 10.0, "gpt2": 10.0, "t5": 1.0, "bart": 10.0}  # far from uniform
PROMPTS = [
    Prompt(prompt_id=f"p{i}", text=" ".join(WORDS[(3 * i + j) % len(WORDS)] for j in range(1 + i % 5)))
    for i in range(9)
]
TWELVE = Decoding(max_new_tokens=12)


def build(folder: Path, kind: str, seed: int = 0) -> Path:
    make = tiny_decoder if kind in ("llama", "gpt2") else tiny_encoder_decoder
    return make(folder, seed=seed, kind=kind, scale=SCALE[kind])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, HFModel]:
    root = tmp_path_factory.mktemp("models")
    return {kind: HFModel.load(build(root / kind, kind)) for kind in KINDS}


def first_logits(model: HFModel, prompt: str, response: list[int]) -> torch.Tensor:
    """Logits (V,) of the token after ``response``, from one plain forward pass without any padding."""
    ids = model.tokenizer(prompt).input_ids
    with torch.no_grad():
        if model.is_encoder_decoder:
            start = model.model.config.decoder_start_token_id
            output = model.model(
                input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([[start, *response]])
            )
        else:
            output = model.model(input_ids=torch.tensor([[*ids, *response]]))
    return output.logits[0, -1].double()


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_sampled_with_the_frequencies_of_the_softmax(models: dict[str, HFModel], kind: str):
    model, n = models[kind], 20_000
    decoding = Decoding(max_new_tokens=2)
    samples = model.generate([PROMPTS[3]], n, decoding, seed=0, batch_size=2000)
    first = np.array([sample.token_ids[0] for sample in samples])
    common = int(np.bincount(np.delete(first, np.flatnonzero(first == EOS))).argmax())
    second = np.array([s.token_ids[1] for s in samples if s.token_ids[0] == common])
    for tokens, prefix in ((first, []), (second, [common])):
        expected = first_logits(model, PROMPTS[3].text, prefix).softmax(-1).numpy() * len(tokens)
        counts = np.bincount(tokens, minlength=len(expected))
        enough = expected >= 5
        counts, expected = pooled(counts, enough), pooled(expected, enough)
        assert chisquare(counts, expected).pvalue > 1e-3
        assert chisquare(counts, np.roll(expected, 1)).pvalue < 1e-6  # the test can fail


def pooled(values: np.ndarray, enough: np.ndarray) -> np.ndarray:
    """Cells with enough expected counts, and all others as one."""
    rest = values[~enough].sum()
    return np.append(values[enough], rest) if rest > 0 else values[enough]


@pytest.mark.parametrize("kind", KINDS)
def test_each_token_is_the_inverse_of_the_plain_forward_pass_at_its_random_number(
    models: dict[str, HFModel], kind: str
):
    """Long responses take several rounds, some with sampled padding inside: nothing changes a token."""
    model = models[kind]
    samples = model.generate(PROMPTS, 3, Decoding(max_new_tokens=50), seed=4, batch_size=10)
    longest = sorted(samples, key=lambda sample: -len(sample.token_ids))[:4]
    assert all(len(sample.token_ids) > 30 for sample in longest)
    for sample in longest:
        draws = torch.from_numpy(uniforms(4, sample.prompt_id, sample.sample, 1, 50)[0])
        for place, token in enumerate(sample.token_ids):
            logits = first_logits(model, sample.prompt, list(sample.token_ids[:place]))
            assert int(pick(logits[None], draws[place : place + 1])) == token


def test_temperature_top_k_and_top_p_shape_the_distribution(models: dict[str, HFModel]):
    model = models["llama"]
    logits = first_logits(model, PROMPTS[0].text, [])
    cases = {
        Decoding(max_new_tokens=1, temperature=0.5): (logits / 0.5).softmax(-1),
        Decoding(max_new_tokens=1, top_k=3): only(logits, logits.topk(3).indices),
        Decoding(max_new_tokens=1, top_p=0.5): only(logits, nucleus(logits, 0.5)),
    }
    for decoding, probabilities in cases.items():
        samples = model.generate([PROMPTS[0]], 5000, decoding, seed=1, batch_size=5000)
        counts = np.bincount([s.token_ids[0] for s in samples], minlength=len(probabilities))
        possible = probabilities.numpy() > 0
        assert counts[~possible].sum() == 0
        expected = probabilities.numpy() * 5000
        enough = expected >= 5
        assert chisquare(pooled(counts, enough), pooled(expected, enough)).pvalue > 1e-3


def only(logits: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    masked = torch.full_like(logits, -torch.inf)
    masked[kept] = logits[kept]
    return masked.softmax(-1)


def nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """The fewest tokens whose probabilities add up to top_p or more."""
    ordered = logits.softmax(-1).sort(descending=True)
    before = ordered.values.cumsum(0) - ordered.values
    return ordered.indices[before < top_p]


def test_penalties_are_honoured(models: dict[str, HFModel]):
    model = models["t5"]
    no_bigram_twice = Decoding(max_new_tokens=30, no_repeat_ngram_size=2)  # across rounds as well
    plain = model.generate(PROMPTS, 8, Decoding(max_new_tokens=30), seed=0, batch_size=64)
    banned = model.generate(PROMPTS, 8, no_bigram_twice, seed=0, batch_size=64)

    def repeats(token_ids: tuple[int, ...]) -> bool:
        bigrams = list(pairwise(token_ids))
        return len(set(bigrams)) < len(bigrams)

    assert any(repeats(sample.token_ids) for sample in plain)
    assert not any(repeats(sample.token_ids) for sample in banned)

    def unique(samples: list) -> float:
        return float(np.mean([len(set(s.token_ids)) / len(s.token_ids) for s in samples]))

    heavy = Decoding(max_new_tokens=30, repetition_penalty=5.0)
    assert unique(model.generate(PROMPTS, 8, heavy, seed=0, batch_size=64)) > unique(plain)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_depend_on_the_seed_and_not_on_the_batch(models: dict[str, HFModel], kind: str):
    """Same seed, same samples, whatever the batch size, the other prompts, or how many are drawn of each."""
    model = models[kind]
    thirty = Decoding(max_new_tokens=30)
    samples = model.generate(PROMPTS, 4, thirty, seed=0, batch_size=64)
    assert samples == model.generate(PROMPTS, 4, thirty, seed=0, batch_size=64)
    assert samples[:8] == model.generate(PROMPTS[:2], 4, thirty, seed=0, batch_size=1)
    assert samples == model.generate(PROMPTS, 4, thirty, seed=0, batch_size=7)
    fewer = model.generate(PROMPTS[2:5], 2, thirty, seed=0, batch_size=64)
    assert fewer == [s for s in samples if s.prompt_id in ("p2", "p3", "p4") and s.sample < 2]
    assert samples != model.generate(PROMPTS, 4, thirty, seed=1, batch_size=64)
    texts = {s.token_ids for s in samples if s.prompt_id == "p0"}
    assert len(texts) > 1


def test_more_samples_than_fit_a_block_are_the_same_samples(models: dict[str, HFModel]):
    many = models["gpt2"].generate(PROMPTS[:2], 20, Decoding(max_new_tokens=3), seed=0, batch_size=1)
    assert many == models["gpt2"].generate(PROMPTS[:2], 20, Decoding(max_new_tokens=3), seed=0, batch_size=64)
    assert [(s.prompt_id, s.sample) for s in many] == [(f"p{i}", j) for i in range(2) for j in range(20)]


def test_the_order_is_by_prompt_then_sample_and_ids_are_the_tokens(models: dict[str, HFModel]):
    model = models["llama"]
    samples = model.generate(PROMPTS, 3, TWELVE, seed=0, batch_size=8)
    assert [(s.prompt_id, s.sample) for s in samples] == [(p.prompt_id, i) for p in PROMPTS for i in range(3)]
    finished = [s for s in samples if s.finished]
    cut = [s for s in samples if not s.finished]
    assert finished
    assert cut
    assert all(s.token_ids[-1] == EOS and EOS not in s.token_ids[:-1] for s in finished)
    assert all(len(s.token_ids) == 12 and EOS not in s.token_ids for s in cut)
    assert all(s.text == model.tokenizer.decode(s.token_ids, skip_special_tokens=True) for s in samples)


def test_a_sampled_padding_token_is_a_token_like_any_other(models: dict[str, HFModel]):
    """Nothing is suppressed: an untrained model may say <pad>, and then the sequence goes on."""
    samples = models["llama"].generate(PROMPTS, 20, TWELVE, seed=0, batch_size=64)
    inside = [s for s in samples if PAD in s.token_ids[:-1]]
    assert inside
    logps = models["llama"].token_logps([s.prompt for s in inside], [s.token_ids for s in inside], 8)
    assert [len(values) for values in logps] == [len(s.token_ids) for s in inside]
    assert all((values < 0).all() for values in logps)


def test_global_random_state_and_training_mode_are_left_alone(models: dict[str, HFModel]):
    model = models["gpt2"]
    model.model.train()
    own = model.model.generation_config
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model.generate(PROMPTS[:2], 2, TWELVE, seed=0, batch_size=8)
    assert torch.equal(torch.rand(3), expected)
    assert model.model.training
    assert model.model.generation_config is own
    model.model.eval()


def test_the_checkpoints_own_generation_config_has_no_say(tmp_path: Path, models: dict[str, HFModel]):
    folder = build(tmp_path / "m", "llama")
    (folder / "generation_config.json").write_text(
        '{"temperature": 0.1, "top_k": 1, "do_sample": true, "repetition_penalty": 3.0, "min_new_tokens": 9,'
        ' "suppress_tokens": [5, 6, 7], "eos_token_id": 9, "max_length": 5, "num_beams": 4}'
    )
    changed = HFModel.load(folder).generate(PROMPTS, 4, TWELVE, seed=0, batch_size=64)
    assert changed == models["llama"].generate(PROMPTS, 4, TWELVE, seed=0, batch_size=64)


@pytest.mark.parametrize("kind", KINDS)
def test_log_probs_equal_a_plain_forward_pass_and_no_padding_changes_them(
    models: dict[str, HFModel], kind: str
):
    model = models[kind]
    samples = model.generate(PROMPTS, 2, TWELVE, seed=0, batch_size=64)
    prompts, responses = [s.prompt for s in samples], [s.token_ids for s in samples]
    together = model.token_logps(prompts, responses, batch_size=64)
    alone = model.token_logps(prompts, responses, batch_size=1)
    for index, sample in enumerate(samples):
        plain = [
            float(first_logits(model, sample.prompt, list(sample.token_ids[:t])).log_softmax(-1)[token])
            for t, token in enumerate(sample.token_ids)
        ]
        assert together[index].dtype == np.float32
        np.testing.assert_allclose(together[index], plain, atol=2e-5)
        np.testing.assert_allclose(together[index], alone[index], atol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_a_policy_equal_to_the_reference_has_a_log_ratio_of_exactly_zero(tmp_path: Path, kind: str):
    folder = build(tmp_path / "m", kind)
    policy, reference = HFModel.load(folder), HFModel.load(folder)
    samples = policy.generate(PROMPTS, 4, TWELVE, seed=0, batch_size=16)
    arguments = ([s.prompt for s in samples], [s.token_ids for s in samples], 16)
    pairs = zip(policy.token_logps(*arguments), reference.token_logps(*arguments), strict=True)
    assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)


def test_all_four_implement_the_protocol(models: dict[str, HFModel]):
    as_protocol: list[Model] = list(models.values())
    names = ["decoder", "decoder", "encoder-decoder", "encoder-decoder"]
    assert [model.architecture for model in as_protocol] == names


def test_the_papers_decoding_runs_on_both_architectures(models: dict[str, HFModel]):
    decoding = RPO_PAPER_DECODING.model_copy(update={"max_new_tokens": 8})
    for kind in ("llama", "bart"):
        samples = models[kind].generate(PROMPTS, 2, decoding, seed=0, batch_size=5)
        assert len(samples) == 2 * len(PROMPTS)


def test_without_a_padding_token_end_of_sequence_fills_up_and_changes_nothing(models: dict[str, HFModel]):
    model = models["llama"]
    samples = model.generate(PROMPTS, 3, TWELVE, seed=0, batch_size=16)
    arguments = ([s.prompt for s in samples], [s.token_ids for s in samples], 16)
    expected = model.token_logps(*arguments)
    model.tokenizer.pad_token = None
    try:
        assert model.pad_id == EOS
        assert model.generate(PROMPTS, 3, TWELVE, seed=0, batch_size=16) == samples
        pairs = zip(model.token_logps(*arguments), expected, strict=True)
        assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)
    finally:
        model.tokenizer.pad_token = "<pad>"


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_a_lora_adapter_is_the_policy_and_the_model_beneath_it_the_reference(tmp_path: Path, kind: str):
    from peft import LoraConfig, get_peft_model

    base = HFModel.load(build(tmp_path / "base", kind))
    task = "SEQ_2_SEQ_LM" if base.is_encoder_decoder else "CAUSAL_LM"
    torch.manual_seed(0)
    config = LoraConfig(task_type=task, r=2, target_modules="all-linear", init_lora_weights=False)
    tuned = get_peft_model(HFModel.load(tmp_path / "base").model, config)
    tuned.save_pretrained(tmp_path / "adapter")

    policy = HFModel.load(tmp_path / "adapter")
    assert policy.adapter_of == str(tmp_path / "base")
    samples = policy.generate(PROMPTS, 2, TWELVE, seed=0, batch_size=16)
    assert samples != base.generate(PROMPTS, 2, TWELVE, seed=0, batch_size=16)
    arguments = ([s.prompt for s in samples], [s.token_ids for s in samples], 16)
    with_adapter, reference = policy.token_logps(*arguments), policy.without_adapter().token_logps(*arguments)
    for ours, off, plain in zip(with_adapter, reference, base.token_logps(*arguments), strict=True):
        assert np.array_equal(off, plain)
        assert not np.allclose(ours, off)
    with pytest.raises(UserError, match="not an adapter"):
        base.without_adapter()


def test_prompts_and_responses_that_do_not_fit_are_named(models: dict[str, HFModel]):
    long = Prompt(prompt_id="long", text="cat " * 125)
    with pytest.raises(UserError, match=r"'long' has 125 tokens and, with 12 .* \(128\)"):
        models["llama"].generate([PROMPTS[0], long], 1, TWELVE, seed=0, batch_size=2)
    assert models["t5"].generate([long], 1, TWELVE, seed=0, batch_size=2)  # relative positions
    with pytest.raises(UserError, match="same prompt_id"):
        models["llama"].generate([PROMPTS[0]] * 2, 1, TWELVE, seed=0, batch_size=2)
    with pytest.raises(UserError, match="max_new_tokens"):
        models["llama"].generate(PROMPTS, 1, Decoding(), seed=0, batch_size=2)
    with pytest.raises(UserError, match="token id 999"):
        models["llama"].token_logps(["cat"], [[999]], 1)


def test_a_diverged_model_is_an_error_and_not_a_sample(tmp_path: Path):
    model = HFModel.load(build(tmp_path / "m", "llama"))
    with torch.no_grad():
        model.model.lm_head.weight[7] = torch.nan
    with pytest.raises(UserError, match="aren't finite"):
        model.generate(PROMPTS, 1, TWELVE, seed=0, batch_size=4)
