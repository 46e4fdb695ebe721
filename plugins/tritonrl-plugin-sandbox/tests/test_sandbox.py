"""One result a job, whatever the child does; nothing runs where a layer is missing."""

import pytest
from pydantic import ValidationError

from tritonrl_plugin_sandbox import SandboxPlugin

TIERS = ("A", "B", "C1")


@pytest.mark.parametrize("tier", TIERS)
def test_every_end_of_a_child_is_one_result(alone, tier):
    ends = alone(f"""
import time, signal
box = on({tier!r})
def spin():
    while True: pass
def endless_text():
    raise ValueError("x" * 10**7)
ends = dict(
    good=run(box, lambda: "hello"),
    raised=run(box, lambda: 1 / 0),
    exited=run(box, lambda: os._exit(3)),
    aborted=run(box, os.abort),
    slept=run(box, lambda: time.sleep(60), wall_s=1.0),
    spun=run(box, spin, cpu_s=1),
    hoarded=run(box, lambda: bytearray(2 << 30)),
    shouted=run(box, lambda: b"x" * (1 << 20)),
    told=run(box, endless_text),
)
answer({{name: [*plain(end), len(end.detail), end.seconds] for name, end in ends.items()}} | {{"children": children()}})
""")
    assert ends.pop("children") == []
    assert all(label.startswith(tier[0]) for *_, label, _, _ in ends.values())
    assert {name: end[0] for name, end in ends.items()} == {
        "good": "ok", "raised": "died", "exited": "died", "aborted": "died", "slept": "timeout", "spun": "timeout",
        "hoarded": "memory", "shouted": "output", "told": "died",
    }  # fmt: skip
    assert ends["good"][1] == "hello"
    assert "ZeroDivisionError" in ends["raised"][2]
    assert "code 3" in ends["exited"][2]
    assert "1 s of CPU time" in ends["spun"][2]
    assert "limit is 65536" in ends["shouted"][2]
    assert ends["told"][4] <= 4096
    assert 1.0 <= ends["slept"][5] < 50


def test_only_the_named_descriptors_reach_the_child(alone):
    found, inside = alone("""
kept = os.memfd_create("kept"); os.write(kept, b"tensors")
leaked = os.open("/etc/passwd", os.O_RDONLY)
def look():
    seen = []
    for fd in range(256):
        try: os.fstat(fd)
        except OSError: continue
        seen.append(fd)
    return str(seen), os.pread(kept, 7, 0)
result = run(on("A"), lambda: repr(look()), keep_fds=[kept])
answer([[0, 1, 2, kept, leaked], eval(result.payload)[0]])
""")
    inside = eval(inside)
    *standard, kept, leaked = found
    assert set(inside) >= {*standard, kept}
    assert leaked not in inside
    assert len(inside) == 5  # and the pipe of the result


def test_the_environment_is_clean(alone):
    inside, tmp = alone(
        """
inside = run(on("A"), lambda: repr(dict(os.environ)))
scratch = run(on("A"), lambda: repr(dict(os.environ)), profile="compile")
answer([inside.payload.decode(), scratch.payload.decode()])
""",
        SECRET_TOKEN="do not tell",
        TRITON_INTERPRET="1",
    )
    assert "do not tell" not in inside + tmp
    assert "'TRITON_INTERPRET': '1'" in inside
    assert "'TMPDIR': '/scratch'" in tmp


@pytest.mark.parametrize("tier", ["A", "B", "C1"])
def test_each_compile_finds_an_empty_scratch_folder_and_can_move_files_in_it(alone, tier):
    first, second, left = alone(f"""
import glob, tempfile
def use():
    here = os.environ["TMPDIR"]
    before = os.listdir(here)
    os.makedirs(here + "/a/b")
    with open(here + "/a/b/file", "w") as file: file.write("x")
    os.replace(here + "/a/b/file", here + "/file")
    return repr((before, open(here + "/file").read(), tempfile.gettempdir() == here))
box = on({tier!r})
results = [run(box, use, profile="compile") for _ in range(2)]
answer([*map(plain, results), glob.glob(tempfile.gettempdir() + "/tritonrl-sandbox-%d-*" % os.getpid())])
""")
    assert first[:2] == second[:2] == ["ok", "([], 'x', True)"], first
    assert left == []


def test_a_caller_with_threads_is_refused(alone):
    outcome, _, detail, label = alone("""
import threading
gate = threading.Event()
threading.Thread(target=gate.wait, daemon=True).start()
result = run(on("A"), lambda: "ran")
gate.set()
answer(plain(result))
""")
    assert (outcome, label) == ("refused", "none")
    assert "2 threads" in detail


def test_an_unknown_profile_is_refused(alone):
    assert alone('answer(plain(run(on("A"), lambda: "ran", profile="gpu")))')[0] == "refused"


@pytest.mark.parametrize(
    ("broken", "layer"),
    [
        ('program=struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000)', "seccomp: unshare can be called"),
        ('ruleset=landlock.ruleset({"/": landlock.READ}, HOST.landlock)', "Landlock: the root folder can be listed"),
        ("ruleset=os.open('/dev/null', os.O_RDONLY)", "landlock_restrict_self"),
        ('program=b"\\xff" * 64', "seccomp"),
        ("program=seccomp.assemble(profiles.with_network(profiles.profile('record')).rules, this_arch())",
         "seccomp: a socket can be made"),
        ("program=seccomp.assemble(profiles.profile('compile').rules, this_arch())", "a process can be forked"),
        ("identity=namespaces.Identity(1 << 40)", ""),
        ("view=view.View((), ('/no/such/folder',), (), ())", "mount"),
    ],
)  # fmt: skip
def test_a_layer_without_effect_is_found_out_and_nothing_runs(alone, broken, layer):
    outcome, payload, detail, label = alone(f"""
import struct
from tritonrl_plugin_sandbox import landlock, namespaces, profiles, seccomp, view, worker
from tritonrl_plugin_sandbox.tables import this_arch
box = on("A")._own().box("record")
broken = worker.Box(replace(box.confinement, {broken}), box.label)
ran = os.memfd_create("ran")
job = SandboxJob(lambda: os.write(ran, b"x") and b"ran", Limits(), "record", (ran,))
result = worker.run(job, broken)
answer([result.outcome, os.fstat(ran).st_size, result.detail, result.sandbox])
""")
    assert (outcome, payload, label) == ("refused", 0, "none"), detail
    assert layer in detail


def test_a_host_that_loses_its_namespaces_refuses(alone):
    """Probed as having them, then forbidden: no silent step down to another tier."""
    outcome, _, detail, _ = alone("""
import ctypes, struct
from tritonrl_plugin_sandbox import linux
box = on("A"); run(box, lambda: "ran")
load, equal, any_bit, give = 0x20, 0x15, 0x45, 6
code = [(load, 0, 0, 0), (equal, 0, 3, 56), (load, 0, 0, 16), (any_bit, 0, 1, 0x7E020080)]
code += [(give, 0, 0, 0x50001), (give, 0, 0, 0x7FFF0000)]
code = b"".join(struct.pack("=HBBI", *each) for each in code)
linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
from tritonrl_plugin_sandbox import seccomp
seccomp.load(code)
answer(plain(run(box, lambda: "ran")))
""")
    assert outcome == "refused"
    assert "clone" in detail


def test_options_lower_the_limits_and_never_raise_them(alone):
    slept, hoarded, shouted, spun, cut = alone("""
import time
def spin():
    while True: pass
box = on("A", time_s=1.0, cpu_s=1, memory_mb=64, output_mb=1)
answer([
    plain(run(box, lambda: time.sleep(30))),
    plain(run(box, lambda: bytearray(256 << 20))),
    plain(run(box, lambda: b"x" * (2 << 20), output_bytes=8 << 20)),
    plain(run(on("A", cpu_s=1), spin)),
    plain(run(on("A", time_s=3600), lambda: time.sleep(30), wall_s=1.0)),
])
""")
    ends = [end[0] for end in (slept, hoarded, shouted, spun, cut)]
    assert ends == ["timeout", "memory", "output", "timeout", "timeout"]
    assert "1048576" in shouted[2]


@pytest.mark.parametrize("layer", ["no_file_access", "no_network", "syscall_filter"])
def test_switching_a_layer_off_is_told_in_every_result(alone, layer):
    outcome, payload, detail, label = alone(f"""
import socket
attempts = dict(no_file_access=lambda: open("/etc/passwd").read(4), no_network=lambda: socket.socket().fileno() > 2,
                syscall_filter=lambda: os.getpgid(0) >= 0)
answer(plain(run(on("A", {layer}=False), attempts[{layer!r}])))
""")
    assert outcome == "ok", detail
    assert payload
    assert label.startswith("weakened (")


def test_without_namespaces_the_syscall_filter_stays_on(alone):
    outcome, _, detail, _ = alone('answer(plain(run(on("B", syscall_filter=False), lambda: "ran")))')
    assert outcome == "refused"
    assert "could not be killed" in detail


def test_a_demanded_tier_goes_with_all_layers_only():
    with pytest.raises(ValidationError, match="require: B cannot be kept with no_network switched off"):
        SandboxPlugin.Options(require="B", no_network=False)
    for wrong in ({"require": "D"}, {"time_s": 0}, {"memory_mb": -1}):
        with pytest.raises(ValidationError):
            SandboxPlugin.Options(**wrong)


def test_the_plugin_is_used_alone_from_python(alone):
    outcome, payload, _, label = alone("""
plugin = SandboxPlugin()
answer(plain(plugin.sandbox_exec(SandboxJob(lambda: b"done", Limits(), "interpret"))))
""")
    assert (outcome, payload) == ("ok", "done")
    assert label[0] in "ABC"
