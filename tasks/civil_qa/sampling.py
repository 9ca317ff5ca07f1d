"""Training rows: what is sampled from a policy, with noisy rewards."""

from rpo_bench.data.row import Prompt
from rpo_bench.models.hf import HFModel
from tasks.building import derived_seed, generator, sampled_responses
from tasks.civil_qa.reward import gold_reward

MAX_NEW_TOKENS = 64  # as in task.yaml
NOISE = 0.3  # standard deviation of what the training rewards add to the gold ones


def sampled_rows(
    model: HFModel, prompts: list[Prompt], n: int, seed: int, what: str
) -> list[dict[str, object]]:
    """n scored responses per prompt, as rows, with their log-probability under the model."""
    drawn = sampled_responses(model, prompts, n, MAX_NEW_TOKENS, derived_seed(seed, what))
    by_id = {prompt.prompt_id: prompt for prompt in prompts}
    gold = gold_reward([by_id[s.prompt_id] for s, _ in drawn], [s.text for s, _ in drawn])
    noise = generator(seed, f"noise of {what}").normal(0, NOISE, len(drawn))
    return [
        {
            "prompt": sample.prompt,
            "response": sample.text,
            "reward": round((value or 0.0) + float(extra), 3),
            "prompt_id": sample.prompt_id,
            "behaviour_logp": round(logp, 5),
            "metadata": {"gold": value},
        }
        for (sample, logp), value, extra in zip(drawn, gold, noise, strict=True)
    ]
