"""The whole path against ``transformers serve`` with a small chat model that is trained on the spot."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from judge_worlds import write_judged
from real_servers import transformers_serving
from run_cli import invoke
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rpo_bench.judge.storage import judge_folders, load_games

SAID = '{"verdict": "A"}'
CHAT = "{% for m in messages %}{{ m['content'] }}{% endfor %}<s>"

pytest.importorskip("uvicorn", reason="transformers serve needs the extra transformers[serving]")


def chat_model(folder: Path) -> Path:
    """A byte-level model that has learnt one thing: to prefer A, whatever it is shown."""
    torch.manual_seed(0)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {token: i for i, token in enumerate(["<pad>", "<s>", "</s>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab=words, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>", chat_template=CHAT
    )
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=2048, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    # After <s> the reply is the same for any prompt: a chain of bytes, learnt behind random ones.
    reply = [1, *tokenizer(SAID, add_special_tokens=False).input_ids, 2]
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(150):
        noise = torch.randint(3, len(words), (8, int(torch.randint(20, 60, ()))))
        ids = torch.cat([noise, torch.tensor([reply] * 8)], 1)
        labels = ids.clone()
        labels[:, : noise.shape[1] + 1] = -100
        model(ids, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = chat_model(tmp_path / "chat")
    with transformers_serving(folder, tmp_path / "serve.log") as url:
        yield url, folder


@pytest.mark.slow
def test_a_real_server_judges_and_its_bias_is_seen(server: tuple[str, Path], tmp_path: Path):
    """The model prefers the first, so that each order is won by whoever is shown first."""
    url, folder = server
    output = write_judged(tmp_path / "run", {"reference": ["no", "well"], "rpo": ["yes", "well"]})
    asked = (
        "judge", "run", output, "--judge", f"openai:{folder}", "--judge-base-url", url, "--json",
        "--judge-max-tokens", "40", "--judge-concurrency", "2",
    )  # fmt: skip
    ended = invoke(*asked)
    assert ended.exit_code == 0, ended.output
    account = json.loads(ended.stdout)
    assert (account["made"], account["scored"], account["estimated"]) == (2, 2, 0), account
    assert account["tokens"][0] > 500
    (judged,) = judge_folders(output)
    verdicts = {(g.question, g.swapped): g.verdict for g in load_games(judged)}
    assert verdicts == {
        ("p000/0", False): "model",
        ("p000/0", True): "baseline",
        ("p001/0", False): "tie",
        ("p001/0", True): "tie",
    }
    assert SAID in json.loads((judged / "replies.jsonl").read_text().splitlines()[0])["attempts"][0]["text"]
    assert json.loads(invoke(*asked).stdout)["made"] == 0
