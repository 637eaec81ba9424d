"""The cost model against published counts, and against files of real shapes."""

import json

import pytest
from typer.testing import CliRunner

from client_kit.cli.application import app
from client_kit.comparison.architectures import ARCHITECTURES, architecture
from client_kit.comparison.cost import METHODS, Budget, cost, explain
from client_kit.errors import ConfigurationError

PUBLISHED = {
    "meta-llama/Llama-3.2-1B": 1_235_814_400, "meta-llama/Llama-3.2-3B": 3_212_749_824,
    "meta-llama/Llama-2-7b-hf": 6_738_415_616, "meta-llama/Llama-3.1-8B": 8_030_261_248,
    "meta-llama/Llama-3.1-70B": 70_553_706_496, "meta-llama/Llama-3.1-405B": 405_853_388_800,
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name):
    assert architecture(name).parameters == PUBLISHED[name]


def test_adapters_have_the_sizes_that_fedreft_publishes():
    """FedReFT (arXiv 2508.20295), table 3, LLaMA-3.2 3B: millions of trainable numbers."""
    model = architecture("meta-llama/Llama-3.2-3B")

    def millions(method, rank):
        return cost(model, method, Budget(rank=rank, precision="float32")).up / 4 / 1e6

    assert millions("fedit", 32) == pytest.approx(48.63, abs=0.005)
    assert cost(model, "flora", Budget(rank=32, precision="float32")).down / 4 / 1e6 == pytest.approx(243.15, abs=0.02)
    assert millions("fedreft", 32) == pytest.approx(11.01, abs=0.005)
    assert millions("fedreft", 8) == pytest.approx(2.75, abs=0.005)


def tiny_model(folder):
    from tests.support.tiny_model import write_tiny_model

    return write_tiny_model(folder)


def numbers(tensors, parts):
    return sum(value.numel() for name, value in tensors.items() if name.rpartition(".")[2] in parts)


@pytest.mark.parametrize(
    ("method", "parts"), [("fedit", ("lora_A", "lora_B")), ("ffa_lora", ("lora_B",)), ("fedsa_lora", ("lora_A",))]
)
def test_formulas_are_the_numbers_of_a_real_adapter(tmp_path, method, parts):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from client_kit.parameters import read_lora

    base = tiny_model(tmp_path / "base")
    config = LoraConfig(r=3, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(tmp_path / "adapter")
    wanted = cost(architecture(str(base)), method, Budget(rank=3, precision="float32")).up
    assert 4 * numbers(read_lora(tmp_path / "adapter"), parts) == wanted


def test_a_folders_parameters_are_those_of_its_model(tmp_path):
    from transformers import AutoModelForCausalLM

    base = tiny_model(tmp_path / "base")
    assert architecture(str(base)).parameters == AutoModelForCausalLM.from_pretrained(base).num_parameters()


def test_a_round_of_answers_depends_on_no_model():
    costs = {cost(model, "consensus", Budget()) for model in ARCHITECTURES.values()}
    assert len(costs) == 1
    assert costs.pop().up == 1_000 * round(128 * 4.2 + 120, 1)


def test_a_factor_is_explained_by_the_text_that_would_yield_it():
    model = architecture("meta-llama/Llama-3.1-405B")
    fits = list(explain(1006, model, Budget()))
    assert all(fit.adapter_bytes / fit.text_bytes == pytest.approx(1006) for fit in fits)
    assert {fit.targets for fit in fits} == {"all weights", "qv", "attention", "all-linear"}
    assert len(fits) == 32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nobody/knows"], "neither a model of the table"),
        (["--method", "fedprox"], "there is no method 'fedprox'"),
        (["--targets", "mlp"], "there is no target set 'mlp'"),
        (["--precision", "int4"], "there is no precision 'int4'"),
        (["--rank", "0"], "rank is 0"),
        (["--explain", "-1"], "the factor is -1"),
    ],
)
def test_what_cannot_be_counted_is_refused(arguments, message):
    result = CliRunner().invoke(app, ["cost", *arguments])
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


def test_a_config_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bloom"}))
    with pytest.raises(ConfigurationError, match="model type 'bloom'"):
        architecture(str(tmp_path))


def test_the_command_prints_every_method_and_writes_a_plot(tmp_path):
    result = CliRunner().invoke(app, ["cost", "--json", "--plot", str(tmp_path / "plot.html")])
    printed = json.loads(result.stdout)
    assert list(printed["methods"]) == list(METHODS)
    assert "fedreft" in (tmp_path / "plot.html").read_text()
