"""What each method that shares parameters sends, and what it does with what comes back."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from client_kit import parameters
from client_kit.training import lora_sb
from client_kit.wire import ParameterPlan

if TYPE_CHECKING:
    from torch import Tensor

    from client_kit.comparison.members import Member, Run


def begin(run: "Run") -> None:
    """Give every member the same adapter to start from; where ranks are mixed, a cut of the widest."""
    run_training = run.arm.training
    for place, member in enumerate(run.members):
        member.rank = run.setting.lora_sb_rank if run_training == "lora_sb" else run.setting.rank
        if run.arm.mixed_ranks:
            member.rank = max(1, (run.setting.rank // 2, run.setting.rank, 2 * run.setting.rank)[place % 3])
    if run_training == "lora":
        widest = max(member.rank for member in run.members)
        start = new_lora(run.members[0].site.base, run.work / "start", widest, run.cell.seed)
        for member in run.members:
            member.model = _cut(start, run.work / member.site.name / "start", member.rank)
    if run_training == "lora_sb":
        start = new_lora_sb(run)
        for member in run.members:
            member.model = start
    if run_training == "reft":
        start = new_reft(
            run.members[0].site.base, run.work / "start", run.setting.rank, run.cell.seed, tied=run.setting.tied
        )
        for member in run.members:
            member.model = start


def plan(run: "Run") -> ParameterPlan:
    """What the federation pins, read off the widest member's tensors."""
    widest = max(run.members, key=lambda member: member.rank)
    made = parameters.make_plan(
        tensors(run, widest),
        run.arm.exchange,
        parameters.base_digest(widest.site.base),
        scaling=2.0 if run.arm.training == "lora" else 1.0,
        max_rank=widest.rank if run.arm.training != "full" else None,
        by_examples=True,
    )
    for member in run.members:
        held = tensors(run, member)
        member.trainable = sum(
            value.numel() for name, value in held.items() if name.rpartition(".")[2] not in run.arm.frozen
        )
    return made


def tensors(run: "Run", member: "Member") -> "dict[str, Tensor]":
    """The member's model or adapter by name."""
    if run.arm.training == "lora":
        return parameters.read_lora(member.model)
    if run.arm.training == "lora_sb":
        return lora_sb.read_middle(member.model)
    if run.arm.training == "reft":
        from client_kit.training.reft import read_adapter  # noqa: PLC0415 - reaches torch

        return read_adapter(member.model)[1]
    from safetensors.torch import load_file  # noqa: PLC0415 - as above

    return dict(load_file(member.model / "model.safetensors"))


def take(run: "Run", member: "Member", download: "dict[str, Tensor]", number: int) -> float | None:
    """Go on from what came back; the coefficient, where it is mixed."""
    folder = run.work / member.site.name / f"after-{number}"
    if run.arm.training == "full":
        _write_model(folder, download, member.model)
    elif run.arm.exchange == "flora":
        member.base = parameters.merge_into_base(member.base, download, member.model, folder)
        fresh = new_lora(member.base, folder.with_name(f"fresh-{number}"), member.rank, run.cell.seed + number)
        member.model = fresh
        return None
    elif run.arm.training == "lora":
        parameters.write_lora(folder, download, like=member.model)
    elif run.arm.training == "lora_sb":
        lora_sb.write_middle(folder, download, like=member.model)
    else:
        return _mix(run, member, download, folder)
    member.model = folder
    return None


def new_lora(base: Path, folder: Path, rank: int, seed: int) -> Path:
    """A LoRA adapter that changes nothing yet, the same for the same seed, with the base's tokenizer beside it."""
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - reaches torch
    from transformers import AutoModelForCausalLM, set_seed  # noqa: PLC0415 - as above

    set_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    return _saved(get_peft_model(AutoModelForCausalLM.from_pretrained(base), config), base, folder)


def new_lora_sb(run: "Run") -> Path:
    """The adapter that all begin with: its fixed factors come from the sum of everybody's first gradients.

    That sum, and the factors back, travel once, before the first round; they are not in the bytes of a round.
    """
    import torch  # noqa: PLC0415 - heavy, and of the extra `train`

    base, folder = run.members[0].site.base, run.work / "start"
    each = [lora_sb.first_gradients(base, member.site.private) for member in run.members]
    total = {name: torch.stack([gradients[name] for gradients in each]).sum(0) for name in each[0]}
    lora_sb.begin(base, total, folder, rank=run.setting.lora_sb_rank, learning_rate=run.setting.learning_rates.lora_sb)
    return folder


def new_reft(base: Path, folder: Path, rank: int, seed: int, *, tied: bool = False) -> Path:
    """A LoReFT adapter that edits nothing yet: W = R, b = 0."""
    from peft import get_peft_model  # noqa: PLC0415 - reaches torch
    from transformers import AutoModelForCausalLM, set_seed  # noqa: PLC0415 - as above

    from client_kit.training.reft import ReftConfig  # noqa: PLC0415 - as above

    set_seed(seed)
    config = ReftConfig(rank=rank, positions="f2+l2", tied=tied, init="identity", task_type="CAUSAL_LM")
    return _saved(get_peft_model(AutoModelForCausalLM.from_pretrained(base), config), base, folder)


def _saved(model, base: Path, folder: Path) -> Path:  # type: ignore[no-untyped-def]  # noqa: ANN001 - peft is untyped here
    from transformers import AutoTokenizer  # noqa: PLC0415 - reaches torch

    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def _cut(start: Path, folder: Path, rank: int) -> Path:
    """The adapter with the first directions only."""
    held = parameters.read_lora(start)
    cut = {name: value[:rank] if name.endswith("lora_A") else value[:, :rank] for name, value in held.items()}
    return parameters.write_lora(folder, cut, like=start)


def _write_model(folder: Path, download: "dict[str, Tensor]", like: Path) -> None:
    from safetensors.torch import save_file  # noqa: PLC0415 - reaches torch

    shutil.copytree(like, folder)
    save_file(download, folder / "model.safetensors", metadata={"format": "pt"})


def _mix(run: "Run", member: "Member", download: "dict[str, Tensor]", folder: Path) -> float:
    """Take part of the others' interventions: all, a fixed share, or the share that does best on held-out data."""
    own = tensors(run, member)
    how = run.setting.mixing
    if how == "method":
        how = "none" if run.arm.exchange in {"fedreft_fedavg", "fedreft_raw"} else "adaptive"
    wanted = {"none": 1.0, "fixed": run.setting.coefficient}.get(how)
    if wanted is None:
        wanted = _adaptive(member, own, download, folder)
    _write_interventions(folder, parameters.mix_interventions(own, download, wanted), member.model)
    member.model = folder
    return wanted


def _adaptive(member: "Member", own: "dict[str, Tensor]", download: "dict[str, Tensor]", folder: Path) -> float:
    from client_kit.comparison.losses import mean_loss  # noqa: PLC0415 - reaches torch

    def loss_of(coefficient: float) -> float:
        tried = folder.with_name(f"{folder.name}-tried")
        shutil.rmtree(tried, ignore_errors=True)
        _write_interventions(tried, parameters.mix_interventions(own, download, coefficient), member.model)
        return mean_loss(tried, member.site.held_out)

    chosen, _ = parameters.choose_coefficient(loss_of)
    return chosen


def _write_interventions(folder: Path, mixed: "dict[str, Tensor]", like: Path) -> None:
    from client_kit.training.reft import write_adapter  # noqa: PLC0415 - reaches torch

    write_adapter(folder, mixed, like)
