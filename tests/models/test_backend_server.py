"""Servers of completions: exact where they tell their tokens, by text where they don't."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from completions_server import completions_serving
from family_models import family

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.models.backends.protocol import Request, sample_seed
from rpo_bench.models.backends.server import CompletionsServer
from rpo_bench.models.hf import HFModel
from rpo_bench.remote.urls import without_secrets
from rpo_bench.spec.sections import Decoding, ServerSettings

DECODING = Decoding(max_new_tokens=12)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> HFModel:
    return HFModel.load(family("llama", tmp_path_factory.mktemp("models") / "llama"))


def requests(model: HFModel, count: int = 6) -> list[Request]:
    texts = ("what is the river ?", "why is the cat ?")
    return [Request(tuple(model.encode(texts[i % 2])), texts[i % 2], 100 + i) for i in range(count)]


def client(url: str, of: HFModel, **settings: object) -> CompletionsServer:
    return CompletionsServer(ServerSettings(base_url=url, **settings), Path(of.path))


def test_tokens_and_their_log_probabilities_are_the_models_own(model: HFModel):
    asked = requests(model, 24)
    with completions_serving(model, ("llama",)) as server:
        endless = client(server.url, model).sample(asked, DECODING, ()).sampled
        said = [set(one.token_ids) for one in endless]
        ends = (next(token for token in sorted(said[0]) if any(token not in other for other in said)),)
        answer = client(server.url, model).sample(asked, DECODING, ends)
    prompts = ["what is the river ?", "why is the cat ?"] * 12
    ours = model.token_logps(prompts, [one.token_ids for one in answer.sampled], 8)
    for one, logps in zip(answer.sampled, ours, strict=True):
        np.testing.assert_allclose(one.logps, logps, atol=1e-5)
        assert one.finished == (one.token_ids[-1] in ends)
        assert not set(one.token_ids[:-1]) & set(ends)
    assert {one.finished for one in answer.sampled} == {True, False}
    assert answer.described["token_exact"] is True


def test_a_request_says_all_that_could_differ_from_ancestral_sampling(model: HFModel):
    with completions_serving(model, ("llama",)) as server:
        client(server.url, model).sample(requests(model, 1), DECODING, (1,))
    assert server.asked[-1] == {
        "model": "llama", "prompt": list(requests(model, 1)[0].token_ids), "max_tokens": 12,
        "temperature": 1.0, "top_p": 1.0, "seed": 100, "logprobs": 1, "return_token_ids": True,
        "stop_token_ids": [1], "ignore_eos": True, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0,
    }  # fmt: skip


def test_responses_belong_to_their_requests_whatever_the_order_of_the_answers(model: HFModel):
    asked = requests(model, 8)
    with completions_serving(model, ("llama",)) as server:
        many = client(server.url, model, concurrency=8).sample(asked, DECODING, (1,)).sampled
        alone = [
            client(server.url, model, concurrency=1).sample([one], DECODING, (1,)).sampled[0] for one in asked
        ]
    assert list(many) == alone


def test_a_server_of_texts_is_asked_by_text_and_gives_no_log_probabilities(model: HFModel):
    with completions_serving(model, ("llama",), tells_tokens=False) as server:
        answer = client(server.url, model).sample(requests(model), DECODING, (1,))
    assert {body["prompt"] for body in server.asked[1:]} == {"what is the river ?", "why is the cat ?"}
    assert not {"return_token_ids", "logprobs"} & server.asked[-1].keys()
    assert all(one.token_ids is None and one.logps is None and one.text for one in answer.sampled)
    assert answer.described["token_exact"] is False


def test_an_overloaded_server_is_asked_again(model: HFModel):
    with completions_serving(model, ("llama",)) as server:
        server.statuses += [500, 429]
        answer = client(server.url, model).sample(requests(model, 1), DECODING, (1,))
    assert len(server.asked) == 3  # two failures, and the request, which is its own trial
    assert answer.sampled[0].token_ids


def test_a_server_that_goes_on_failing_is_named(model: HFModel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    with completions_serving(model, ("llama",)) as server:
        server.statuses += [500] * 50
        with pytest.raises(UserError, match=r"could not sample \(HTTP 500, after 5 retries\)"):
            client(server.url, model).sample(requests(model, 1), DECODING, (1,))


def test_the_checkpoint_is_found_by_its_folders_name(model: HFModel):
    with completions_serving(model, ("other", "llama")) as server:
        assert client(server.url, model).served() == "llama"
        assert client(server.url, model, model="other").served() == "other"
        with pytest.raises(UserError, match=r"has no model 'lama'; it has 'other', 'llama'"):
            client(server.url, model, model="lama").served()
        stranger = replace(client(server.url, model), folder=Path("/checkpoints/mine"))
        with pytest.raises(UserError, match=r"set --generation-args model=NAME to the one that is /check"):
            stranger.served()
    with completions_serving(model, ("only",)) as server:
        assert client(server.url, model).served() == "only"


def test_a_wrong_key_is_said_by_its_variables_name(model: HFModel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", "sk-right")
    with completions_serving(model, ("llama",), key="sk-right") as server:
        assert client(server.url, model, api_key_env="MY_KEY").served() == "llama"
        monkeypatch.setenv("MY_KEY", "sk-wrong")
        with pytest.raises(UserError, match="refuses the key: check MY_KEY") as refused:
            client(server.url, model, api_key_env="MY_KEY").served()
    assert "sk-wrong" not in str(refused.value)


def test_no_server_and_no_address_are_said_at_once(model: HFModel):
    with pytest.raises(UserError, match=r"No server answers at http://127.0.0.1:9/v1: start it"):
        client("http://user:secret@127.0.0.1:9/v1", model).served()
    with pytest.raises(UserError, match="needs --generation-args base_url=URL"):
        CompletionsServer(ServerSettings(), Path(model.path)).served()
    assert without_secrets("http://user:secret@host:1/v1/?key=x") == "http://host:1/v1"


def test_a_seed_belongs_to_run_prompt_and_sample_alone():
    a, b = (Prompt(prompt_id=name, text="the same") for name in "ab")
    seeds = {sample_seed(s, prompt, i) for s in (0, 1) for prompt in (a, b) for i in (0, 1)}
    assert len(seeds) == 8
    assert sample_seed(0, a, 1) == sample_seed(0, Prompt(prompt_id="a", text="other"), 1)
    assert all(0 <= seed < 2**31 for seed in seeds)
