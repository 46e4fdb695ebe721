"""Fuzzing of the borders: what a stranger may hand over, in tens of thousands of broken forms.

    python benchmarks/fuzz.py plans|records|presets|sources|all [--count N] [--seed S] [--minutes M] [--workers W]

`plans`: structure-aware mutations of the golden solutions' real launch plans, through the reader and the rules.
`records`: what children send back, and frames from real children that write rubbish on their channel. `presets`:
mutated YAML. `sources`: golden candidates mutated token by token, through the whole verifier; one that passes is judged
again on other inputs. Prints one line of JSON for each, with whatever went wrong: an exception that is none of ours, an
answer of the wrong kind, more than `SLOW_S` seconds of CPU, a wrong acceptance. Exits 1 if anything did.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tritonrl_core.errors import TritonRLError

COUNTS = {"plans": 60_000, "records": 20_000, "presets": 10_000, "sources": 2_000}
SLOW_S = 5.0
"""CPU seconds for one input, beyond which it counts as hanging."""

JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, -(2**63), 10**30, 1.5, "", "x", "aten.mm.default", "cuda",
    "float32", "*fp32", "i64", "tensordesc<fp16[16, 16]>", "\ud800", "../../etc/passwd", "a" * 5000,
    [], {}, [0], [[]], [1 << 40] * 3,
    {"tensor": [0, [1 << 40], [1 << 40], 0, "float32"]}, {"tensor": [99999, [], [], 0, "bool"]}, {"float": "nan"},
    {"float": "0x1p+99999"}, {"dtype": "float32"}, {"device": "meta"}, {"tune": {"variants": [[]], "line": 0}},
)  # fmt: skip


class Findings:
    """What went wrong, and how often what came out."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.slowest = 0.0

    def watch(self, what: str, run: Callable[[], str], allowed: tuple[type[BaseException], ...] = ()) -> None:
        """Run once; only an allowed exception may leave it."""
        began = time.process_time()
        try:
            self.outcomes[run()] += 1
        except allowed as error:
            self.outcomes[type(error).__name__] += 1
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            self.report(f"{what}: {type(error).__name__}: {str(error)[:200]}")
        spent = time.process_time() - began
        self.slowest = max(self.slowest, spent)
        if spent > SLOW_S:
            self.report(f"{what}: {spent:.1f} s")

    def report(self, text: str) -> None:
        self.outcomes["wrong"] += 1
        if len(self.wrong) < 50:
            self.wrong.append(text)


# Mutations of nested data.


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to all parts of a value."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def mutated(value: Any, rng: random.Random) -> Any:
    """A copy with one to four changes: junk, another part, a number nearby, something left out or doubled."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        paths = list(places(value))[1:]
        if not paths:
            return value
        path = rng.choice(paths)
        parent = _at(value, path[:-1])
        key, part = path[-1], _at(value, path)
        action = rng.choice(("junk", "near", "near", "near", "graft", "delete", "double"))
        if action == "near" and isinstance(part, int) and not isinstance(part, bool):
            parent[key] = rng.choice((part + 1, part - 1, part * 2, -part, part + rng.randrange(1 << 20), 0))
        elif action == "near" and isinstance(part, str) and part:
            at = rng.randrange(len(part))
            parent[key] = part[:at] + chr(rng.randrange(32, 0x250)) + part[at + rng.randrange(2) :]
        elif action == "graft":
            parent[key] = copy.deepcopy(_at(value, rng.choice(paths)))
        elif action == "delete":
            del parent[key]
        elif action == "double" and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(part))
        else:
            parent[key] = copy.deepcopy(rng.choice(JUNK))
    return value


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


# Plans.


def golden_plans(limit: int) -> list[tuple[Any, Any]]:
    """Launch plans of golden solutions as data, each with the request that it was recorded for."""
    from tritonrl_core.bench.plan.check import PlanLimits
    from tritonrl_core.bench.plan.schema import LaunchPlan, as_data
    from tritonrl_core.bench.record.recordings import Recordings
    from tritonrl_core.bench.targets import gpu_for
    from tritonrl_core.tasks.cases import make_cases
    from tritonrl_core.tasks.golden import golden_solutions
    from tritonrl_core.tasks.suite import builtin_tasks
    from tritonrl_core.types import Candidate, CaseRequest, Limits

    tasks = {task.id: task for task in builtin_tasks("all")}
    recordings = Recordings(gpu_for("sm_90"), 2, Limits(), PlanLimits())
    found = []
    for golden in golden_solutions()[:: max(1, 133 // limit)]:
        task, candidate = tasks[golden.task_id], Candidate.from_code(golden.code)
        case = make_cases(task, CaseRequest())[0]
        plan = recordings.record(task, candidate, case).plan
        if isinstance(plan, LaunchPlan):
            found.append((as_data(plan), recordings.request(task, candidate, case)))
    recordings.close()
    return found


def fuzz_plans(count: int, rng: random.Random, findings: Findings, until: float) -> int:
    """Mutated plans through the reader and the rules, and as if they were the same program's on other values."""
    from tritonrl_core.bench.plan import check as plan_check
    from tritonrl_core.bench.plan import flow
    from tritonrl_core.bench.plan.schema import LaunchPlan, encode, tensors_in
    from tritonrl_core.bench.record.request import foreign_part, specs_in
    from tritonrl_core.bench.rules.answers import computed_in_python, given
    from tritonrl_core.bench.rules.lazy_outputs import left_to_the_reader
    from tritonrl_core.bench.rules.sizing import more_than_sizes

    plans = golden_plans(40)

    def through(data: bytes, request: Any, whole: Any) -> str:
        answer = plan_check.validate(data)
        if not isinstance(answer, LaunchPlan):
            assert answer.reason, "no reason"
            return f"refused: {answer.status}"
        for ref in tensors_in([answer.inputs, answer.parameters, answer.prologue, answer.steps, answer.outputs]):
            assert 0 <= ref.byte_offset <= ref.end <= answer.buffers[ref.buffer].nbytes, "outside its buffer"
        again = plan_check.validate(encode(answer))
        # As written, because a constant may be NaN, which equals nothing.
        assert isinstance(again, LaunchPlan) and encode(again) == encode(answer), "does not survive writing"  # noqa: PT018
        if foreign_part(answer, request):
            return "refused: foreign"
        flow.unearned_output(answer)
        left_to_the_reader(answer, list, only_moves=True)
        own = plan_check.validate(json.dumps(whole).encode())
        assert isinstance(own, LaunchPlan), "a plan that was not mutated is refused"
        arguments = request.arguments
        specs = [*specs_in(arguments.forward), *specs_in(arguments.init), *request.state.values()]
        zeros = given(request, bytes(sum(spec.nbytes for spec in specs)))
        same = not computed_in_python(answer, own, zeros, zeros) and not more_than_sizes(answer, own, zeros)
        assert same or encode(answer) != encode(own), "a plan is told from itself"
        return "accepted"

    for number in range(count):
        if time.monotonic() > until:
            return number
        data, request = rng.choice(plans)
        text = json.dumps(mutated(data, rng)).encode()
        if rng.random() < 0.1:
            at = rng.randrange(len(text))
            text = text[:at] + rng.randbytes(rng.randrange(8)) + text[at + rng.randrange(8) :]
        findings.watch(f"plan {number}", lambda text=text, request=request, data=data: through(text, request, data))
    return count


# Records.

RECORD = {
    "status": "RUNTIME_ERROR", "reason": "line 3: because", "libdevice": ["__nv_expf"],
    "launches": [
        {"kernel": 0, "line": 3, "grid": [1, 1, 1], "bytes_read": 5, "bytes_written": 5, "unique_read": 5,
         "unique_written": 5, "stray_reads": 0, "flops": {"fp32": 10.0}},
    ],
}  # fmt: skip
FAILURE = {"failure": {"status": "RUNTIME_ERROR", "stage": "record", "reason": "why", "line": 3, "needs_values": False}}


def fuzz_records(count: int, rng: random.Random, findings: Findings, until: float) -> int:
    """Mutated answers of children through their readers; one in eight is a frame that a real child writes."""
    from tritonrl_core.bench.compile.request import BuildFailure, CompiledKernel, built_bytes, read_built
    from tritonrl_core.bench.processes import report
    from tritonrl_core.bench.record.request import RecordFailure, read_recording
    from tritonrl_core.types import Status

    def record(data: bytes) -> str:
        answer = report.read(data)
        assert answer.status in (None, *report.CLAIMS), "a claim that is not a child's"
        return "record read"

    def recording(data: bytes) -> str:
        answer = read_recording(data)
        assert isinstance(answer, RecordFailure), "a plan out of nothing"
        assert answer.status not in (Status.PASSED, Status.INFRA), "a claim that is not a child's"
        return "failure read"

    def built(data: bytes) -> str:
        return "binaries refused" if read_built(data, 2) is None else "binaries read"

    binaries = json.loads(built_bytes([BuildFailure("why"), CompiledKernel("k", b"\x7fELF", 0, 4)]))
    kinds: list[tuple[Any, Callable[[bytes], str]]] = [(RECORD, record), (FAILURE, recording), (binaries, built)]
    for number in range(count):
        if time.monotonic() > until:
            return number
        if number % 8 == 7:
            junk = _frame(rng)
            findings.watch(f"frame {number}", lambda junk=junk: _from_a_child(junk))
            continue
        sample, read = rng.choice(kinds)
        data = json.dumps(mutated(sample, rng)).encode()
        if rng.random() < 0.2:
            at = rng.randrange(len(data))
            data = data[:at] + rng.randbytes(rng.randrange(8)) + data[at + rng.randrange(8) :]
        findings.watch(f"record {number}", lambda read=read, data=data: read(data), (report.UnreadableError,))
    return count


def _frame(rng: random.Random) -> bytes:
    """Bytes such as a child would send, and worse."""
    tag, body = rng.choice((b"p", b"m", b"e", b"x", b"\0")), rng.randbytes(rng.randrange(64))
    length = rng.choice((len(body), len(body) + 1, 0, 1 << 62, rng.randrange(1 << 20)))
    whole = tag + length.to_bytes(8, "little") + body
    return rng.choice((whole, whole[: rng.randrange(len(whole))], whole * 3, b"", rng.randbytes(2000)))


def _from_a_child(junk: bytes) -> str:
    """A real child writes the junk on all that it has, and then answers, dies or leaves."""
    from tritonrl_core.base.sandbox_exec import run_forked
    from tritonrl_core.types import Limits, SandboxJob

    way = len(junk) % 4

    def entry() -> bytes:
        for fd in range(3, 64):
            try:
                os.write(fd, junk)
            except OSError:
                continue
        if way == 0:
            os._exit(3)
        if way == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if way == 2:
            raise ValueError("\ud800 no text")
        return b"answer"

    result = run_forked(SandboxJob(entry, Limits(wall_s=5.0, output_bytes=1 << 16), "record"))
    assert result.outcome in ("ok", "timeout", "memory", "output", "died"), result.outcome
    return f"frame: {result.outcome}"


# Presets.


def fuzz_presets(count: int, rng: random.Random, findings: Findings, until: float) -> int:
    """Mutated YAML: a preset comes out of it, or one of our own errors with a remedy."""
    import yaml

    from tritonrl_core.preset import load_preset
    from tritonrl_core.preset.sources import available_presets

    texts = [load_preset(name).to_yaml() for name in available_presets()]
    documents = [yaml.safe_load(text) for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.yaml"

        def load() -> str:
            try:
                load_preset(path)
            except TritonRLError as error:
                return "refused" if str(error).strip() else "refused without a message"
            return "loaded"

        for number in range(count):
            if time.monotonic() > until:
                return number
            if number % 2:
                text = yaml.safe_dump(_clean(mutated(rng.choice(documents), rng)), allow_unicode=True)
            else:
                text = _spliced(rng.choice(texts), rng)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            findings.watch(f"preset {number}", load)
    return count


def _clean(value: Any) -> Any:
    """Without what YAML cannot write."""
    return json.loads(json.dumps(value).replace("\\ud800", "?"))


def _spliced(text: str, rng: random.Random) -> str:
    for _ in range(rng.randrange(1, 4)):
        at, length = rng.randrange(len(text)), rng.randrange(12)
        junk = "".join(rng.choice("abe:[]{}-&*!|>'\"#%@, \n\t\x850.1~<=") for _ in range(rng.randrange(6)))
        text = text[:at] + junk + text[at + length :]
    return text


# Sources.


def fuzz_sources(count: int, rng: random.Random, findings: Findings, until: float, workers: int) -> int:
    """Golden candidates with changed tokens through the verifier; what passes is judged again on other inputs."""
    from tritonrl_core.preset import load_preset
    from tritonrl_core.tasks.golden import golden_solutions
    from tritonrl_core.tasks.suite import builtin_tasks
    from tritonrl_core.types import Candidate, Status
    from tritonrl_core.verifier import Verifier

    tasks = {task.id: task for task in builtin_tasks("all")}
    golden = golden_solutions()
    words: dict[int, list[str]] = {}
    for item in golden[::10]:
        for token in tokenize.generate_tokens(io.StringIO(item.code).readline):
            words.setdefault(token.type, []).append(token.string)
    common = ["verifier.device=cpu", f"verifier.cpu_workers={workers}", "verifier.timeout_s=10"]
    preset = load_preset("all_extensions", common)
    size, done = 16 * workers, 0
    with Verifier(preset) as first, Verifier(preset.with_plugins(multi_input={"num_tests": 10, "seed": 977})) as second:
        while done < count and time.monotonic() < until:
            jobs = []
            for _ in range(min(size, count - done)):
                item = rng.choice(golden)
                jobs.append((tasks[item.task_id], Candidate.from_code(mutated_source(item.code, words, rng))))
            scores = first.verify_batch(jobs)
            passed = [job for job, score in zip(jobs, scores, strict=True) if score.verdict.status is Status.PASSED]
            for score in scores:
                findings.outcomes[score.verdict.status] += 1
                if score.verdict.status is Status.INFRA:
                    findings.report(f"source for {score.task_id}: INFRA: {score.verdict.reason}")
            for job, score in zip(passed, second.verify_batch(passed), strict=True):
                if score.verdict.status is not Status.PASSED:
                    story = f"{score.verdict.status} {score.verdict.reason[:200]}"
                    findings.report(f"accepted, then {story}: {job[0].id}\n{job[1].code}")
            done += len(jobs)
    return done


def mutated_source(code: str, words: Mapping[int, Sequence[str]], rng: random.Random) -> str:
    """The code with one to three tokens replaced, mostly by others of their kind, else left out or doubled."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        try:
            tokens = [t for t in tokenize.generate_tokens(io.StringIO(code).readline) if t.string.strip()]
        except (tokenize.TokenError, SyntaxError):
            return code
        lines = code.splitlines(keepends=True)
        token = rng.choice(tokens)
        own = [other.string for other in tokens if other.type == token.type]
        (row, begin), (end_row, end) = token.start, token.end
        if row != end_row or row > len(lines):
            continue
        new = rng.choice((*[rng.choice(own)] * 6, *[rng.choice(words.get(token.type, own))] * 3, "", token.string * 2))
        if token.type == tokenize.NUMBER and rng.random() < 0.5:
            new = rng.choice(("0", "1", "2", "3", "16", "1e-3", "-1", "1 << 40"))
        lines[row - 1] = lines[row - 1][:begin] + new + lines[row - 1][end:]
        code = "".join(lines)
    return code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=[*COUNTS, "all"])
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    failed = False
    for what in COUNTS if args.what == "all" else [args.what]:
        findings, rng = Findings(), random.Random(f"{what} {args.seed}")
        count, began = args.count or COUNTS[what], time.monotonic()
        until = began + 60 * args.minutes
        done = _run(what, count, rng, findings, until, args.workers)
        line = {
            "what": what, "seed": args.seed, "inputs": done, "seconds": round(time.monotonic() - began, 1),
            "slowest_cpu_s": round(findings.slowest, 2), "outcomes": dict(findings.outcomes), "wrong": findings.wrong,
        }  # fmt: skip
        print(json.dumps(line), flush=True)
        failed |= bool(findings.wrong)
    sys.exit(failed)


def _run(what: str, count: int, rng: random.Random, findings: Findings, until: float, workers: int) -> int:
    if what == "sources":
        return fuzz_sources(count, rng, findings, until, workers)
    runs = {"plans": fuzz_plans, "records": fuzz_records, "presets": fuzz_presets}
    return runs[what](count, rng, findings, until)


if __name__ == "__main__":
    main()
