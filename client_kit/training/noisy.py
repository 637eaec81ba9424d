"""One noisy step: the gradient of every private example clipped on its own, their sum with Gaussian noise (DP-SGD).

Abadi et al., arXiv 1607.00133, Algorithm 1. Per-example gradients, clipping and noise are Opacus's.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch.optim import AdamW

from client_kit.errors import TrainingError
from client_kit.training.measuring import Tokens, batch, example_losses

_TOLERANCE = 1e-3
"""Largest difference of a per-example gradient from the same gradient taken alone, relative to its norm."""


class NoisySteps:
    """A model under training whose steps see private examples through clipped, noisy sums only."""

    def __init__(
        self, model: Any, *, learning_rate: float, weight_decay: float, clip: float, noise_multiplier: float,  # noqa: ANN401
        expected: float, pad: int, generator: torch.Generator, batch_size: int,
    ) -> None:  # fmt: skip
        """Wrap the model. clip: L2 norm to which an example's gradient is cut. expected: examples per step, on average.

        Raises TrainingError where per-example gradients of this model are not what they should be.
        """
        self.model = model.train()
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._pad, self._batch_size, self._expected = pad, batch_size, expected
        self._hooked = _hooked(model)
        self.optimizer = AdamW(self.parameters, lr=learning_rate, weight_decay=weight_decay)
        self._private = DPOptimizer(
            self.optimizer, noise_multiplier=noise_multiplier, max_grad_norm=clip, expected_batch_size=1,
            loss_reduction="sum", generator=generator, secure_mode=True,
        )  # fmt: skip
        check_per_example_gradients(self._hooked, self.parameters, pad)

    def step(
        self, private: Sequence[Tokens], weights: Sequence[float], public: Sequence[tuple[Tokens, float]]
    ) -> float:
        """One optimiser step. Returns the mean loss of the examples seen, which is itself private; nan where none was.

        The gradient is (clipped sum over `private` + noise + sum over `public`) / expected: what is public needs
        neither clipping nor noise.
        """
        with _hooks_fire_quietly():
            losses = self._clipped_sums(private, weights)
            self._private.pre_step()  # adds the noise
            losses += self._add_public(public)
        for parameter in self.parameters:
            parameter.grad /= self._expected
        self.optimizer.step()
        self._private.zero_grad(set_to_none=True)
        return sum(losses) / len(losses) if losses else float("nan")

    def _clipped_sums(self, private: Sequence[Tokens], weights: Sequence[float]) -> list[float]:
        """Leave the examples' gradients with the optimiser: all but the last batch clipped and added up."""
        size, losses = self._batch_size, []
        for start in range(0, len(private), size):
            if start:
                self._private.signal_skip_step(do_skip=True)
                self._private.pre_step()
                self._private.zero_grad(set_to_none=True)
            losses += self._backward(private[start : start + size], weights[start : start + size])
        self._private.signal_skip_step(do_skip=False)
        if not private:  # the noise is added all the same: a step without examples must look like any other
            for parameter in self.parameters:
                parameter.grad_sample = parameter.new_zeros((0, *parameter.shape))
        return losses

    def _backward(self, examples: Sequence[Tokens], weights: Sequence[float]) -> list[float]:
        self._hooked.enable_hooks()
        losses = example_losses(self._hooked, self._tensors(examples))
        (losses * losses.new_tensor(weights)).sum().backward()  # type: ignore[no-untyped-call]
        return list(losses.tolist())

    def _add_public(self, public: Sequence[tuple[Tokens, float]]) -> list[float]:
        """Add the gradient of the public examples to what is there."""
        self._hooked.disable_hooks()
        seen: list[float] = []
        for start in range(0, len(public), self._batch_size):
            part = public[start : start + self._batch_size]
            losses = example_losses(self.model, self._tensors([tokens for tokens, _ in part]))
            total = (losses * losses.new_tensor([weight for _, weight in part])).sum()
            for parameter, gradient in zip(
                self.parameters, torch.autograd.grad(total, self.parameters, allow_unused=True), strict=True
            ):
                if gradient is not None:
                    parameter.grad += gradient
            seen += losses.tolist()
        return seen

    def _tensors(self, examples: Sequence[Tokens]) -> dict[str, torch.Tensor]:
        return with_positions(batch(examples, self._pad, self.parameters[0].device))


def with_positions(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Positions for each example: left to itself, a model takes one row for all, and its gradients are not per example."""
    count, longest = tensors["input_ids"].shape
    positions = torch.arange(longest, device=tensors["input_ids"].device).expand(count, longest)
    return {**tensors, "position_ids": positions.contiguous()}


def check_per_example_gradients(hooked: GradSampleModule, parameters: Sequence[torch.nn.Parameter], pad: int) -> None:
    """Compare them with gradients taken one by one, on made-up tokens. Raises TrainingError where they differ.

    Layers that mix examples, that use one weight in several ways, or that Opacus does not see would break the bound
    without a sign. Dropout is off meanwhile.
    """
    made_up = [Tokens(tuple(range(3, 3 + length)), 2) for length in (9, 6, 7)]
    tensors = with_positions(batch(made_up, pad, parameters[0].device))
    modes = {module: module.training for module in hooked.modules()}
    for module in modes:
        module.training = any(True for _ in module.parameters(recurse=False))  # Opacus looks at these modules only
    try:
        with _hooks_fire_quietly():
            hooked.disable_hooks()
            alone = [
                torch.autograd.grad(example_losses(hooked, _row(tensors, i)).sum(), parameters, allow_unused=True)
                for i in range(len(made_up))
            ]
            hooked.enable_hooks()
            example_losses(hooked, tensors).sum().backward()  # type: ignore[no-untyped-call]
        _compare(hooked, parameters, alone)
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        raise TrainingError(
            f"this model gives no per-example gradients: {error}. Take method lora, or a model without that layer"
        ) from error
    finally:
        hooked.disable_hooks()
        for module, training in modes.items():
            module.training = training
        for parameter in parameters:
            parameter.grad = None
            parameter.grad_sample = None  # type: ignore[attr-defined]  # Opacus's


def _compare(hooked: GradSampleModule, parameters: Sequence[torch.nn.Parameter], alone: Sequence[Any]) -> None:
    names = {id(parameter): name for name, parameter in hooked.named_parameters()}
    for place, parameter in enumerate(parameters):
        name = names[id(parameter)].removeprefix("_module.")
        found = getattr(parameter, "grad_sample", None)
        if found is None:
            raise ValueError(f"{name} takes no part in every example")
        for gradient, each in zip(found, alone, strict=True):
            right = torch.zeros_like(parameter) if each[place] is None else each[place]
            if (gradient - right).norm() > _TOLERANCE * (right.norm() + _TOLERANCE):
                raise ValueError(f"those of {name} differ from gradients taken one by one")


@contextmanager
def _hooks_fire_quietly() -> Iterator[None]:
    """Torch warns of Opacus's hooks on layers whose input needs no gradient, as embeddings. Their results are right."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        yield


def _row(tensors: dict[str, torch.Tensor], index: int) -> dict[str, torch.Tensor]:
    return {name: value[index : index + 1] for name, value in tensors.items()}


def _hooked(model: Any) -> GradSampleModule:  # noqa: ANN401 - of transformers or peft
    try:
        return GradSampleModule(model, loss_reduction="sum", strict=True)
    except NotImplementedError as error:
        raise TrainingError(
            f"this model has trainable layers for which there are no per-example gradients: {error}. Take method lora"
        ) from error
