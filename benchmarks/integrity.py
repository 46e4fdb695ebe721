"""The confusion matrix of the verdict: cheats caught and honest kernels refused, for each preset.

    python benchmarks/integrity.py run [--presets all_extensions,baseline] [--device cpu] [--runs 1] [--first-seed 0]
                                       [--only cheats|honest|ours|liger] [--match PATTERN] [--minutes M] --rows FILE
    python benchmarks/integrity.py table --kinds --rows FILE... [--into docs/integrity.md]
    python benchmarks/integrity.py pack --rows FILE... --into benchmarks/integrity_rows/cpu.jsonl.gz

`run` appends one line of JSON for each verdict to FILE and skips what stands there already, so that it can be done in
pieces; `table` adds them up; `pack` puts the rows of several files into one. Presets with `multi_input` get other
inputs in every run (`multi_input.seed`). The corpus is that of `tests/corpus.py`; `Outcome` says what counts as caught.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import corpus

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.session import Session
from tritonrl_core.types import Candidate, Score, Status
from tritonrl_core.verifier import Verifier

PRESETS = (
    "baseline", "multi_input_only", "sandbox_only", "staged_eval_only", "calibrated_timing_only", "fusion_data_only",
    "curriculum_only", "all_extensions",
)  # fmt: skip
"""The baseline, each extension alone, and all of them."""

GAIN = {"estimated": 1.02, "events": 1.25}
"""How many times faster than its honest twin a cheat without effect may look, by clock."""

PATH = re.compile(r"/(?:[\w.-]+/){2,}")
"""Folders of the machine that a matrix was made on."""

MARK = "<!-- matrix {} -->", "<!-- end of matrix {} -->"
Row = dict[str, Any]


class Outcome:
    """What became of one specimen.

    A cheat is caught where it gets no reward for a reason that is its own (`caught`: the status and reason that its
    file names; `stopped`: another one), or where it passes for what it is and is no faster than its honest twin
    (`no gain`, for cheats whose file says so). `undecided` is `UNSUPPORTED` or `INFRA` where the file does not expect
    it: no reward, but nothing proven either; and a cheat that has a speed while its twin has none to compare with.
    """

    CAUGHT, STOPPED, NO_GAIN = "caught", "stopped", "no gain"
    THROUGH = "through"
    UNDECIDED = "undecided"
    PASSED, REFUSED = "passed", "refused"
    ALL_CAUGHT = (CAUGHT, STOPPED, NO_GAIN)


def outcome(one: corpus.Specimen, score: Score) -> str:
    """The outcome of a specimen's score, without the comparison of times (see `with_gains`)."""
    status = score.verdict.status
    if one.honest:
        if status is Status.PASSED:
            return Outcome.PASSED
        return Outcome.UNDECIDED if status in (Status.UNSUPPORTED, Status.INFRA) else Outcome.REFUSED
    if status is Status.PASSED:
        return Outcome.NO_GAIN if one.same_as else Outcome.THROUGH
    if not one.complaint(score):
        return Outcome.CAUGHT
    return Outcome.UNDECIDED if status in (Status.UNSUPPORTED, Status.INFRA) else Outcome.STOPPED


def row_of(one: corpus.Specimen, score: Score, preset: str, seed: int, device: str) -> Row:
    """One verdict as a line of the rows' file."""
    verdict, timing = score.verdict, score.timing
    return {
        "preset": preset, "device": device, "seed": seed, "id": one.id, "kind": one.kind, "honest": one.honest,
        "twin": f"{one.kind}/{one.same_as}" if one.same_as else "", "outcome": outcome(one, score),
        "status": verdict.status, "stage": verdict.stage, "reason": verdict.reason, "sandbox": verdict.sandbox,
        "speedup": timing.speedup if timing else None, "clock": timing.clock if timing else "",
        "seconds": round(score.seconds, 3), "on": str(date.today()),
    }  # fmt: skip


def specimens(device: str, only: str) -> list[corpus.Specimen]:
    """What a run judges: cheats with their twins, or right kernels (twins among them), or all."""
    cheats = corpus.hacks(device)
    honest = [*corpus.twins(), *corpus.honest(device), *corpus.golden(), *corpus.liger()]
    liger = [one for one in honest if one.kind == "liger"]
    ours = [one for one in honest if one.kind != "liger"]
    chosen = {"cheats": [*cheats, *corpus.twins()], "ours": ours, "liger": liger, "honest": honest}
    return chosen.get(only, [*cheats, *honest])


def preset_for(name: str, device: str, workers: int, seed: int, **more: Any) -> Preset:
    """A shipped preset on this device, whose inputs are those of a seed where it has several; `more` of its options."""
    overrides = [f"verifier.device={device}", f"verifier.cpu_workers={workers}", "verifier.timeout_s=30"]
    preset = load_preset(name, overrides)
    varies = any(plugin == "multi_input" for plugin, _ in preset.plugins)
    return preset.with_plugins(multi_input={"seed": seed, **more}) if varies else preset


def run(args: argparse.Namespace) -> None:
    """Judge what is missing in the rows' file, until all is there or the time is up."""
    until = time.monotonic() + 60 * args.minutes
    names = args.presets.split(",")
    # One verifier for all presets that confine candidates alike: what one has compiled, the next ones need not.
    confines = {name: _confines(preset_for(name, args.device, args.workers, 0)) for name in names}
    for confined in dict.fromkeys(confines.values()):
        alike = [name for name in names if confines[name] == confined]
        if time.monotonic() < until:
            with Verifier(preset_for(alike[0], args.device, args.workers, args.first_seed)) as verifier:
                for name in alike:
                    for seed in range(args.first_seed, args.first_seed + args.runs):
                        _run_once(verifier, name, seed, args, until)


def _confines(preset: Preset) -> bool:
    return any(plugin == "sandbox" for plugin, _ in preset.plugins)


def _run_once(verifier: Verifier, name: str, seed: int, args: argparse.Namespace, until: float) -> None:
    """What is missing of one preset's run."""
    known = {(r["preset"], r["device"], r["seed"], r["id"]) for r in read_rows([args.rows])}
    wanted = [one for one in specimens(args.device, args.only) if re.search(args.match, one.id)]
    left = [one for one in wanted if (name, args.device, seed, one.id) not in known]
    # Liger-Kernel's tasks are ours, its operators are not: they promise nothing for other layouts and values.
    for is_liger, more in ((False, {}), (True, {"layouts": False, "values": False})):
        group = [one for one in left if (one.kind == "liger") == is_liger]
        if group and time.monotonic() < until:
            verifier.session = Session.open(preset_for(name, args.device, args.workers, seed, **more))
            _judge(verifier, group, name, seed, args, until)


def _judge(
    verifier: Verifier, left: Sequence[corpus.Specimen], name: str, seed: int, args: argparse.Namespace, until: float
) -> None:
    """Judge in batches, so that little is lost when the time is up."""
    gpu = verifier.bench.describe()["device"] if args.device == "cuda" else "no GPU"
    size, machine = 16 * args.workers, args.machine or _machine(gpu)
    with args.rows.open("a") as file:
        for start in range(0, len(left), size):
            if time.monotonic() > until:
                print(f"{name} seed {seed}: {len(left) - start} left", flush=True)
                return
            batch = left[start : start + size]
            # The comment makes a run's candidates other ones than the last run's, which would be remembered.
            mark = f"# {name} {seed}"
            jobs = [(one.task, Candidate.from_code(f"{one.code}\n{mark} {one.kind}\n")) for one in batch]

            def keep(index: int, score: Score, batch: Sequence[corpus.Specimen] = batch) -> None:
                row = row_of(batch[index], score, name, seed, args.device)
                file.write(json.dumps({**row, "machine": machine}) + "\n")
                file.flush()  # at once: a batch waits for its slowest, and may be ended from outside before that
                if row["outcome"] in (Outcome.THROUGH, Outcome.REFUSED, Outcome.UNDECIDED):
                    said = f"{row['outcome']}: {row['status']} {row['reason'][:200]}"
                    print(f"{name} {seed}: {row['id']}: {said}", flush=True)

            verifier.verify_batch(jobs, keep)
    print(f"{name} seed {seed}: done", flush=True)


def read_rows(paths: Sequence[Path]) -> list[Row]:
    """All rows of some files, also packed ones (`.gz`); none where there is no file. Of several verdicts on the same
    specimen in the same run the last one counts. A line that was cut short is left out."""
    rows: dict[tuple[Any, ...], Row] = {}
    for path in filter(Path.exists, paths):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in data.splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            rows[row["device"], row["preset"], row["seed"], row["id"]] = row
    return list(rows.values())


def with_gains(rows: Sequence[Row]) -> list[Row]:
    """The rows, with cheats that look faster than their twins counted as let through.

    A twin's speed is that of the same run, or the median of its other runs under this preset on this kind of device:
    what is timed is the task as written in each. Where there is none either, nothing is known.
    """
    speeds: dict[tuple[Any, ...], dict[int, float]] = defaultdict(dict)
    for row in rows:
        if row["speedup"] is not None:
            speeds[row["preset"], row["device"], row["id"]][row["seed"]] = row["speedup"]
    return [{**row, "outcome": _gain(row, speeds[row["preset"], row["device"], row["twin"]])} for row in rows]


def _gain(row: Row, twins: Mapping[int, float]) -> str:
    """What a row's outcome is, once its speed is held against its twin's, by run."""
    if row["outcome"] != Outcome.NO_GAIN or row["speedup"] is None:
        return str(row["outcome"])
    if not twins:
        return Outcome.UNDECIDED
    twin = twins.get(row["seed"], median(twins.values()))
    return Outcome.THROUGH if row["speedup"] > twin * GAIN[row["clock"]] else Outcome.NO_GAIN


def summary(rows: Iterable[Row]) -> Row:
    """The figures of one preset."""
    rows = list(rows)
    cheats, honest = [r for r in rows if not r["honest"]], [r for r in rows if r["honest"]]
    kernels = {r["id"] for r in honest}
    worst: dict[str, dict[str, bool]] = defaultdict(dict)
    for row in cheats:
        caught = row["outcome"] in Outcome.ALL_CAUGHT
        worst[_number(row["kind"])][row["id"]] = worst[_number(row["kind"])].get(row["id"], True) and caught
    last = _newest(cheats).values()
    by_stage = Counter(row["stage"] for row in last if row["outcome"] in (Outcome.CAUGHT, Outcome.STOPPED))
    return {
        "kinds": len(worst), "kinds_caught": sum(all(found.values()) for found in worst.values()),
        "cheats": sum(map(len, worst.values())), "cheats_caught": sum(sum(found.values()) for found in worst.values()),
        "no_gain": len({r["id"] for r in cheats if r["outcome"] == Outcome.NO_GAIN}),
        "by_stage": dict(by_stage), "through": _ids(cheats, Outcome.THROUGH),
        "undecided_cheats": _ids(cheats, Outcome.UNDECIDED), "other_reason": _ids(cheats, Outcome.STOPPED),
        "honest": len(kernels), "runs": f"{len(honest) / max(1, len(kernels)):.3g}", "verdicts": len(honest),
        "refused": _ids(honest, Outcome.REFUSED), "undecided": _ids(honest, Outcome.UNDECIDED),
        "refusals": sum(r["outcome"] == Outcome.REFUSED for r in honest),
    }  # fmt: skip


def _newest(rows: Iterable[Row]) -> dict[str, Row]:
    """By specimen, its last row: of the last day, and of that day's last run."""
    return {row["id"]: row for row in sorted(rows, key=lambda row: (row["on"], row["seed"]))}


def _number(kind: str) -> str:
    return kind.split("_")[0]


def _ids(rows: Iterable[Row], what: str) -> list[str]:
    return sorted({row["id"] for row in rows if row["outcome"] == what})


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Markdown: a line for each preset, and the names of all that went wrong."""
    rows = with_gains(rows)
    names = [name for name in PRESETS if any(row["preset"] == name for row in rows)]
    yield "| preset | kinds caught | cheats caught | at ast / record / compile / tiny / full | let through | undecided "
    yield "| honest kernels × runs | refused | undecided |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    found = {name: summary(row for row in rows if row["preset"] == name) for name in names}
    for name, s in found.items():
        stages = " / ".join(str(s["by_stage"].get(stage, 0)) for stage in ("ast", "record", "compile", "tiny", "full"))
        yield f"| `{name}` | {s['kinds_caught']} of {s['kinds']} | {s['cheats_caught']} of {s['cheats']} | {stages} | "
        yield f"{len(s['through'])} | {len(s['undecided_cheats'])} | {s['honest']} × {s['runs']} | {s['refusals']} of "
        yield f"{s['verdicts']} | {len(s['undecided'])} |\n"
    yield "\n"
    for what in ("through", "undecided_cheats", "refused", "undecided"):
        alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for name, s in found.items():
            alike[tuple(s[what])].append(name)
        for ids, named in alike.items():
            if ids:
                yield f"- {', '.join(f'`{name}`' for name in named)}: {_WORDS[what]}: "
                yield f"{', '.join(f'`{one}`' for one in ids)}.\n"


_WORDS = {
    "through": "cheats let through", "undecided_cheats": "cheats undecided", "refused": "honest kernels refused",
    "undecided": "honest kernels undecided",
}  # fmt: skip


def kinds_table(rows: Sequence[Row]) -> Iterator[str]:
    """Markdown: for each kind what became of its candidates under `all_extensions`."""
    chosen = [row for row in with_gains(rows) if row["preset"] == "all_extensions" and not row["honest"]]
    yield "| candidate | status | stage | reason |\n| --- | --- | --- | --- |\n"
    for row in sorted(_newest(chosen).values(), key=lambda row: str(row["id"])):
        reason = row["reason"] or ("as its twin, and not faster" if row["outcome"] == Outcome.NO_GAIN else "")
        reason = " ".join(PATH.sub("…/", reason)[:140].replace("|", "/").split())
        yield f"| `{row['id']}` | {row['status']} | {row['stage']} | {reason} |\n"


def write_table(args: argparse.Namespace) -> None:
    """Print the table of each device that there are rows of, or put it between its marks in a document."""
    rows = read_rows(args.rows)
    for device in sorted({row["device"] for row in rows}):
        text = "".join(_section([row for row in rows if row["device"] == device], args))
        if args.into is None:
            print(text)
            continue
        begin, end = (mark.format(device) for mark in MARK)
        before, _, rest = args.into.read_text().partition(begin)
        _, _, after = rest.partition(end)
        args.into.write_text(f"{before}{begin}\n{text}{end}{after}")


def pack(args: argparse.Namespace) -> None:
    """All rows in one packed file, in order, without folders of the machines that they were made on."""
    rows = sorted(read_rows(args.rows), key=lambda row: (row["device"], row["preset"], row["seed"], row["id"]))
    named = ({"machine": args.machine, **row, "reason": PATH.sub("…/", row["reason"])} for row in rows)
    text = "".join(json.dumps(row) + "\n" for row in named)
    args.into.parent.mkdir(parents=True, exist_ok=True)
    args.into.write_bytes(gzip.compress(text.encode(), mtime=0))


def _section(rows: Sequence[Row], args: argparse.Namespace) -> Iterator[str]:
    """One device: where and when its rows were made, the table, and with `--kinds` every candidate."""
    there = {one.id for one in corpus.everything(rows[0]["device"])}
    rows = [row for row in rows if row["kind"] == "liger" or row["id"] in there]
    machines = Counter(row.get("machine") or args.machine or "a machine that is not named" for row in rows)
    on = sorted({row["on"] for row in rows})
    sandbox = sorted({row["sandbox"].split(":")[0] for row in rows if row["preset"] == "all_extensions"})
    where = "; ".join(f"{machine}: {count} verdicts" for machine, count in machines.most_common())
    yield f"{where}; {' to '.join(dict.fromkeys([on[0], on[-1]]))}; sandbox {', '.join(sandbox)}.\n\n"
    yield from table(rows)
    if args.kinds:
        yield "\n"
        yield from kinds_table(rows)


def _machine(gpu: str) -> str:
    """This machine in words, as a row names it."""
    cores = len(os.sched_getaffinity(0))
    versions = f"Python {platform.python_version()}, torch {version('torch')}, triton {version('triton')}"
    return f"{gpu}, {cores} cores, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "table", "pack"])
    parser.add_argument("--presets", default=",".join(PRESETS))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="all", choices=["all", "cheats", "honest", "ours", "liger"])
    parser.add_argument("--match", default="", help="only specimens with this pattern in their names")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rows", type=Path, nargs="+", default=[Path("integrity.jsonl")])
    parser.add_argument("--into", type=Path)
    parser.add_argument("--kinds", action="store_true", help="name every candidate and its verdict")
    parser.add_argument("--machine", default="")
    args = parser.parse_args()
    if args.what == "table":
        write_table(args)
    elif args.what == "pack":
        pack(args)
    elif len(args.rows) != 1:
        parser.error("a run has one file of rows")
    else:
        args.rows = args.rows[0]
        run(args)


if __name__ == "__main__":
    main()
