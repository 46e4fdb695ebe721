"""The kernels that timing_quality times: in a file of their own, because Triton wants their source."""

# ruff: noqa: N803
import triton
import triton.language as tl


@triton.jit
def stream(x_ptr, y_ptr, count, BLOCK: tl.constexpr):
    """Moves memory and does next to nothing with it."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + at, tl.load(x_ptr + at, mask=at < count) * 2.0, mask=at < count)


@triton.jit
def spin(y_ptr, rounds, BLOCK: tl.constexpr):
    """Multiplies in registers, each time what came out of the last; time grows with `rounds` alone."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = at.to(tl.float32) * 0.001 + 1.0
    for _ in range(rounds):
        value = value * 0.999 + 0.001
    tl.store(y_ptr + at, value)
