"""One column of the escape matrix: every attack against one tier, as one user. Prints one JSON object.

    python column.py --tier A --user ordinary [--only PATTERN]

`none` has the layers off: a plain forked child, which shows what each attack can do on this host. `A`, `B` and `C` are
what the plugin makes of a host: as it is; one where namespaces are forbidden (a real seccomp filter sees to that, as
in a container); and one with an older Landlock besides (`C5`, `C1`, and `A1` with namespaces).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import ctypes
import fcntl
import glob
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import attacks_files
import attacks_processes
import attacks_resources
import attacks_system
from attack import ATTACKS, Attack, libc
from tritonrl_core.types import Limits, SandboxJob, SandboxResult
from world import MARKER, World, initial_environment, make_folder

from tritonrl_plugin_sandbox import SandboxPlugin, linux, prepare, profiles
from tritonrl_plugin_sandbox.scratch import empty

MODULES = (attacks_files, attacks_processes, attacks_resources, attacks_system, asyncio, glob, shutil, subprocess)
"""Loaded before the user changes: an ordinary user may be unable to read this interpreter's files."""

ORDINARY_USER = 61234
TIERS = ("none", "A", "A1", "B", "C5", "C1")
PATIENCE_S = 6.0
LEAKED, OUTPUT, INPUT = 40, 50, 51
SEALS = {"output": 2 | 4 | 1, "input": 2 | 4 | 8 | 1}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tier", choices=TIERS, required=True)
    parser.add_argument("--user", choices=("same", "ordinary"), default="same")
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true", help="print the names of the attacks and run none")
    chosen = parser.parse_args()
    if chosen.list:
        print(json.dumps(list(ATTACKS)))
        return
    if "TRITONRL_CANARY" not in os.environ:  # so that it stands in the initial environment, too
        environment = dict(os.environ, TRITONRL_CANARY=MARKER + os.urandom(8).hex())
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    if chosen.user == "ordinary" and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(*[ORDINARY_USER] * 3)
        os.setresuid(*[ORDINARY_USER] * 3)
        linux.prctl(linux.PR_SET_DUMPABLE, 1)
    try:
        print(json.dumps(run_column(chosen.tier, chosen.only)))
    except Unavailable as reason:
        print(json.dumps({"tier": chosen.tier, "unavailable": str(reason)}))


class Unavailable(Exception):  # noqa: N818 - a state of the host
    """This host cannot stand for the tier."""


def run_column(tier: str, only: str) -> dict[str, Any]:
    """Run the attacks whose name matches; what each got, and the label that results bore."""
    folder = make_folder()
    stdout = folder / "stdout"
    stdout.write_bytes(b"")
    ours, theirs = socket.socketpair()
    dispatcher = os.fork()
    if dispatcher == 0:
        ours.close()
        serve(tier, theirs, folder, stdout)
    theirs.close()
    stream = ours.makefile("rwb")
    try:
        listen(stream, "its start")
    except Unavailable:
        os.waitpid(dispatcher, 0)
        empty(str(folder))
        folder.rmdir()
        raise
    world = World(dispatcher, lambda: ask(stream, {"attack": "reap"}), stdout, folder)
    world.tokens["environment"] = os.environ["TRITONRL_CANARY"].encode()
    try:
        results = {}
        for name in (name for name in ATTACKS if re.search(only, name)):
            began = time.monotonic()
            results[name] = judge(ATTACKS[name], world, stream)
            if time.monotonic() - began > 5:
                print(f"{tier} {name} took {time.monotonic() - began:.1f} s", file=sys.stderr)
    finally:
        os.kill(dispatcher, signal.SIGKILL)
        os.waitpid(dispatcher, 0)
        world.close()
    return {"tier": tier, "uid": os.geteuid(), "results": results}


def judge(case: Attack, world: World, stream: Any) -> dict[str, Any]:
    """Run one attack and say by what it succeeded, if it did."""
    for again in (False, True) if case.twice else (False,):
        order = {"attack": f"{case.group}/{case.name}", "again": again, **world.parameters()}
        answer = ask(stream, order)
    payload = base64.b64decode(answer["payload"])
    seen = payload + answer["detail"].encode("utf-8", "surrogateescape")
    reasons = [f"stole the secret of {name}" for name, token in world.tokens.items() if token in seen]
    reasons += ["the kernel let it"] if payload == b"claim" else []
    reasons += ["outlasted its limits"] if answer["seconds"] > case.overtime_s else []
    reasons += ["stopped the clock"] if case.name == "stop_the_clock" and answer["seconds"] < 0.05 else []
    reasons += ["sent more than its limit"] if answer["sent"] > case.output_kb << 10 else []
    reasons += ["gave a giant text"] if len(answer["detail"]) > 8192 else []
    reasons += ["made its failure ours"] if answer["outcome"] == "refused" else []
    reasons += ["gave more than one result"] if payload.count(b"FORGED") > 1 else []
    reasons += answer["damage"] + world.damage()
    world.restore()
    return {
        "escaped": reasons, "promised": case.promised, "outcome": answer["outcome"], "detail": answer["detail"][:120],
        "sandbox": answer["sandbox"], "seconds": round(answer["seconds"], 4),
    }  # fmt: skip


def ask(stream: Any, order: dict[str, Any]) -> dict[str, Any]:
    say(stream, order)
    return listen(stream, order["attack"])


def say(stream: Any, message: dict[str, Any]) -> None:
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


def listen(stream: Any, doing: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(stream.readline() or b'{"fault": "it is gone"}')
    if "unavailable" in answer:
        raise Unavailable(answer["unavailable"])
    if "fault" in answer:
        raise RuntimeError(f"the dispatcher failed at {doing}:\n{answer['fault']}")
    return answer


# -- the dispatcher's side -----------------------------------------------------------------------------------------


def serve(tier: str, connection: socket.socket, folder: Path, stdout: Path) -> NoReturn:
    """Run attacks as jobs, one after the other, as a worker would."""
    me = os.getpid()
    stream = connection.makefile("rwb")
    try:
        _serve(tier, stream, folder, stdout)
    except Unavailable as reason:
        say(stream, {"unavailable": str(reason)})
    except BaseException:  # noqa: BLE001 - the harness must learn why
        if os.getpid() == me:
            say(stream, {"fault": traceback.format_exc()})
    os._exit(0)


def _serve(tier: str, stream: Any, folder: Path, stdout: Path) -> None:
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    out = os.open(stdout, os.O_RDWR | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(out, standard)
    (folder / "stdin").write_bytes(b"for the worker only")
    os.dup2(os.open(folder / "stdin", os.O_RDONLY), 0)
    run = plain if tier == "none" else sandbox(tier, folder)
    say(stream, {"ready": True})
    while line := stream.readline():
        order = json.loads(line)
        if order["attack"] == "reap":
            reap()
            say(stream, {})
            continue
        case = ATTACKS[order["attack"]]
        before = memory_files(order, sealed=tier != "none")
        try:
            answer = one(case, order, run)
            given = os.pread(OUTPUT, 4096, 0)
            time.sleep(case.linger_s)
            answer["damage"] = damage_of(before)
            answer["damage"] += ["it changed its answer afterwards"] if os.pread(OUTPUT, 4096, 0) != given else []
        finally:
            for fd in (LEAKED, OUTPUT, INPUT):
                os.close(fd)
        say(stream, answer)


def reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            continue
    except ChildProcessError:
        return


def one(case: Attack, order: dict[str, Any], run: Any) -> dict[str, Any]:
    w = told(order)
    limits = Limits(case.wall_s, case.cpu_s, case.memory_mb << 20, case.output_kb << 10)
    result: SandboxResult = run(SandboxJob(lambda: loot(case.body(w)), limits, case.profile, (OUTPUT, INPUT)), w)
    return {
        "outcome": result.outcome, "detail": result.detail[:20000], "sandbox": result.sandbox,
        "seconds": result.seconds, "sent": len(result.payload),
        "payload": base64.b64encode(result.payload[: 1 << 20]).decode(),
    }  # fmt: skip


def told(order: dict[str, Any]) -> SimpleNamespace:
    """What an attack gets to know."""
    return SimpleNamespace(
        **order, leaked_fd=LEAKED, output_fd=OUTPUT, input_fd=INPUT, environment=initial_environment()
    )


def loot(got: Any) -> bytes:
    if got is True:
        return b"claim"
    return got.encode("utf-8", "replace") if isinstance(got, str) else got if isinstance(got, bytes) else b""


def sandbox(tier: str, folder: Path) -> Any:
    """The plugin, on the host that the tier stands for."""
    if tier in ("B", "C5", "C1"):
        forbid_namespaces()
    plugin = SandboxPlugin()
    host = prepare.probe(prepare.software())
    if tier in ("A1", "C5", "C1"):
        host = replace(host, landlock=min(host.landlock, int(tier[1])))
    expected = tier[0]
    if host.tier != expected:
        raise Unavailable(f"this host gives tier {host.tier or 'none'}: {host.why_no_namespaces or host.seccomp}")
    known = profiles.site.getsitepackages()
    profiles.site.getsitepackages = lambda: [*known, str(folder / "software")]
    plugin._prepared = os.getpid(), prepare.prepare(prepare.Demand(), host)
    return lambda job, w: plugin.sandbox_exec(job)


def forbid_namespaces() -> None:
    """As the default profile of common containers does: no clone with namespace flags, unshare, setns or mount."""
    load, equal, any_bit, give = 0x20, 0x15, 0x45, 0x06
    refuse, allow = (give, 0, 0, 0x00050001), (give, 0, 0, 0x7FFF0000)
    program = [(load, 0, 0, 0)]
    for number in (272, 308, 165, 166, 155, 428, 429, 430):
        program += [(equal, 0, 1, number), refuse]
    program += [(equal, 0, 1, 435), (give, 0, 0, 0x00050000 | 38)]
    program += [(equal, 0, 3, 56), (load, 0, 0, 16), (any_bit, 0, 1, 0x7E020080), refuse, allow]
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(buffer)), 16)
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    assert libc.syscall(ctypes.c_long(317), ctypes.c_long(1), ctypes.c_long(0), header) == 0


def plain(job: SandboxJob, w: SimpleNamespace) -> SandboxResult:
    """The layers off: fork, run, believe what comes, and kill the child alone. It stops waiting after a while."""
    began = time.monotonic()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.environ["TMPDIR"] = w.scratch
        try:
            data = job.entry()
        except BaseException as error:  # noqa: BLE001 - whatever an attack raises
            data = f"{type(error).__name__}: {error}".encode("utf-8", "replace")
        view = memoryview(data)
        while view:
            view = view[os.write(writer, view) :]
        os._exit(0)
    os.close(writer)
    data = bytearray()
    while (left := began + PATIENCE_S - time.monotonic()) > 0 and select.select([reader], [], [], left)[0]:
        chunk = os.read(reader, 1 << 20)
        if not chunk:
            break
        data += chunk
    os.close(reader)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    # It takes the child's word for everything, even for whether there was a sandbox.
    return SandboxResult("refused" if data[:1] == b"x" else "ok", bytes(data), seconds=time.monotonic() - began)


def memory_files(order: dict[str, Any], *, sealed: bool) -> dict[str, Any]:
    """Descriptors that the dispatcher has when it forks: a leaked one, and the memory that carries tensors."""
    leak = os.open(order["secret"], os.O_RDONLY)
    os.dup2(leak, LEAKED)
    os.close(leak)
    for name, place, content in (("output", OUTPUT, b"\0" * 4096), ("input", INPUT, b"input" + b"\0" * 4091)):
        fd = os.memfd_create(name, os.MFD_ALLOW_SEALING)
        os.write(fd, content)
        if sealed:
            fcntl.fcntl(fd, 1033, SEALS[name])
        os.dup2(fd, place)
        os.close(fd)
    return _memory()


def damage_of(before: dict[str, Any]) -> list[str]:
    return [name for name, value in _memory().items() if value != before[name]]


def _memory() -> dict[str, Any]:
    return {
        "the output changed its size": os.fstat(OUTPUT).st_size,
        "the inputs were changed": os.pread(INPUT, 4096, 0),
        "the dispatcher's modules were changed": getattr(os, "_patched_by_candidate", False),
    }


if __name__ == "__main__":
    main()
