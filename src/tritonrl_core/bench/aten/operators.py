"""Which ATen operators a plan may hold, and what kind of work each is.

`layout` is what `delegation: layout_only` allows: allocation and fill, contiguous/clone/copy, dtype casts, cat, stack
and pad (views are not recorded at all). All else that is listed computes: `arithmetic`. What is not listed may not
stand in a plan: the worker that replays it would run an operator nobody has looked at on arguments of a stranger's.
"""

from __future__ import annotations

from functools import cache
from typing import Any

ALLOCATIONS = frozenset(["empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided"])
"""Become a buffer, not a step."""

_FILLS = """
    zeros zeros_like ones ones_like full full_like new_zeros new_ones new_full zero zero_ fill fill_ scalar_tensor
    arange
"""

_COPIES = """
    clone contiguous copy copy_ _to_copy lift_fresh_copy cat concat concatenate stack hstack vstack pad
    constant_pad_nd repeat _unsafe_view alias_copy view_copy expand_copy permute_copy t_copy transpose_copy
    unsqueeze_copy squeeze_copy split_with_sizes_copy slice_scatter select_scatter diagonal_scatter _reshape_copy
    resolve_conj resolve_neg
"""

_POINTWISE = """
    abs absolute acos acosh add addcdiv addcmul angle asin asinh atan atan2 atanh bitwise_and bitwise_left_shift
    bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clip copysign cos
    cosh deg2rad digamma div divide dropout elu eq erf erfc erfinv exp exp2 expm1 fix floor floor_divide fmax fmin
    fmod frac gcd ge gelu glu greater gt hardshrink hardsigmoid hardswish hardtanh heaviside huber_loss hypot i0
    igamma isclose isfinite isinf isnan ldexp le leaky_relu lerp less lgamma log log10 log1p log2
    log_sigmoid_forward logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit lt masked_fill
    maximum minimum mish mul multiply nan_to_num native_dropout ne neg negative
    nextafter polygamma pow prelu
    _prelu_kernel rad2deg reciprocal relu relu6 remainder round rrelu_with_noise rsqrt rsub selu sgn sigmoid sign
    signbit silu sin sinc sinh softplus softshrink special_entr special_erfcx special_expit special_log1p
    special_ndtr special_xlog1py sqrt square sub subtract tan tanh threshold true_divide trunc where xlogy
"""

_REDUCTIONS = """
    all amax amin aminmax any argmax argmin argsort bincount count_nonzero cummax cummin cumprod cumsum dist histc
    kthvalue linalg_vector_norm _log_softmax log_softmax logcumsumexp logsumexp max mean median min mode nansum norm
    prod _softmax _safe_softmax softmax sort std std_mean sum topk unique_consecutive var var_mean
    searchsorted bucketize
"""

_PRODUCTS = """
    addbmm addmm addmv addr baddbmm bmm convolution _convolution conv1d conv2d conv3d conv_transpose1d
    conv_transpose2d conv_transpose3d dot einsum linear matmul mm mv outer inner vdot kron tensordot
    _scaled_dot_product_flash_attention _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
    _scaled_dot_product_attention_math _scaled_dot_product_flash_attention_for_cpu cudnn_convolution _scaled_mm
    linalg_matrix_exp
"""

_LAYERS = """
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_max_pool2d adaptive_max_pool3d avg_pool1d
    avg_pool2d avg_pool3d max_pool2d_with_indices max_pool3d_with_indices max_pool2d batch_norm native_batch_norm
    _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_with_update cudnn_batch_norm
    native_group_norm native_layer_norm _fused_rms_norm instance_norm group_norm layer_norm rms_norm embedding
    _embedding_bag embedding_renorm_ binary_cross_entropy binary_cross_entropy_with_logits kl_div l1_loss mse_loss
    nll_loss_forward nll_loss2d_forward smooth_l1_loss soft_margin_loss multi_margin_loss
    multilabel_margin_loss_forward cross_entropy_loss lstm gru _thnn_fused_lstm_cell _thnn_fused_gru_cell im2col
    col2im pixel_shuffle pixel_unshuffle channel_shuffle grid_sampler_2d grid_sampler_3d upsample_nearest1d
    upsample_nearest2d upsample_nearest3d upsample_bilinear2d upsample_bicubic2d upsample_linear1d
    upsample_trilinear3d _upsample_nearest_exact2d reflection_pad1d reflection_pad2d reflection_pad3d
    replication_pad1d replication_pad2d replication_pad3d _pdist_forward _cdist_forward native_channel_shuffle
"""

_MOVES = """
    flip roll rot90 tril triu tril_indices triu_indices gather index index_add index_copy index_fill index_put
    _index_put_impl_ _unsafe_index index_select scatter scatter_add scatter_reduce take take_along_dim
    masked_scatter masked_select nonzero one_hot repeat_interleave diag_embed diag trace cartesian_prod meshgrid
    cross eye linspace logspace tile unique_dim _unique2 linalg_inv_ex linalg_solve_ex linalg_cholesky_ex cholesky
    _linalg_det view_as_real_copy complex polar _fft_c2c _fft_r2c _fft_c2r
"""

_RANDOM = """
    bernoulli exponential geometric log_normal multinomial normal normal_functional rand rand_like randint
    randint_like randn randn_like randperm uniform random cauchy
"""

_LAYOUT = frozenset([*_FILLS.split(), *_COPIES.split()])
_ARITHMETIC = frozenset((_POINTWISE + _REDUCTIONS + _PRODUCTS + _LAYERS + _MOVES + _RANDOM).split())

RANDOM = frozenset(_RANDOM.split()) | {"dropout", "native_dropout"}
"""Operators that draw random numbers."""


def asks_for_shape(base: str) -> bool:
    """Whether an operator asks a tensor for its shape, not for its values: `zeros_like`, `new_empty`."""
    return base.endswith("_like") or base.startswith("new_")


def base_name(name: str) -> str:
    """`aten.add_.Tensor` → `add`: without namespace, overload and the mark of working in place."""
    parts = name.split(".")
    base = parts[1] if len(parts) > 1 else parts[0]
    return base[:-1] if base.endswith("_") and not base.endswith("__") else base


def kind(name: str) -> str:
    """`allocation`, `layout`, `arithmetic` or `unlisted` for an operator's full name, such as `aten.add.Tensor`."""
    if not name.startswith("aten."):
        return "unlisted"
    full = name.split(".")[1]
    base = base_name(name)
    if base in ALLOCATIONS:
        return "allocation"
    if base in _LAYOUT or full in _LAYOUT:
        return "layout"
    return "arithmetic" if base in _ARITHMETIC or full in _ARITHMETIC else "unlisted"


@cache
def operator(name: str) -> Any:
    """PyTorch's operator of this full name. Raises `AttributeError` where it has none."""
    import torch

    _, base, overload = name.split(".")
    return getattr(getattr(torch.ops.aten, base), overload)


@cache
def written_arguments(name: str) -> tuple[tuple[int, ...], frozenset[str]]:
    """Places and names of the arguments that an operator writes to, by PyTorch's own schema of it; none where it has no
    such operator, because then no plan may hold it."""
    try:
        arguments = enumerate(operator(name)._schema.arguments)
    except AttributeError:
        return (), frozenset()
    written = [(place, part.name) for place, part in arguments if part.alias_info and part.alias_info.is_write]
    return tuple(place for place, _ in written), frozenset(word for _, word in written)
