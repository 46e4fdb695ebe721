"""Every status of the table on the CPU bench, each by a candidate that deserves it."""

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
        (kernel("tl.store(s + i % n, 1.0, mask=m)"), "changed parameter scale"),
    ],
)
def test_wrong_results_are_wrong(judge, code, reason):
    result = judge(code)
    assert (result.status, result.stage) == (Status.WRONG, Stage.FULL), result
    assert reason in result.reason


@pytest.mark.parametrize(
    ("code", "stage", "reason"),
    [
        (forward("raise ValueError('words\\nand more')"), Stage.RECORD, "ValueError: words and more, at line 20: `"),
        (forward("import sys; sys.exit(0)"), Stage.RECORD, "SystemExit: 0, at line 20"),
        (forward("import os; os._exit(0)"), Stage.FULL, "ended in forward: exited with code 0 before"),
        (forward("import os; os.kill(os.getpid(), 11)"), Stage.FULL, "ended in forward: killed by SIGSEGV"),
        (forward("def f(): f()\n        f()"), Stage.RECORD, "RecursionError"),
        (GOOD.replace("def __init__(self)", "def __init__(self, extra)"), Stage.RECORD, "TypeError"),
        (GOOD.replace("return y", "return object()"), Stage.RECORD, "forward returned a object"),
        (kernel("tl.store(y + i + 9999, v, mask=m)"), Stage.FULL, "stored outside its tensors in 64 lanes"),
        (kernel("tl.store(y + i, v)"), Stage.FULL, "192 lanes, 0 bytes after the end of a buffer of 6400 bytes"),
        (kernel("tl.assume(n < 5)"), Stage.FULL, "assumption of the kernel failed: Assume failed, at line 12"),
        (GOOD.replace("B=256", "B=256, no_such_option=3"), Stage.RECORD, "no_such_option was specified but unrec"),
        (forward("import ctypes; ctypes.string_at(0)"), Stage.FULL, "SIGSEGV"),
    ],
)
def test_what_raises_or_dies_is_a_runtime_error(judge, code, stage, reason):
    result = judge(code)
    assert (result.status, result.stage) == (Status.RUNTIME_ERROR, stage), result
    assert reason in result.reason


@pytest.mark.parametrize(
    ("code", "stage", "reason"),
    [
        ("import no_such_package\n" + GOOD, Stage.RECORD, "No module named 'no_such_package', at line 1"),
        ("import sys; sys.exit(1)\n", Stage.RECORD, "does not import: SystemExit: 1"),
        (kernel("tl.no_such_function(v)"), Stage.COMPILE, "does not build: AttributeError"),
        (kernel("tl.store(y + i, no_such_name)"), Stage.COMPILE, "'no_such_name' is not defined, at line 12"),
        (GOOD.replace("B=256", "B=200"), Stage.COMPILE, "arange's range must be a power of 2"),
        (kernel("tl.store(y + i, tl.dot(v[:, None], v[None, :]))"), Stage.COMPILE, "K >= 16"),
        (kernel("tl.static_assert(B == 4)"), Stage.COMPILE, "AssertionError"),
        (kernel("tl.store(y + i, v + tl.arange(0, 8))"), Stage.COMPILE, "incompatible"),
    ],
)
def test_code_that_does_not_build_is_a_build_error(judge, code, stage, reason):
    result = judge(code)
    assert (result.status, result.stage) == (Status.BUILD_ERROR, stage), result
    assert reason in result.reason


@pytest.mark.parametrize(
    ("code", "stage", "reason"),
    [
        ("x = 1\n", Stage.AST, "defines no class ModelNew"),
        ("class ModelNew(:\n", Stage.AST, "not valid Python: invalid syntax, at line 1: `class ModelNew(:`"),
        ("x = '\0'\n", Stage.AST, "not valid Python: source code string cannot contain null bytes"),
        ("", Stage.AST, "defines no class ModelNew"),
        ("def ModelNew():\n    return 3\n", Stage.RECORD, "ModelNew is not a torch.nn.Module"),
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
        ("tl.inline_asm_elementwise('mov.b32 $0, $1;', '=r,r', [v], tl.float32, True, 1)", "inline assembly"),
        ("v = libdevice.brev(i)", "the library function __nv_brev"),
    ],
)
def test_what_the_interpreter_cannot_run_is_unsupported(judge, line, reason):
    code = "from triton.language.extra import libdevice\n" + kernel(line)
    result = judge(code)
    assert result.status is Status.UNSUPPORTED, result
    assert f"{reason}, at line 13" in result.reason


def test_a_captured_graph_is_unsupported(judge):
    result = judge(forward("g = torch.cuda.CUDAGraph(); g.capture_begin()"))
    assert result.status is Status.UNSUPPORTED, result


@pytest.mark.parametrize(
    ("code", "stage", "reason"),
    [
        (forward("while True: pass"), Stage.FULL, "no result after 1 s (verifier.timeout_s), in forward"),
        (forward("import time; time.sleep(60)"), Stage.FULL, "in forward"),
        ("while True: pass\n", Stage.RECORD, "while it was imported"),
        (forward("import sys\n        while True: sys.stdout.write('x' * 100000)"), Stage.FULL, "in forward"),
        (forward("import signal\n        signal.signal(15, signal.SIG_IGN)\n        while True: pass"), Stage.FULL, ""),
    ],
)
def test_what_never_ends_times_out(judge, impatient_bench, code, stage, reason):
    judge(GOOD, on=impatient_bench)
    result = judge(code, on=impatient_bench)
    assert (result.status, result.stage) == (Status.TIMEOUT, stage), result
    assert reason in result.reason


@pytest.mark.parametrize("line", ["a = torch.ones(1 << 31)", "a = bytearray(4 << 30)", "a = [0] * (1 << 30)"])
def test_a_memory_hog_is_a_runtime_error_that_names_memory(judge, impatient_bench, line):
    result = judge(forward(line), on=impatient_bench)
    assert result.status is Status.RUNTIME_ERROR, result
    assert result.reason == "out of memory: more than 1 GiB of memory, in forward"


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
        b'{"status": "PASSED", "launches": [], "launch_count": 1, "libdevice": [], "aten": {}}', b"[" * 100_000, b"{}",
        b"\xff\xfe", b'{"outputs": [[[1e999], "float32"]], "launches": [], "launch_count": 1}', b"null",
    ],
)
def test_a_forged_record_is_the_candidates_fault(judge, payload):
    result = judge(forward(forge(payload)))
    assert result.status is Status.RUNTIME_ERROR, result


def test_claiming_outputs_that_were_never_written_is_wrong(judge):
    record = b'{"outputs": [[[16, 100], "float32"]], "launches": [], "launch_count": 1, "libdevice": [], "aten": {}}'
    zeros = REFERENCE.replace("torch.relu(x * self.scale)", "torch.zeros_like(x * self.scale)")
    assert judge(forward(forge(record)), reference=zeros).status is Status.WRONG


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
