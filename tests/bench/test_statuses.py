"""Every status of the table on the CPU bench, each by a candidate that deserves it: recorded, compiled, replayed."""

import pytest
from bench_samples import GOOD, REFERENCE

from tritonrl_core.types import Candidate, CaseRequest, Stage, Status, Task

HEAD = GOOD.split("@triton.jit")[0]


def forward(body, code=GOOD):
    """GOOD with another first line in forward."""
    return code.replace("        y = torch.empty_like(x)\n", f"        {body}\n        y = torch.empty_like(x)\n")


def kernel(line, code=GOOD):
    """GOOD with another last line in its kernel."""
    return code.replace("    tl.store(y + i, tl.maximum(v, 0.0), mask=m)\n", f"    {line}\n")


def forge(payload):
    """Code that sends its own record on whatever descriptor takes it, and ends."""
    return f"""import os, struct
        for fd in range(3, 64):
            try: os.write(fd, struct.pack('<cQ', b'p', {len(payload)}) + {payload!r})
            except OSError: pass
        os._exit(0)"""


def test_a_right_kernel_passes(judge):
    result = judge(GOOD)
    assert (result.status, result.stage, result.reason) == (Status.PASSED, Stage.FULL, "")
    assert result.error is not None
    assert 0 < result.error < 1
    assert result.facts["launch_count"] == 1
    assert result.facts["launches"][0]["grid"] == [7, 1, 1]
    # 16 x 100 floats read and written; the scale is read once for each element, and is 400 bytes.
    assert (result.facts["total_bytes"], result.facts["unique_bytes"]) == (3 * 6400, 2 * 6400 + 416)
    assert any("races" in item for item in result.unchecked)
    assert result.sandbox == "none"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (kernel("tl.store(y + i, v, mask=m)"), "output["),
        (kernel("tl.store(y + i, tl.maximum(v, 0.0), mask=m & (i < 1500))"), "is nan, expected"),
        (kernel("tl.store(y + i, tl.maximum(v, 0.0) * 1.001, mask=m)"), "output["),
        (kernel("tl.store(y + i, tl.maximum(v.to(tl.float16), 0.0), mask=m)"), "output["),
        (GOOD.replace("torch.empty_like(x)", "torch.empty_like(x, dtype=torch.float16)"), "dtype float16 instead"),
        (GOOD.replace("return y", "return y.t()"), "shape [100, 16] instead of [16, 100]"),
        (GOOD.replace("return y", "return y, y"), "2 outputs instead of 1"),
        (GOOD.replace("return y", "return None"), "0 outputs instead of 1"),
        (GOOD.replace("y = torch.empty_like(x)", "y = x"), "changed its input 0, which the reference leaves alone"),
        (kernel("tl.store(y + i, v, mask=m)\n    tl.store(s + i % n, v + 1.0, mask=m)"), "changed parameter scale"),
    ],
)
def test_wrong_results_are_wrong(judge, code, reason):
    result = judge(code)
    assert (result.status, result.stage) == (Status.WRONG, Stage.FULL), result
    assert reason in result.reason


@pytest.mark.parametrize(
    ("code", "stage", "reason"),
    [
        (forward("raise ValueError('words\\nand more')"), Stage.RECORD, "line 20: ValueError: words and more"),
        (forward("import sys; sys.exit(0)"), Stage.RECORD, "line 20: SystemExit: 0"),
        (forward("import os; os._exit(0)"), Stage.RECORD, "its process ended: exited with code 0 before"),
        (forward("import os; os.kill(os.getpid(), 11)"), Stage.RECORD, "its process ended: killed by SIGSEGV"),
        (forward("def f(): f()\n        f()"), Stage.RECORD, "RecursionError"),
        (GOOD.replace("def __init__(self)", "def __init__(self, extra)"), Stage.RECORD, "TypeError"),
        (GOOD.replace("return y", "return object()"), Stage.RECORD, "forward returned a object"),
        (kernel("tl.store(y + i + 9999, v, mask=m)"), Stage.FULL, "stored outside its tensors in 1600 lanes"),
        (kernel("tl.store(y + i, v)"), Stage.FULL, "192 lanes, 0 bytes after the end of a buffer of 6400 bytes"),
        (kernel("tl.assume(n < 5)\n    tl.store(y + i, v, mask=m)"), Stage.FULL, "line 22: kernel kernel: an assum"),
        (GOOD.replace("B=256", "B=256, no_such_option=3"), Stage.RECORD, "no_such_option was specified but unrec"),
        (forward("import ctypes; ctypes.string_at(0)"), Stage.RECORD, "SIGSEGV"),
        (GOOD.replace("torch.empty_like(x)", "torch.empty(x.shape)"), Stage.RECORD, "(cpu tensor?)"),
    ],
)
def test_what_raises_or_dies_is_a_runtime_error(judge, code, stage, reason):
    result = judge(code)
    assert (result.status, result.stage) == (Status.RUNTIME_ERROR, stage), result
    assert reason in result.reason


@pytest.mark.parametrize(
    ("code", "stage", "reason"),
    [
        ("import no_such_package\n" + GOOD, Stage.RECORD, "line 1: the code does not import: ModuleNotFound"),
        ("import sys; sys.exit(1)\n", Stage.RECORD, "does not import: SystemExit: 1"),
        (kernel("tl.no_such_function(v)"), Stage.RECORD, "line 12: "),
        (kernel("tl.store(y + i, no_such_name)"), Stage.RECORD, "no_such_name is not defined"),
        (GOOD.replace("B=256", "B=200"), Stage.RECORD, "arange's range must be a power of 2"),
        (kernel("tl.store(y + i, tl.dot(v[:, None], v[None, :]))"), Stage.RECORD, "K >= 16"),
        (kernel("tl.static_assert(B == 4)"), Stage.RECORD, "tl.static_assert(B == 4)"),
        (kernel("tl.store(y + i, v + tl.arange(0, 8))"), Stage.RECORD, "256 and 8"),
        (kernel("r = 0.0 < v < 1.0"), Stage.RECORD, ""),
    ],
)
def test_code_that_does_not_build_is_a_build_error(judge, code, stage, reason):
    result = judge(code)
    assert (result.status, result.stage) == (Status.BUILD_ERROR, stage), result
    assert reason in result.reason


def test_a_grid_without_programs_is_a_mistake_and_said(judge):
    launch = "kernel[(triton.cdiv(x.numel(), 256),)]"
    none = "kernel[(x.numel() // 10**6,)]"
    alone = judge(GOOD.replace(launch, none))
    assert (alone.status, alone.stage) == (Status.WRONG, Stage.RECORD), alone
    assert "no Triton kernel is launched in forward: the grid of kernel is (0, 1, 1) at line" in alone.reason
    elsewhere = f"{launch}(x, self.scale, torch.empty_like(x), x.shape[-1], x.numel(), B=256)"
    beside = judge(forward(elsewhere, GOOD.replace(launch, none)))
    assert (beside.status, beside.stage) == (Status.WRONG, Stage.RECORD), beside
    assert "output 0 does not depend on the inputs: the grid of kernel is (0, 1, 1) at line" in beside.reason


@pytest.mark.parametrize(
    ("code", "stage", "reason"),
    [
        ("x = 1\n", Stage.AST, "does not define a class ModelNew"),
        ("class ModelNew(:\n", Stage.AST, "line 1: not Python: invalid syntax"),
        ("x = '\0'\n", Stage.AST, "not Python: source code string cannot contain null bytes"),
        ("", Stage.AST, "does not define a class ModelNew"),
        ("def ModelNew():\n    return 3\n", Stage.AST, "does not define a class ModelNew"),
        (GOOD.replace("kernel[(tri", "0 and kernel[(tri"), Stage.RECORD, "no Triton kernel was launched"),
        (GOOD.replace("return y", "return torch.relu(x * self.scale)"), Stage.RECORD, "aten.mul.Tensor at line 22"),
        (GOOD.replace("return y", "return y + 0"), Stage.RECORD, "PyTorch does arithmetic: aten.add"),
    ],
)
def test_rules_reject(judge, code, stage, reason):
    result = judge(code)
    assert (result.status, result.stage) == (Status.REJECTED, stage), result
    assert reason in result.reason


def test_delegation_is_the_tasks_or_the_presets(judge):
    from tritonrl_core.types import Policy

    code = GOOD.replace("return y", "return y.clone()")
    assert judge(code).status is Status.PASSED
    assert judge(code, policy=Policy(delegation="none")).status is Status.REJECTED
    arithmetic = GOOD.replace("return y", "return y + 0")
    assert judge(arithmetic, policy=Policy(delegation="reported")).status is Status.PASSED


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("v = tl.inline_asm_elementwise('mov.b32 $0, $1;', '=r,r', [v], tl.float32, True, 1)", "inline assembly"),
        ("v += libdevice.brev(i).to(tl.float32)", "the library function __nv_brev"),
    ],
)
def test_what_a_cpu_cannot_run_is_unsupported(judge, line, reason):
    code = "from triton.language.extra import libdevice\n" + kernel(f"{line}\n    tl.store(y + i, v, mask=m)")
    result = judge(code)
    assert result.status is Status.UNSUPPORTED, result
    assert result.reason == f"line 23: kernel kernel: {reason} cannot be run on a CPU"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (forward("while True: pass"), "its Python took too long: no result after 1 s"),
        (forward("import time; time.sleep(60)"), "took too long"),
        ("while True: pass\n", "took too long"),
        (forward("import sys\n        while True: sys.stdout.write('x' * 100000)"), ""),
        (forward("import signal\n        signal.signal(15, signal.SIG_IGN)\n        while 1: pass"), ""),
    ],
)
def test_what_never_ends_times_out(judge, impatient_bench, code, reason):
    judge(GOOD, on=impatient_bench)
    result = judge(code, on=impatient_bench)
    assert (result.status, result.stage) == (Status.TIMEOUT, Stage.RECORD), result
    assert reason in result.reason


def test_a_kernel_that_never_ends_times_out(judge, frugal_bench):
    result = judge(kernel("while n > 0:\n        tl.store(y + i, v, mask=m)"), on=frugal_bench)
    assert (result.status, result.stage) == (Status.TIMEOUT, Stage.FULL), result
    assert "(verifier.timeout_s), at line 22" in result.reason


@pytest.mark.parametrize("line", ["a = bytearray(8 << 30)", "a = [0] * (1 << 30)"])
def test_a_memory_hog_is_a_runtime_error_that_names_memory(judge, line):
    result = judge(forward(line))
    assert result.status is Status.RUNTIME_ERROR, result
    assert "memory" in result.reason.lower()


def test_buffers_that_the_bench_does_not_lend_are_the_candidates_fault(judge, frugal_bench):
    code = GOOD.replace("y = torch.empty_like(x)", "y = torch.empty(1 << 28, device='cuda')[:1600].view(16, 100)")
    result = judge(code, on=frugal_bench)
    assert (result.status, result.stage) == (Status.RUNTIME_ERROR, Stage.FULL), result
    assert result.reason == "out of memory: its buffers need 1.0 GiB, the CPU bench lends 0.8"


def test_printing_much_changes_nothing(judge):
    assert judge(forward("print('x' * 50_000_000)")).status is Status.PASSED


def test_forking_changes_nothing(judge):
    code = forward("import os, time\n        if os.fork() == 0:\n            os.setsid(); time.sleep(100)")
    assert judge(code).status is Status.PASSED


def test_a_forked_child_cannot_answer_twice(judge):
    """Both processes return from forward; one record counts, and it is whole."""
    result = judge(forward("import os; os.fork()"))
    assert result.status in (Status.PASSED, Status.RUNTIME_ERROR)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"status": "PASSED", "launches": [], "libdevice": []}', b"[" * 100_000, b"{}", b"\xff\xfe", b"null",
        b'{"failure": {"status": "PASSED", "stage": "full", "reason": "", "line": 0, "needs_values": false}}',
    ],
)
def test_a_forged_plan_is_the_candidates_fault(judge, payload):
    result = judge(forward(forge(payload)))
    assert (result.status, result.stage) == (Status.CHEATED, Stage.RECORD), result
    assert "malformed launch plan" in result.reason


def test_texts_of_a_candidate_are_cut_and_printable(judge):
    result = judge(forward("raise ValueError('\\x1b[31m' + 'x' * 100000)"))
    assert result.reason.isprintable()
    assert len(result.reason) <= 1000


def test_a_killed_dispatcher_gives_infra_and_the_next_candidate_passes(bench, judge):
    from tritonrl_core.errors import InfraError

    with pytest.raises(InfraError, match="lost twice"):
        judge(forward("import os; os.kill(os.getppid(), 9); import time; time.sleep(30)"))
    assert judge(GOOD + "# after").status is Status.PASSED


def test_a_candidate_that_kills_one_worker_does_not_touch_its_neighbours(bench):
    import threading

    task = Task(id="t", level=1, source=REFERENCE)
    results = {}

    def work(number):
        program = bench.program(task, Candidate.from_code(f"{GOOD}# {number}"))
        results[number] = program.run(program.cases(CaseRequest())[0]).status

    def kill():
        from tritonrl_core.errors import InfraError

        program = bench.program(task, Candidate.from_code(forward("import os; os.kill(os.getppid(), 9)")))
        with pytest.raises(InfraError):
            program.run(program.cases(CaseRequest())[0])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)] + [threading.Thread(target=kill)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(8), Status.PASSED)
