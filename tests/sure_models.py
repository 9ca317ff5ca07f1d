"""Models whose behaviour is built in, for tests that ask what a model does: the same on any processor.

What a model does after some steps of training may hang on the last bits of its arithmetic. Here it is set by
hand, or trained until it holds with room to spare.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from tiny_models import BOS, EOS, PAD, WORDS, tiny_tokenizer
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

#: By how much the wanted token's logit is above any other's: by chance, others come once in e⁴⁰ tokens.
MARGIN = 50.0
CHAT = "{% for m in messages %}{{ m['content'] }}{% endfor %}<s>"


def chat_model_saying(folder: Path, text: str) -> Path:
    """Saves a chat model that answers ``text`` and stops, whatever it is asked.

    Its tokens are bytes, but for the answer, which is one: after <s> it says that, and then </s>.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {token: i for i, token in enumerate(["<pad>", "</s>", "<unk>", "<s>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab=words, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_tokens([AddedToken(text, normalized=False)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", bos_token="<s>", chat_template=CHAT
    )
    return follower(folder, tokenizer, {"<s>": text, text: "</s>"}, positions=4096)


def word_model_saying(folder: Path, follows: Mapping[str, str], words: tuple[str, ...] = WORDS) -> Path:
    """Saves a model of tiny_models' words that says ``follows[word]`` after ``word``, and else stops."""
    return follower(folder, tiny_tokenizer(append_eos=False, words=words), follows)


def follower(
    folder: Path, tokenizer: PreTrainedTokenizerBase, follows: Mapping[str, str], positions: int = 128
) -> Path:
    """Saves a decoder whose next token hangs on the last one alone: ``follows[last]``, else </s>.

    Attention and MLP add nothing, so that the last token's embedding comes to the head as it is. Tokens with
    a follower have a direction of their own there, all others share one.
    """
    ids = {tokenizer.convert_tokens_to_ids(a): tokenizer.convert_tokens_to_ids(b) for a, b in follows.items()}
    assert tokenizer.unk_token_id is None or tokenizer.unk_token_id not in {*ids, *ids.values()}, follows
    width = 8 * (len(ids) // 8 + 1)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=positions,
        pad_token_id=PAD, eos_token_id=EOS, bos_token_id=BOS,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for block in model.model.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
        embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
        embedding.zero_()
        head.zero_()
        embedding[:, -1] = 1.0
        head[EOS, -1] = MARGIN / width**0.5
        for direction, (last, following) in enumerate(ids.items()):
            embedding[last] = 0.0
            embedding[last, direction] = 1.0
            head[following, direction] = MARGIN / width**0.5  # the norm makes a unit vector √width long
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def train_until(
    model: torch.nn.Module,
    loss: Callable[[], torch.Tensor],
    below: float,
    rate: float = 1e-2,
    most: int = 2000,
) -> float:
    """Takes steps of Adam until ``loss()`` is below ``below``; fails where it isn't after ``most`` steps.

    What a test then asserts has to follow from that bound. Returns the loss.
    """
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], rate)
    for _ in range(most):
        current = loss()
        if current.item() < below:
            return current.item()
        optimiser.zero_grad()
        current.backward()
        optimiser.step()
    raise AssertionError(f"the loss is {current.item():.3g} after {most} steps, {below} was asked for")
