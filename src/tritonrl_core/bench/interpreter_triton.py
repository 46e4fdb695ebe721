"""Triton's interpreter as the bench needs it: metered, bounds-checked, without the gaps that refuse honest kernels.

The only file that knows the interpreter's insides (triton 3.6 and 3.7). It replaces methods of Triton's interpreter in
the process that interprets, for good. What a launch means for a verdict is not decided here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from triton.runtime import interpreter as ti

from tritonrl_core.bench.interpreter_libdevice import function_for
from tritonrl_core.bench.interpreter_meter import Array, Meter

NARROW = {
    tl.bfloat16: torch.bfloat16,
    tl.float8e5: torch.float8_e5m2,
    tl.float8e4nv: torch.float8_e4m3fn,
    tl.float8e5b16: torch.float8_e5m2fnuz,
    tl.float8e4b8: torch.float8_e4m3fnuz,
}
"""Floats that NumPy lacks. The interpreter keeps their bits in integers, and computes with the bits as integers."""


class NotInterpretableError(Exception):
    """Something that is right on a GPU and that the interpreter cannot run."""


class Interpreter:
    """The patched interpreter. `meter` is the run that launches belong to; give it a fresh one for each run.

    With `backwards`, programs run from the last to the first.
    """

    def __init__(self) -> None:
        self.meter = Meter()
        self.libdevice: set[str] = set()
        self.backwards = False
        self._options = _launch_options()

    def install(self) -> None:
        """Patch Triton, once, in a process that imported it with `TRITON_INTERPRET=1`."""
        warnings.filterwarnings("ignore")
        np.seterr(all="ignore")
        self._patch_language()
        self._patch_memory()
        self._patch_arithmetic()
        self._patch_launch()
        builder = ti.InterpreterBuilder
        builder.create_extern_elementwise = self._extern
        builder.create_inline_asm = _refuse("inline assembly")
        ti.interpreter_builder.codegen_fns["min_dot_size"] = _min_dot_size
        # As without `debug=True` on a GPU: integers wrap round, and a third of the time is saved.
        ti.interpreter_builder.options = replace(ti.interpreter_builder.options, sanitize_overflow=False)
        ti._get_np_dtype = _remembered(ti._get_np_dtype)

    def _patch_language(self) -> None:
        """Point `triton.language` at the interpreter once, and not anew for each launch: that costs 7 ms a time."""
        patch_tensor = ti._patch_lang_tensor

        def patched(tensor: Any, scope: Any) -> None:
            patch_tensor(tensor, scope)
            # Triton 3.6 converts a one-element array, which NumPy 2.4 refuses: a loop's run-time bound would fail.
            scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

        ti._patch_lang_tensor = patched
        scope = ti._patch_lang(SimpleNamespace(__globals__={"tl": tl, "core": tl.core}))
        _patch_extra(scope)
        nothing = SimpleNamespace(restore=lambda: None)
        ti._patch_lang = lambda fn: nothing
        self._scope = scope

    def _patch_memory(self) -> None:
        builder, native = ti.InterpreterBuilder, ti._interpreter

        def load(this: Any, ptrs: Any, mask: Any, other: Any, *_: Any) -> Any:
            element = ptrs.get_element_ty()
            dtype = ti._get_np_dtype(element)
            default = np.zeros(ptrs.data.shape, dtype=dtype) if other is None else other.data
            lanes = _lanes(mask)
            outside = self.meter.access(ptrs.data, lanes, dtype.itemsize, write=False)
            allowed = lanes if outside is None else lanes & ~outside
            data = native.load(ptrs.data, allowed, default, dtype)
            if outside is not None:
                data[outside] = _poison(dtype)
            return ti.TensorHandle(data, element)

        def store(this: Any, ptrs: Any, value: Any, mask: Any, *_: Any) -> None:
            lanes = _lanes(mask)
            self.meter.access(ptrs.data, lanes, value.data.itemsize, write=True)
            native.store(ptrs.data, value.data, lanes)

        rmw, cas = builder.create_atomic_rmw, builder.create_atomic_cas

        def atomic_rmw(this: Any, op: Any, ptr: Any, val: Any, mask: Any, *rest: Any) -> Any:
            self.meter.access(ptr.data, mask.data, val.data.itemsize, write=True, read=True)
            if val.dtype.scalar in NARROW:
                raise NotInterpretableError(f"an atomic on {val.dtype.scalar}")
            return rmw(this, op, ptr, val, mask, *rest)

        def atomic_cas(this: Any, ptr: Any, cmp: Any, val: Any, *rest: Any) -> Any:
            every = np.ones(ptr.data.shape, dtype=bool)
            self.meter.access(ptr.data, every, val.data.itemsize, write=True, read=True)
            return cas(this, ptr, cmp, val, *rest)

        builder.create_masked_load, builder.create_masked_store = load, store
        builder.create_atomic_rmw, builder.create_atomic_cas = atomic_rmw, atomic_cas

    def _patch_arithmetic(self) -> None:
        builder = ti.InterpreterBuilder
        for name in ("binary_op", "ternary_op", "unary_op", "create_fma", "create_erf", "create_rsqrt"):
            setattr(builder, name, _widened(getattr(builder, name)))
        # A GPU's maxnum gives the number where one operand is NaN.
        builder.create_maxnumf = lambda this, lhs, rhs: this.binary_op(lhs, rhs, np.fmax)
        builder.create_minnumf = lambda this, lhs, rhs: this.binary_op(lhs, rhs, np.fmin)
        builder.cast_impl = _casting(builder.cast_impl)
        builder.create_fp_to_fp = _casting(builder.create_fp_to_fp)
        for dtype in NARROW:
            setattr(builder, f"get_{dtype.name}", _constant(dtype))
        self._patch_dot(builder)
        apply = ti.ReduceScanOpInterface.apply

        def reduce(this: Any, inputs: Any) -> Any:
            single = not isinstance(inputs, tuple)
            values = (inputs,) if single else inputs
            kinds = [value.dtype.scalar for value in values]
            if not NARROW.keys() & set(kinds):
                return apply(this, inputs)
            pairs = zip(values, kinds, strict=True)
            results = apply(this, tuple(value.to(tl.float32) if kind in NARROW else value for value, kind in pairs))
            back = tuple(
                result.to(kind) if kind in NARROW and result.dtype == tl.float32 else result
                for result, kind in zip(results, kinds, strict=False)
            )
            return back[0] if single else back

        ti.ReduceScanOpInterface.apply = reduce

    def _patch_dot(self, builder: Any) -> None:
        dot = _widened(builder.create_dot, results=False)

        def counted(this: Any, a: Any, b: Any, d: Any, input_precision: Any, *rest: Any) -> Any:
            kind = _arithmetic(a.dtype.scalar, str(input_precision))
            self.meter.dot(kind, 2.0 * a.data.size * b.data.shape[-1])
            return dot(this, a, b, d, input_precision, *rest)

        builder.create_dot = counted

    def _patch_launch(self) -> None:
        execute, builder = ti.GridExecutor.__call__, ti.InterpreterBuilder
        set_grid, set_program = builder.set_grid_dim, builder.set_grid_idx
        options = self._options

        def launch(this: Any, *args: Any, **kwargs: Any) -> Any:
            unknown = [name for name in kwargs if name not in this.arg_names and name not in options]
            if unknown:
                raise KeyError(f"Keyword argument {unknown[0]} was specified but unrecognised")
            warps = kwargs.get("num_warps", 4)
            with self.meter.launch(_name(this.fn), (*args, *kwargs.values()), warps if isinstance(warps, int) else 4):
                return execute(this, *args, **kwargs)

        def grid(this: Any, *dims: int) -> None:
            self.meter.grid(*dims)
            set_grid(this, *dims)

        def program(this: Any, *place: int) -> None:
            if self.backwards:
                place = tuple(size - 1 - index for size, index in zip(this.grid_dim, place, strict=True))
            set_program(this, *place)

        ti.GridExecutor.__call__ = launch
        builder.set_grid_dim, builder.set_grid_idx = grid, program
        triton.runtime.autotuner.Autotuner.run = _run_first

    def _extern(self, library: str, path: str, symbol: str, arguments: Any, returns: Any, pure: Any = True) -> Any:
        function = function_for(symbol)
        if function is None:
            raise NotInterpretableError(f"the library function {symbol}")
        self.libdevice.add(symbol)
        values = [torch.from_numpy(np.ascontiguousarray(argument.data)) for argument in arguments]
        result = function(*values).numpy()
        return ti.TensorHandle(result.astype(ti._get_np_dtype(returns)), returns.scalar)


def _run_first(tuner: Any, *args: Any, **kwargs: Any) -> Any:
    """`@triton.autotune` without a clock: the first configuration that is left after pruning."""
    tuner.nargs = dict(zip(tuner.arg_names, args, strict=False))
    config = (tuner.prune_configs(kwargs) if len(tuner.configs) > 1 else tuner.configs)[0]
    tuner.best_config = config
    clash = kwargs.keys() & config.kwargs.keys()
    if clash:
        raise ValueError(f"Conflicting meta-parameters: {', '.join(sorted(clash))}.")
    every = {**tuner.nargs, **kwargs, **config.all_kwargs()}
    # `reset_to_zero` and the like are for the benchmark runs; a later call of the same kernel has none either.
    if config.pre_hook is not None:
        config.pre_hook(every)
    try:
        return tuner.fn.run(*args, **kwargs, **config.all_kwargs())
    finally:
        tuner.nargs = None


def _patch_extra(scope: Any) -> None:
    """libdevice: the module that programs import holds stubs, which the compiler maps to a vendor's."""
    from triton.language.extra import libdevice as stubs
    from triton.language.extra.cuda import libdevice

    ti._patch_builtin(libdevice, ti.interpreter_builder, scope)
    for name, member in vars(libdevice).items():
        if callable(member) and hasattr(stubs, name):
            setattr(stubs, name, member)


def _widened(method: Callable[..., Any], results: bool = True) -> Callable[..., Any]:
    """Have a method compute narrow floats in float32; and give the result back in the narrow type, if `results`."""

    def widened(this: Any, *operands: Any, **options: Any) -> Any:
        narrow = [o.dtype.scalar for o in operands if isinstance(o, ti.TensorHandle) and o.dtype.scalar in NARROW]
        if not narrow:
            return method(this, *operands, **options)
        result = method(this, *[_to_float32(o) if isinstance(o, ti.TensorHandle) else o for o in operands], **options)
        if not results:
            return result
        if result.data.dtype == np.bool_:
            return ti.TensorHandle(result.data, narrow[0])
        return ti.TensorHandle(_narrow(result.data, narrow[0]), narrow[0])

    return widened


def _casting(method: Callable[..., Any]) -> Callable[..., Any]:
    """Conversions from and to narrow floats, rounded to nearest even; 8-bit floats saturate as they do on a GPU."""

    def cast(this: Any, src: Any, dst_type: Any, *rest: Any) -> Any:
        source, target = src.dtype.scalar, dst_type.scalar
        if source not in NARROW and target not in NARROW:
            return method(this, src, dst_type, *rest)
        wide = _to_float32(src).data
        if target in NARROW:
            return ti.TensorHandle(_narrow(wide.astype(np.float32), target), target)
        return ti.TensorHandle(wide.astype(ti._get_np_dtype(dst_type)), target)

    return cast


def _to_float32(handle: Any) -> Any:
    dtype = NARROW.get(handle.dtype.scalar)
    if dtype is None:
        return handle
    bits = torch.from_numpy(np.ascontiguousarray(handle.data).view(np.int16 if dtype.itemsize == 2 else np.uint8))
    return ti.TensorHandle(bits.view(dtype).float().numpy(), tl.float32)


def _narrow(data: Array, target: Any) -> Array:
    dtype = NARROW[target]
    values = torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))
    if dtype.itemsize == 1:
        limit = torch.finfo(dtype).max
        return values.clamp(-limit, limit).to(dtype).view(torch.uint8).numpy()
    return values.to(dtype).view(torch.int16).numpy().view(np.uint16)


def _arithmetic(dtype: Any, precision: str) -> str:
    """The kind of arithmetic a matrix product runs on, as `bench.targets` names them."""
    if dtype.primitive_bitwidth == 64:
        return "fp64"
    if dtype.primitive_bitwidth == 32:
        return "fp32" if "IEEE" in precision.upper() else "tf32"
    return "fp16" if dtype.primitive_bitwidth == 16 else "fp8"


def _min_dot_size(lhs: Any, rhs: Any) -> tuple[int, int, int]:
    """What the NVIDIA back end asks of `tl.dot`; the interpreter alone would take any size."""
    return (1, 1, 32) if lhs.scalar.primitive_bitwidth == 8 else (1, 1, 16)


def _remembered(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The interpreter asks for the NumPy type of a Triton type all the time, and builds a table each time."""
    known: dict[str, Any] = {}

    def remembered(dtype: Any) -> Any:
        name = "pointer" if isinstance(dtype.scalar, tl.pointer_type) else dtype.scalar.name
        if name not in known:
            known[name] = function(dtype)
        return known[name]

    return remembered


def _lanes(mask: Any) -> Array:
    """The mask of an access; block pointers and descriptors hand over a bare array."""
    return mask if isinstance(mask, np.ndarray) else mask.data


def _constant(dtype: Any) -> Callable[[Any, float], Any]:
    return lambda this, value: ti.TensorHandle(_narrow(np.array([value], dtype=np.float32), dtype), dtype)


def _poison(dtype: Any) -> Any:
    kind = np.dtype(dtype).kind
    return np.nan if kind == "f" else True if kind == "b" else np.iinfo(dtype).max


def _refuse(what: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotInterpretableError(what)

    return refuse


def _launch_options() -> frozenset[str]:
    """Keywords that a launch takes beside the kernel's own parameters."""
    from triton.backends.nvidia.compiler import CUDAOptions

    names = {option.name for option in fields(CUDAOptions)}
    return frozenset(names | {"grid", "warmup", "debug", "noinline", "device", "device_type", "stream", "pre_hook"})


def _name(fn: Any) -> str:
    return str(getattr(fn, "__name__", "kernel"))
