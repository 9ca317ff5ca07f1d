"""GPU hours from parameters and tokens: by hand, for every kind of method; and the papers' presets."""

import pytest
from run_cli import invoke
from tiny_models import tiny_decoder, tiny_encoder_decoder

from rpo_bench.engine.inputs.choices import choose
from rpo_bench.engine.plan.paper import paper_of, priced
from rpo_bench.engine.plan.pricing import Gpu, ModelSize, Workload, price, size_of_folder
from rpo_bench.errors import UserError
from rpo_bench.methods.registry import default_method
from rpo_bench.spec.presets import layers_of, spec_over

PAPERS = (
    "rpo-paper-flan-t5-small",
    "rpo-paper-flan-t5-large",
    "rpo-paper-flan-t5-xl",
    "dro-paper",
    "p3o-hh",
    "popo-countdown",
)
SIZE = ModelSize(parameters=1_000_000_000)
LOAD = Workload(rows=1000, heldout=100, prompt_tokens=60, response_tokens=40)
RUN = {"steps": 1000, "batch_size": 32, "n_samples": 2}
GPU = Gpu("a100", mfu=0.5, decode_mfu=0.1)
FORWARD = 2 * 1e9 * 100  # per row of 100 tokens
HOUR = 312e12 * 0.5 * 3600  # operations of an hour in training


class TestByHand:
    """32,000 rows of 100 tokens through 10⁹ parameters; a forward pass takes 2·10¹¹ operations a row."""

    def cost(self, name):
        return price(default_method(name), SIZE, LOAD, RUN, GPU)

    def test_an_offline_method_is_a_forward_and_a_backward_pass(self):
        one = self.cost("rpo")
        assert one.train == pytest.approx(32_000 * 3 * FORWARD / HOUR)
        assert one.shared == pytest.approx(1000 * FORWARD / HOUR)

    def test_a_value_network_reads_prompts_by_the_encoder_or_the_whole_body(self):
        prompts = 32_000 * 6 * 1e9 * 60 / HOUR
        assert self.cost("dro").train == pytest.approx(self.cost("rpo").train + prompts)
        t5 = ModelSize(parameters=1_000_000_000, encoder=400_000_000)
        dro, rpo = (price(default_method(name), t5, LOAD, RUN, GPU).train for name in ("dro", "rpo"))
        assert dro - rpo == pytest.approx(0.4 * prompts)

    def test_gradient_checkpointing_is_another_forward_pass(self):
        one = price(default_method("rpo"), SIZE, LOAD, {**RUN, "recomputed": 1}, GPU)
        assert one.train == pytest.approx(32_000 * 4 * FORWARD / HOUR)

    def test_mismatched_pairs_cost_two_forward_passes(self):
        assert self.cost("kto").train == pytest.approx(32_000 * 5 * FORWARD / HOUR)

    def test_rollouts_are_sampled_at_the_lower_rate(self):
        one = self.cost("grpo")
        assert one.train == pytest.approx(32_000 * (2 + 3) * FORWARD / HOUR + 32_000 * FORWARD / (HOUR / 5))
        assert one.shared == 0

    def test_ppo_has_four_epochs_of_policy_and_critic(self):
        sampled = 32_000 * FORWARD / (HOUR / 5)
        assert self.cost("ppo").train == pytest.approx(32_000 * (2 + 4 * 6) * FORWARD / HOUR + sampled)

    def test_measuring_is_sampling_and_two_passes_of_log_probs(self):
        one = price(None, SIZE, LOAD, RUN, GPU)
        assert one.measure == pytest.approx(200 * 2 * FORWARD / HOUR + 200 * FORWARD / (HOUR / 5))
        assert one.train == 0

    def test_an_encoder_sees_the_prompt_alone(self):
        assert ModelSize(parameters=10, encoder=4).work(100, 10) == 4 * 100 + 6 * 10
        assert ModelSize(parameters=10).work(100, 10) == 10 * 110


class TestSizes:
    def test_a_folder_is_measured_by_its_config_alone(self, tmp_path):
        folder = tiny_decoder(tmp_path / "decoder")
        for weights in folder.glob("*.safetensors"):
            weights.unlink()
        size = size_of_folder(folder)
        assert size.parameters > 0
        assert size.encoder == 0

    def test_an_encoder_decoders_parts_are_told_apart(self, tmp_path):
        size = size_of_folder(tiny_encoder_decoder(tmp_path / "model"))
        assert 0 < size.encoder < size.parameters

    def test_flan_t5_small_is_as_large_as_its_config_says(self, tmp_path):
        """The shape of google/flan-t5-small, worked out by transformers, against what the preset states."""
        from transformers import T5Config

        T5Config(
            vocab_size=32128, d_model=512, d_kv=64, num_heads=6, d_ff=1024, num_layers=8,
            feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        ).save_pretrained(tmp_path)  # fmt: skip
        counted = size_of_folder(tmp_path)
        stated = paper_of(layers_of("rpo-paper-flan-t5-small", None)).workload.models["google/flan-t5-small"]
        assert stated.parameters == pytest.approx(counted.parameters, rel=2e-3)  # all but norms and positions
        assert stated.encoder == pytest.approx(counted.encoder, rel=2e-3)


class TestPresets:
    @pytest.mark.parametrize("name", PAPERS)
    def test_a_dry_run_tells_the_memory_of_every_method(self, name):
        layers = layers_of(name, None)
        lines = priced(spec_over(layers, {}), paper_of(layers), Gpu())
        trained = [one for one in lines if one.method not in ("reference", "reference log-probs")]
        assert all(one.memory is not None and one.memory > 0 for one in trained)

    def test_what_is_too_large_is_told_with_settings_that_fit(self):
        done = invoke("train-and-eval", "--preset", "p3o-hh", "--dry-run")
        assert (
            "Too large for one a100, of which 72 GB can be used: sft, dpo on Dahoas/pythia-6B" in done.stdout
        )
        assert "With --lora-rank 16 --model-dtype bfloat16 --gradient-checkpointing" in done.stdout
        large = invoke("train-and-eval", "--preset", "rpo-paper-flan-t5-large", "--dry-run")
        assert "Too large" not in large.stdout

    @pytest.mark.parametrize("name", PAPERS)
    def test_each_is_a_valid_spec_with_its_deviations_and_a_price(self, name):
        layers = layers_of(name, None)
        spec, paper = spec_over(layers, {}), paper_of(layers)
        assert choose(spec)
        assert paper.settings
        assert paper.deviations
        lines = priced(spec, paper, Gpu())
        assert all(line.hours > 0 for line in lines)
        cells = sum(line.cells for line in lines if line.method not in ("reference", "reference log-probs"))
        assert cells == len(spec.models) * len(spec.seeds) * sum(len(c.strengths) for c in choose(spec))

    def test_others_have_none(self):
        assert paper_of(layers_of("quick", None)) is None

    def test_the_command_line_prices_without_hub_or_model(self):
        done = invoke("train-and-eval", "--preset", "rpo-paper-flan-t5-large", "--dry-run", "--gpu", "h100")
        assert done.exit_code == 0, done.output
        assert "GPU hours on one h100 at 20%" in done.stdout
        assert "Deviations:" in done.stdout

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (("--gpu", "h20"), "--gpu h20: unknown GPU. Did you mean 'h200'?"),
            (("--mfu", "35"), "--mfu 35: give a share of the peak"),
            (("--models", "some/model"), "the size of 'some/model' is unknown"),
        ],
    )
    def test_what_cant_be_priced_is_one_sentence(self, flags, message):
        done = invoke("train-and-eval", "--preset", "dro-paper", "--dry-run", *flags)
        assert done.exit_code == 2
        assert message in done.stderr

    def test_a_config_may_bring_its_own(self, tmp_path):
        file = tmp_path / "mine.yaml"
        file.write_text("paper: {citation: Mine, workload: {rows: 1}}\n")
        with pytest.raises(UserError, match=r"'paper' can't be used: workload\.heldout: Field required"):
            paper_of(layers_of(None, file))
