"""What each method that shares parameters sends, and what it does with what comes back."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from client_kit import parameters
from client_kit.comparison.losses import mean_loss
from client_kit.comparison.members import WAIT_SECONDS, Member, Run
from client_kit.training import lora_sb
from client_kit.wire import ParameterPlan, RoundState

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import Tensor


def begin(run: Run) -> None:
    """Give every member the same adapter to start from; where ranks are mixed, a cut of the widest."""
    training, base, start = run.arm.training, run.members[0].site.base, run.work / "start"
    for place, member in enumerate(run.members):
        member.rank = _rank(run, place)
    if training == "lora":
        _new_lora(base, start, max(member.rank for member in run.members), run.cell.seed)
    elif training == "lora_sb":
        _new_lora_sb(run, base, start)
    else:
        _new_reft(base, start, run.setting.rank, run.cell.seed, tied=run.setting.tied)
    for member in run.members:
        member.model = _cut(start, run.folder(member) / "start", member.rank) if training == "lora" else start


def _rank(run: Run, place: int) -> int:
    """Of the adapter of the member at this place."""
    rank = run.setting.rank
    if run.arm.training == "lora_sb":
        return run.setting.lora_sb_rank
    return max(1, (rank // 2, rank, 2 * rank)[place % 3]) if run.arm.mixed_ranks else rank


def plan(run: Run) -> ParameterPlan:
    """What the federation pins, read off the widest member's tensors."""
    widest = max(run.members, key=lambda member: member.rank)
    return parameters.make_plan(
        _tensors(run, widest),
        run.arm.exchange,
        parameters.base_digest(widest.site.base),
        scaling=2.0 if run.arm.training == "lora" else 1.0,
        max_rank=widest.rank if run.arm.training != "full" else None,
        by_examples=True,
    )


def take_round(run: Run, plan: ParameterPlan, number: int) -> None:
    """Send everybody's numbers, wait, and go on from what comes back."""
    for member in run.members:
        file = parameters.write_update(_tensors(run, member), plan, examples=len(member.site.private))
        member.client.put_parameters(number, file)
        member.client.seal(number, {})
    coefficients = []
    for member in run.members:
        member.client.wait_for(number, RoundState.PUBLISHED, WAIT_SECONDS)
        download = parameters.read_file(member.client.parameters(number))
        coefficients.append(_take(run, member, download, number))
    mixed = [each for each in coefficients if each is not None]
    if mixed:
        run.mixing.append(mixed)


def _tensors(run: Run, member: Member) -> "dict[str, Tensor]":
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


def _take(run: Run, member: Member, download: "dict[str, Tensor]", number: int) -> float | None:
    """Go on from what came back; the coefficient, where it is mixed."""
    folder = run.folder(member) / f"after-{number}"
    if run.arm.training == "full":
        _write_model(folder, download, member.model)
    elif run.arm.exchange == "flora":
        member.base = parameters.merge_into_base(member.base, download, member.model, folder)
        folder = folder.with_name(f"fresh-{number}")
        _new_lora(member.base, folder, member.rank, run.cell.seed + number)
    elif run.arm.training == "lora":
        parameters.write_lora(folder, download, like=member.model)
    elif run.arm.training == "lora_sb":
        lora_sb.write_middle(folder, download, like=member.model)
    else:
        return _mix(run, member, download, folder)
    member.model = folder
    return None


def _new_lora(base: Path, folder: Path, rank: int, seed: int) -> None:
    """A LoRA adapter that changes nothing yet."""
    from peft import LoraConfig  # noqa: PLC0415 - reaches torch

    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    _new_adapter(config, base, folder, seed)


def _new_lora_sb(run: Run, base: Path, folder: Path) -> None:
    """The adapter that all begin with: its fixed factors come from the sum of everybody's first gradients.

    That sum, and the factors back, travel once, before the first round; they are not in the bytes of a round.
    """
    import torch  # noqa: PLC0415 - heavy, and of the extra `train`

    each = [lora_sb.first_gradients(base, member.site.private) for member in run.members]
    total = {name: torch.stack([gradients[name] for gradients in each]).sum(0) for name in each[0]}
    lora_sb.begin(base, total, folder, rank=run.setting.lora_sb_rank, learning_rate=run.setting.learning_rates.lora_sb)


def _new_reft(base: Path, folder: Path, rank: int, seed: int, *, tied: bool = False) -> None:
    """A LoReFT adapter that edits nothing yet: W = R, b = 0."""
    from client_kit.training.reft import ReftConfig  # noqa: PLC0415 - reaches torch

    config = ReftConfig(rank=rank, positions="f2+l2", tied=tied, init="identity", task_type="CAUSAL_LM")
    _new_adapter(config, base, folder, seed)


def _new_adapter(config: "PeftConfig", base: Path, folder: Path, seed: int) -> None:
    """The adapter, the same for the same seed, with the base's tokenizer beside it."""
    from peft import get_peft_model  # noqa: PLC0415 - reaches torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed  # noqa: PLC0415 - as above

    set_seed(seed)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def _cut(start: Path, folder: Path, rank: int) -> Path:
    """The adapter with the first directions only."""
    held = parameters.read_lora(start)
    cut = {name: value[:rank] if name.endswith("lora_A") else value[:, :rank] for name, value in held.items()}
    return parameters.write_lora(folder, cut, like=start)


def _write_model(folder: Path, download: "dict[str, Tensor]", like: Path) -> None:
    from safetensors.torch import save_file  # noqa: PLC0415 - reaches torch

    shutil.copytree(like, folder)
    save_file(download, folder / "model.safetensors", metadata={"format": "pt"})


def _mix(run: Run, member: Member, download: "dict[str, Tensor]", folder: Path) -> float:
    """Take part of the others' interventions: all, a fixed share, or the share that does best on held-out data."""
    own = _tensors(run, member)
    how = run.setting.mixing
    if how == "method":
        how = "none" if run.arm.exchange == "fedreft_fedavg" else "adaptive"
    wanted = {"none": 1.0, "fixed": run.setting.coefficient}.get(how)
    if wanted is None:
        wanted = _adaptive(member, own, download, folder)
    _write_interventions(folder, parameters.mix_interventions(own, download, wanted), member.model)
    member.model = folder
    return wanted


def _adaptive(member: Member, own: "dict[str, Tensor]", download: "dict[str, Tensor]", folder: Path) -> float:
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
