"""Tensor values of an input case: distributions and layouts of inputs, random parameters.

Works on what the reference itself drew, so that shapes, integer ranges and domains stay the reference's own. All draws
come from torch's global generator, which the caller has seeded. What a case asks for is plain data (`tasks.cases`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

RESTRICTED = re.compile(
    r"\b(log|log2|log10|log1p|sqrt|rsqrt|pow|acos|asin|atanh|acosh|lgamma|binary_cross_entropy|BCELoss|kl_div|KLDivLoss"
    r"|poisson_nll_loss|xlogy|entropy|cumprod|prod|multinomial|bernoulli|grid_sample)\b"
)
"""Operators that are not defined, or tell nothing, outside the range of values that the reference draws."""

DEVIATIONS = re.compile(r"norm|\bvar\b|\bstd\b|var_mean|std_mean|\.mean\(.*\.mean\(|- x\.mean", re.IGNORECASE)
"""Where deviations from a mean are taken."""


def is_restricted(source: str) -> bool:
    """Whether non-negative inputs of this reference must stay in the range that it draws them from."""
    return bool(RESTRICTED.search(source))


def shift_for(source: str) -> float:
    """How far `shifted` moves a reference's values: far enough that E[x²] - E[x]² is no variance where one is taken.

    Elsewhere it would only make products and exponentials so ill-conditioned that right kernels differ.
    """
    return 128.0 if DEVIATIONS.search(source) else 4.0


def redistribute(tensor: Tensor, distribution: str, *, restricted: bool, shift: float = 128.0) -> Tensor:
    """A floating tensor of the same shape with values of the named distribution; `tensor` is what the reference drew.

    A tensor without negative values in a `restricted` reference keeps to its own range (probabilities stay such):
    there `uniform` and `constant` are taken from that range, and everything else is as written.
    """
    if tensor.numel() == 0 or distribution == "normal":
        return tensor
    if restricted and bool(tensor.min() >= 0):
        low, high = tensor.min(), tensor.max()
        if distribution == "uniform":
            return low + (high - low) * torch.rand_like(tensor)
        if distribution == "constant":
            return torch.full_like(tensor, 1.0) * (low + (high - low) * 0.5)
        return tensor
    return VALUES[distribution](tensor, shift)


def _large(tensor: Tensor, shift: float) -> Tensor:
    # Enough for exp() to overflow where the maximum is not subtracted, not enough for a sum of products to.
    return tensor * (8 if tensor.dtype == torch.float16 else 32)


def _tiny(tensor: Tensor, shift: float) -> Tensor:
    # Small beside the usual epsilon; in half precision products must not become subnormal, which tells nothing.
    return tensor * 2 ** (-4 if tensor.dtype == torch.float16 else -10)


def _constant(tensor: Tensor, shift: float) -> Tensor:
    # Few significant bits: sums and squares stay exact, so that a variance of zero is zero in any order of summation.
    choice = torch.tensor([-1.5, -0.75, 0.5, 1.25], device=tensor.device)[torch.randint(4, (), device=tensor.device)]
    return torch.ones_like(tensor) * choice.to(tensor.dtype)


def _zeros(tensor: Tensor, shift: float) -> Tensor:
    # One row is nothing but zeros: a norm of 0 shows what an epsilon is for.
    some = torch.where(torch.rand_like(tensor) < 0.5, torch.zeros_like(tensor), tensor)
    if tensor.dim() > 1:
        some.reshape(-1, tensor.shape[-1])[0] = 0
    return some


def _infinities(tensor: Tensor, shift: float) -> Tensor:
    # Minus infinity on a sixteenth of the elements, as masks leave it; never in the first place of a row.
    if tensor.dim() == 0:
        return tensor
    hit = torch.rand_like(tensor) < 1 / 16
    hit[..., :1] = False
    return tensor.masked_fill(hit, float("-inf"))


def _negative(tensor: Tensor, shift: float) -> Tensor:
    return -tensor.abs()


def _shifted(tensor: Tensor, shift: float) -> Tensor:
    return tensor + shift


def _bands(tensor: Tensor, shift: float) -> Tensor:
    # Whole rows, and whole matrices or images where there are several: what is taken over them sees one kind of values.
    if tensor.dim() == 0:
        return _negative(tensor, shift)
    units = tensor.flatten(0, 1) if tensor.dim() > 3 else tensor
    kinds = ("negative", "shifted", "zeros")
    parts = [VALUES[kind](part, shift) for kind, part in zip(kinds, units.chunk(len(kinds)), strict=False)]
    if len(parts) == len(kinds):
        parts[-1][:1] = 0  # a deviation of 0, exact in any order of summation
    return torch.cat(parts).reshape(tensor.shape)


VALUES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "normal": lambda tensor, shift: tensor,
    "uniform": lambda tensor, shift: torch.rand_like(tensor) * 2 - 1,
    "large": _large,
    "tiny": _tiny,
    "negative": _negative,
    "constant": _constant,
    "zeros": _zeros,
    "shifted": _shifted,
    "bands": _bands,
    "infinities": _infinities,
}
"""What each of `tasks.cases.DISTRIBUTIONS` does to a tensor that the reference drew."""


FAR_OUT = frozenset({"large", "shifted", "bands"})
"""Distributions far from 0, for one input of a reference at a time."""


def lay_out(tensor: Tensor, layout: str) -> Tensor:
    """The same values in another memory layout; `expanded` repeats the first row (stride 0), which changes values."""
    return LAYOUTS[layout](tensor)


def _transposed(tensor: Tensor) -> Tensor:
    if tensor.dim() < 2:
        spread = tensor.new_zeros(2 * tensor.numel())[::2]
        return spread.copy_(tensor) if tensor.dim() else tensor
    return tensor.transpose(-1, -2).contiguous().transpose(-1, -2)


def _offset(tensor: Tensor) -> Tensor:
    if tensor.dim() == 0:
        return tensor
    window = tensor.new_zeros((*tensor.shape[:-1], tensor.shape[-1] + 3))[..., 2:-1]
    return window.copy_(tensor)


def _strided(tensor: Tensor) -> Tensor:
    # What lies between is NaN: a kernel that reads beside the tensor shows it.
    if tensor.dim() < 2:
        beside = tensor.new_full((3 * tensor.numel() + 1,), float("nan"))
        return beside[1::3].copy_(tensor) if tensor.dim() else tensor
    *batch, rows, columns = tensor.shape
    beside = tensor.new_full((*batch, columns, rows + 3), float("nan"))
    return beside[..., 2:-1].transpose(-1, -2).copy_(tensor)


def _expanded(tensor: Tensor) -> Tensor:
    return tensor[:1].contiguous().expand_as(tensor) if tensor.dim() >= 2 else tensor


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda tensor: tensor,
    "strided": _strided,
    "transposed": _transposed,
    "offset": _offset,
    "expanded": _expanded,
}
"""What each of `tasks.cases.LAYOUTS` does to a tensor's memory."""


def randomise_state(model: nn.Module) -> None:
    """Give parameters and floating buffers values whose omission shows, in place. Integer buffers are left alone.

    Constants other than 0 become random values that keep sign and scale, so a variance stays positive (the first of a
    buffer is small); zeros, and vectors too small to show, get magnitudes of 0.2 to 0.6; other parameters vary by a
    quarter. Buffers that are not constant (tables, masks) stay, because a right kernel may compute them.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point() and parameter.numel():
                parameter.copy_(_random_parameter(parameter))
        for buffer in model.buffers():
            if buffer.is_floating_point() and buffer.numel() and bool((buffer == buffer.flatten()[0]).all()):
                buffer.copy_(_random_constant(buffer))


def _random_parameter(parameter: Tensor) -> Tensor:
    if _is_vector(parameter) and bool(parameter.abs().max() < 0.2):
        return _small_vector(parameter)
    if bool((parameter == 0).all()):
        return _small_vector(parameter)
    spread = 0.4 if bool((parameter == parameter.flatten()[0]).all()) else 0.25
    return parameter * (1 + spread * (2 * torch.rand_like(parameter) - 1))


def _random_constant(buffer: Tensor) -> Tensor:
    if bool((buffer == 0).all()):
        return _small_vector(buffer)
    values = buffer * (1 + 0.4 * (2 * torch.rand_like(buffer) - 1))
    # One variance so small that the epsilon added to it shows.
    values.view(-1)[0] *= 2**-12 if values.numel() > 1 else 1
    return values


def _small_vector(like: Tensor) -> Tensor:
    magnitude = 0.2 + 0.4 * torch.rand_like(like)
    return torch.where(torch.rand_like(like) < 0.5, -magnitude, magnitude)


def _is_vector(parameter: Tensor) -> bool:
    """Biases and scales, also of shape (C, 1, 1); not the single row of a (1, K) weight."""
    if parameter.dim() < 2:
        return True
    return parameter.shape[-1] == 1 and parameter.numel() == max(parameter.shape)
