"""Memory of a training from sizes alone: by hand, for every kind of method; what can't fit is refused."""

import dataclasses
import json

import pytest
from run_cli import SMALL, invoke
from tiny_task import tiny_task
from transformers import LlamaConfig

from rpo_bench.engine.plan import resources
from rpo_bench.engine.plan.memory import check_memory, memory_need, smaller, trained_bytes
from rpo_bench.engine.plan.pricing import ModelSize, Workload, size_of_folder
from rpo_bench.errors import UserError
from rpo_bench.methods.registry import default_method
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import LoraSpec, MethodSpec, TrainingSpec

BILLION = 1_000_000_000
DECODER = ModelSize(parameters=3 * BILLION, layers=32, width=2560)
T5 = ModelSize(parameters=3 * BILLION, encoder=BILLION, layers=48, width=2048)
LOAD = Workload(rows=1000, heldout=100, prompt_tokens=60, response_tokens=40)
FULL = TrainingSpec(dtype="float32", batch_size=32, probe_every=0)
SPEC = RunSpec(methods=(MethodSpec(name="rpo"),), training=FULL)


def gigabytes(method: str, size: ModelSize, training: TrainingSpec = FULL, weight: int = 4) -> float:
    return trained_bytes(default_method(method), size, training, weight) / 1e9


class TestStates:
    def test_full_fine_tuning_takes_sixteen_bytes_a_parameter(self):
        assert gigabytes("rpo", DECODER) == pytest.approx(48)

    def test_autocast_keeps_a_copy_of_two(self):
        assert gigabytes("rpo", DECODER, TrainingSpec(dtype="bfloat16", probe_every=0)) == pytest.approx(54)

    def test_a_value_network_is_the_encoder_or_the_whole_body(self):
        assert gigabytes("dro", T5) == pytest.approx(48 + 16)
        assert gigabytes("dro", DECODER) == pytest.approx(48 + 48)

    def test_in_rounds_a_value_network_stays_one(self):
        rounds = dataclasses.replace(default_method("dro"), rounds=4)
        found = trained_bytes(rounds, T5, FULL) / 1e9
        assert found == pytest.approx(48 + 16 + 12)  # with a frozen reference

    def test_a_value_network_has_a_table_of_embeddings_of_its_own(self):
        table = T5.model_copy(update={"table": BILLION})
        assert gigabytes("dro", table) == pytest.approx(16 * (3 + 1) + 16 * (1 + 1))

    def test_probes_keep_the_base_model(self):
        probed = FULL.model_copy(update={"probe_every": 50})
        assert gigabytes("rpo", DECODER, probed) == pytest.approx(48 + 12)

    def test_auto_is_taken_for_bfloat16_as_on_a_gpu(self):
        assert gigabytes("rpo", DECODER, TrainingSpec(probe_every=0)) == pytest.approx(54)

    def test_online_methods_keep_a_frozen_reference_and_ppo_a_critic(self):
        assert gigabytes("grpo", DECODER) == pytest.approx(48 + 12)
        assert gigabytes("ppo", DECODER) == pytest.approx(48 + 48 + 12)

    def test_adapters_leave_the_weights_alone_and_are_their_own_reference(self):
        lora = TrainingSpec(dtype="bfloat16", lora=LoraSpec(rank=16))
        adapters = 16 * 32 * 23 * 2560 / 1e9  # rank · layers · (in + out)
        assert gigabytes("rpo", DECODER, lora, weight=2) == pytest.approx(6 + 16 * adapters)
        assert gigabytes("grpo", DECODER, lora, weight=2) == pytest.approx(6 + 16 * adapters)

    @pytest.mark.parametrize(("optim", "each"), [("adafactor", 8), ("adamw-8bit", 10)])
    def test_smaller_optimisers(self, optim, each):
        small = TrainingSpec(dtype="float32", optim=optim, probe_every=0)
        assert gigabytes("rpo", DECODER, small) == pytest.approx(3 * each)


class TestActivations:
    def need(self, **training):
        spec = SPEC.model_copy(update={"training": FULL.model_copy(update=training)})
        return memory_need(default_method("rpo"), DECODER, LOAD, spec).activations

    def test_shrink_with_the_micro_batch_with_tokens_and_with_checkpointing(self):
        whole, logits = self.need(), 4 * 4 * 2**25
        assert whole == pytest.approx(32 * 100 * 32 * 2560 * 68 + logits)
        assert self.need(micro_batch_size=8) - logits == pytest.approx((whole - logits) / 4)
        assert self.need(tokens_per_micro_batch=320) - logits == pytest.approx((whole - logits) / 10)
        kept = 32 * 100 * 2560 * (32 * 4 + 68)
        assert self.need(gradient_checkpointing=True) == pytest.approx(kept + logits)

    def test_minibatches_of_online_methods_share_the_rows(self):
        four = dataclasses.replace(default_method("grpo"), minibatches=4)
        whole, part = (memory_need(m, DECODER, LOAD, SPEC) for m in (default_method("grpo"), four))
        assert part.activations < 0.3 * whole.activations


class TestSeveralGpus:
    """Each has its part of the states; a whole copy of the weights while they are saved or sampled from."""

    def need(self, *together):
        return memory_need(default_method("rpo"), DECODER, LOAD, SPEC, *together)

    def test_sharded_weights_are_parts_and_a_copy(self):
        one, four = self.need(), self.need(4, "sharded")
        weights = 4 * (DECODER.parameters + DECODER.table)
        assert four.states == pytest.approx(one.states / 4 + weights)
        logits = 4 * 4 * 2**25
        assert four.activations - logits == pytest.approx((one.activations - logits) / 4)

    def test_replicated_ones_are_whole(self):
        assert self.need(4, "replicated").states == self.need().states

    def test_auto_shards_what_takes_more_than_half_a_gpu(self):
        states = self.need().states
        assert self.need(4, "auto", 2.1 * states).states == states
        assert self.need(4, "auto", 1.9 * states).states < states
        assert self.need(1, "auto", 1.9 * states).states == states


class TestRefused:
    def test_a_setting_that_can_never_fit_names_the_nearest_that_does(self, tmp_path):
        folder = tmp_path / "decoder"
        LlamaConfig(hidden_size=512, intermediate_size=2048, num_hidden_layers=4).save_pretrained(folder)
        needed = trained_bytes(default_method("rpo"), size_of_folder(folder), FULL)
        with pytest.raises(UserError, match=r"rpo on decoder: weights, .* give --optim adamw-8bit --grad"):
            check_memory([default_method("rpo")], folder, 10**9, SPEC, needed * 0.7)
        with pytest.raises(UserError, match="give --lora-rank 16 --model-dtype bfloat16"):
            check_memory([default_method("rpo")], folder, 10**9, SPEC, needed * 0.5)
        with pytest.raises(UserError, match="take a smaller model"):
            check_memory([default_method("rpo")], folder, 10**9, SPEC, 100.0)
        check_memory([default_method("rpo")], folder, 10**9, SPEC, needed * 1.1)

    def test_a_model_of_unknown_size_is_not_looked_at(self, tmp_path):
        """Such as one with code of its own, which may not run."""
        config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
        (tmp_path / "config.json").write_text(json.dumps(config))
        check_memory([default_method("rpo")], tmp_path, 10**12, SPEC, 1.0)

    def test_the_command_line_refuses_before_any_work(self, tmp_path, monkeypatch):
        monkeypatch.setattr(resources, "device_memory", lambda: 1000.0)
        task = tiny_task(tmp_path / "tiny")
        done = invoke(
            "train-and-eval", "--task", task, "--methods", "rpo", *SMALL, "--output-path", tmp_path / "out"
        )
        assert done.exit_code == 2
        assert "rpo on decoder: weights, gradients and optimiser take" in done.stderr
        assert not (tmp_path / "out" / "results").exists()

    def test_what_changes_nothing_comes_first(self):
        flags = [flags for flags, _ in smaller(SPEC)]
        assert flags[0] == "--gradient-checkpointing"
        assert flags[1] == "--gradient-checkpointing --micro-batch-size 16"
        assert flags[-1].startswith("--lora-rank 16")
