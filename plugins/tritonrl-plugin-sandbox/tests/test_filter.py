"""The syscall filter, executed instruction by instruction: what it lets through, by number and by argument."""

import struct

import pytest

from tritonrl_plugin_sandbox import linux, profiles, seccomp
from tritonrl_plugin_sandbox.tables import AARCH64, ARCHES, X86_64

KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
EPERM, ENOSYS, ENOTTY = 1, 38, 25
X32 = 0x40000000


def verdict(program, number, *arguments, arch=X86_64.audit):
    """Run a classic BPF program on one syscall, as the kernel does."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *[value & (1 << 64) - 1 for value in (*arguments, *[0] * 6)][:6])
    code = list(struct.iter_unpack("=HBBI", program))
    place = loaded = 0
    while True:
        operation, yes, no, value = code[place]
        place += 1
        if operation == 0x20:
            loaded = struct.unpack_from("=I", data, value)[0]
        elif operation == 0x15:
            place += yes if loaded == value else no
        elif operation == 0x35:
            place += yes if loaded >= value else no
        elif operation == 0x45:
            place += yes if loaded & value else no
        elif operation == 0x06:
            return value
        else:
            raise AssertionError(f"no such instruction: {operation:#x}")


def program(profile="record", arch=X86_64, pid=4242):
    return seccomp.for_process(seccomp.assemble(profiles.profile(profile).rules, arch), pid)


def call(name, *arguments, profile="record", arch=X86_64):
    return verdict(program(profile, arch), arch.numbers[name], *arguments, arch=arch.audit)


@pytest.mark.parametrize("profile", profiles.CONFINED)
def test_what_is_not_listed_is_refused(profile):
    rules = profiles.profile(profile).rules
    named = {*rules.allowed, *rules.checked, *rules.failing}
    listed = {X86_64.numbers[name] for name in named & X86_64.numbers.keys()}
    code = program(profile)
    for number in set(range(600)) - listed:
        assert verdict(code, number) == ERRNO | EPERM, number
    for name in rules.allowed & X86_64.numbers.keys():
        assert verdict(code, X86_64.numbers[name]) == ALLOW, name


def test_the_python_profiles_list_few_calls():
    assert len(profiles.profile("record").rules.allowed) < 75
    assert profiles.profile("record").rules == profiles.profile("interpret").rules


@pytest.mark.parametrize("number", [0, 1, 59, 231])
def test_foreign_architectures_are_killed(number):
    assert verdict(program(), number, arch=0x40000003) == KILL
    assert verdict(program(), number, arch=AARCH64.audit) == KILL
    assert verdict(program(), X32 + number) == KILL
    assert verdict(program(), 0xFFFFFFFF) == KILL


THREAD = 0x3D0F00


@pytest.mark.parametrize(
    ("profile", "flags", "expected"),
    [
        ("record", THREAD, ALLOW),
        ("record", 17, ERRNO | EPERM),
        ("record", 0x4111, ERRNO | EPERM),
        ("record", THREAD | linux.CLONE_NEWUSER, ERRNO | EPERM),
        ("compile", 17, ALLOW),
        ("compile", 0x4111, ALLOW),
        ("compile", 17 | linux.CLONE_NEWUSER, ERRNO | EPERM),
        ("compile", 17 | linux.CLONE_NEWPID, ERRNO | EPERM),
        ("compile", 17 | linux.CLONE_PARENT, ERRNO | EPERM),
        ("record", (1 << 32) | 17, ERRNO | EPERM),
    ],
)
def test_clone_makes_threads_and_where_allowed_processes(profile, flags, expected):
    assert call("clone", flags, profile=profile) == expected


@pytest.mark.parametrize("profile", profiles.CONFINED)
def test_clone3_falls_back(profile):
    assert call("clone3", profile=profile) == ERRNO | ENOSYS


@pytest.mark.parametrize("flags", [0o1, 0o2, 0o100, 0o1000, 0o1101, 0o2000, 0o20000, 0o10000000, 0o20200002])
def test_files_open_for_reading_only(flags):
    assert call("open", 0, flags) == call("openat", -100, 0, flags) == ERRNO | EPERM
    assert call("openat", -100, 0, flags, profile="compile") == ALLOW


def test_files_open_for_reading():
    for flags in (0, 0o2000000, 0o2200000, 0o400000, 0o4000):
        assert call("open", 0, flags) == call("openat", -100, 0, flags) == ALLOW


@pytest.mark.parametrize("profile", profiles.CONFINED)
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("tgkill", (4242, 4243, 6), ALLOW),
        ("tgkill", (4243, 4243, 6), ERRNO | EPERM),
        ("prlimit64", (0, 7, 0, 99), ALLOW),
        ("prlimit64", (0, 7, 1, 0), ERRNO | EPERM),
        ("prlimit64", (0, 7, 1 << 32, 0), ERRNO | EPERM),
        ("prlimit64", (4243, 7, 0, 99), ERRNO | EPERM),
        ("sched_getaffinity", (0,), ALLOW),
        ("sched_getaffinity", (4242,), ALLOW),
        ("sched_getaffinity", (1,), ERRNO | EPERM),
        ("fcntl", (3, 1030), ALLOW),
        ("fcntl", (3, 8, 4243), ERRNO | EPERM),
        ("fcntl", (3, 10, 12), ERRNO | EPERM),
        ("fcntl", (3, 15, 0), ERRNO | EPERM),
        ("fcntl", (3, 1031, 1 << 20), ERRNO | EPERM),
        ("fcntl", (3, 1033, 0), ERRNO | EPERM),
        ("ioctl", (1, 0x5401), ALLOW),
        ("ioctl", (1, 0x5412), ERRNO | ENOTTY),
        ("ioctl", (1, 0x1_0000_5412), ERRNO | ENOTTY),
        ("prctl", (15,), ALLOW),
        ("prctl", (22, 2), ERRNO | EPERM),
        ("prctl", (4, 1), ERRNO | EPERM),
        ("prctl", (59, 1), ERRNO | EPERM),
    ],
)
def test_arguments_are_looked_at(profile, name, arguments, expected):
    assert call(name, *arguments, profile=profile) == expected


@pytest.mark.parametrize("name", ["setsid", "setpgid", "socket", "kill", "mount", "unshare", "setns", "seccomp"])
@pytest.mark.parametrize("profile", profiles.CONFINED)
def test_no_profile_has_the_calls_that_would_undo_it(profile, name):
    numbers = {**X86_64.numbers, "setsid": 112, "setpgid": 109}
    assert verdict(program(profile), numbers[name]) == ERRNO | EPERM


def test_the_network_option_adds_sockets_and_nothing_else():
    plain = profiles.profile("record").rules
    opened = profiles.with_network(profiles.profile("record")).rules
    added = opened.allowed - plain.allowed
    assert "socket" in added
    assert not added & {"execve", "fork", "kill", "ptrace", "unlink"}
    assert opened.checked == plain.checked


@pytest.mark.parametrize("profile", profiles.CONFINED)
def test_the_other_architecture_has_a_program_too_but_is_off(profile):
    assert not AARCH64.tested
    assert X86_64.tested
    assert call("openat", -100, 0, 0, profile="record", arch=AARCH64) == ALLOW
    assert call("openat", -100, 0, 0o1, profile="record", arch=AARCH64) == ERRNO | EPERM
    assert call("clone", 17, profile="record", arch=AARCH64) == ERRNO | EPERM
    assert call("clone", THREAD, profile=profile, arch=AARCH64) == ALLOW
    assert verdict(program(profile, AARCH64), 63, arch=X86_64.audit) == KILL
    for missing in ("open", "fork", "poll"):
        assert missing not in AARCH64.numbers


def test_the_tables_name_no_number_twice():
    for arch in ARCHES.values():
        assert len(set(arch.numbers.values())) == len(arch.numbers)


def test_the_process_id_is_put_in():
    raw = seccomp.assemble(profiles.profile("record").rules, X86_64)
    marker = struct.pack("=I", seccomp.OWN_PID)
    assert raw.count(marker) == 2
    assert marker not in seccomp.for_process(raw, 4242)
    assert len(raw) % 8 == 0


def test_checks_too_long_for_a_jump_are_an_error():
    rules = seccomp.Rules(frozenset(), {"read": (seccomp.Check(0, one_of=tuple(range(300))),)})
    with pytest.raises(ValueError, match="too long"):
        seccomp.assemble(rules, X86_64)
