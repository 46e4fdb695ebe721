"""Tiers, and what is said about what is missing."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tritonrl_core.errors

from tritonrl_plugin_sandbox import SandboxPlugin, host_report, prepare
from tritonrl_plugin_sandbox.host import Host, missing
from tritonrl_plugin_sandbox.namespaces import ISOLATED, Identity, describe
from tritonrl_plugin_sandbox.report import HostReport
from tritonrl_plugin_sandbox.view import view_of

README = Path(__file__).parent.parent / "README.md"


def host(**found):
    usual = {"machine": "x86_64", "kernel": "6.12", "table": True, "landlock": 6, "seccomp": "", "namespaces": ISOLATED,
             "why_no_namespaces": "", "identity": None}  # fmt: skip
    return Host(**{**usual, **found})


@pytest.mark.parametrize(
    ("found", "tier"),
    [
        ({}, "A"),
        ({"landlock": 1}, "A"),
        ({"namespaces": 0}, "B"),
        ({"namespaces": 0, "landlock": 5}, "C"),
        ({"landlock": 0}, ""),
        ({"seccomp": "Invalid argument"}, ""),
        ({"table": False, "machine": "aarch64"}, ""),
    ],
)
def test_the_tier_follows_from_what_is_there(found, tier):
    assert host(**found).tier == tier


@pytest.mark.parametrize(
    ("found", "require", "words"),
    [
        ({"landlock": 0, "kernel": "5.10"}, "auto", ["Landlock", "5.10", "5.13", "lsm="]),
        ({"seccomp": "Invalid argument"}, "C", ["syscall filter", "Invalid argument", "CONFIG_SECCOMP_FILTER"]),
        ({"table": False, "machine": "aarch64"}, "auto", ["aarch64", "x86-64"]),
        ({"namespaces": 0, "why_no_namespaces": "clone: Operation not permitted"}, "A", ["namespaces", "SYS_ADMIN"]),
        ({"namespaces": 0, "landlock": 4}, "B", ["Landlock 6", "version 4", "6.12"]),
    ],
)
def test_below_the_demand_it_is_said_what_is_missing_and_how_to_get_it(found, require, words):
    with pytest.raises(prepare.Unfit) as refusal:
        prepare.check(host(**found), prepare.Demand(require))
    for word in words:
        assert word in str(refusal.value)
    assert "Nothing is run" in str(refusal.value)


@pytest.mark.parametrize(
    ("found", "require"), [({}, "A"), ({}, "auto"), ({"namespaces": 0}, "B"), ({"landlock": 1}, "C")]
)
def test_a_demand_that_is_met_is_met(found, require):
    prepare.check(host(**found), prepare.Demand(require))
    assert missing(host(**found), "C" if require == "auto" else require) == []


def test_a_refusing_host_runs_nothing(alone):
    outcome, payload, detail, label = alone("""
from tritonrl_plugin_sandbox import prepare
plugin = SandboxPlugin(SandboxPlugin.Options(require="auto"))
plugin._prepared = os.getpid(), prepare.prepare(prepare.Demand(), replace(HOST, landlock=0))
answer(plain(run(plugin, lambda: "ran")))
""")
    assert (outcome, payload, label) == ("refused", "", "none")
    assert "Landlock" in detail


def test_the_report_runs_the_canaries_from_any_process():
    report = host_report()
    assert isinstance(report, HostReport)
    assert {layer.name for layer in report.layers} == {"Landlock", "syscall filter", "namespaces", "own user id"}
    if report.tier:
        assert len(report.canaries) >= 9
        assert report.holds, [canary for canary in report.canaries if not canary.held]
    rows = SandboxPlugin.doctor()
    assert rows[0][:2] == ("sandbox tier", report.tier or "none")


def test_a_canary_that_gets_through_is_seen(alone):
    """The canaries can fail: with the file rules opened, those that read and list do."""
    held = alone("""
from tritonrl_plugin_sandbox import prepare, report
from tritonrl_plugin_sandbox.prepare import Demand
prepared = prepare.prepare(Demand(off=frozenset({"no_file_access", "no_network"})), HOST)
answer({canary.name: canary.held for canary in report._canaries(prepared)})
""")
    assert {name for name, safe in held.items() if not safe} == {"read a file", "list the root folder", "open a socket"}


def test_an_identity_keeps_the_right_to_read_only_where_it_must():
    assert Identity(1).capabilities(own_root=False) == 0
    assert Identity(1, far=True).capabilities(own_root=True) == 0
    assert Identity(1, far=True).capabilities(own_root=False) == 1 << 2
    assert Identity(1, shut=True).capabilities(own_root=True) == 1 << 2


def test_a_view_shows_folders_under_the_names_that_lead_to_them(tmp_path):
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "real" / "inner" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "far").symlink_to(tmp_path / "link" / "inner")
    view = view_of([str(tmp_path / "far"), str(tmp_path / "link" / "inner" / "file"), str(tmp_path / "none")])
    assert view.folders == (str(tmp_path / "real" / "inner"),)
    assert view.files == ()
    assert dict(view.links) == {str(tmp_path / "link"): "real", str(tmp_path / "far"): str(tmp_path / "link" / "inner")}
    assert list(view.ways) == sorted(view.ways)
    assert str(tmp_path) in view.ways


def test_namespaces_are_named():
    assert describe(ISOLATED) == "user+pid+net+ipc+mount+uts"


def test_the_readme_lists_every_option_with_its_default():
    listed = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", README.read_text(encoding="utf-8"), flags=re.M))
    fields = SandboxPlugin.Options.model_fields
    defaults = {name: json.dumps(field.default).strip('"') for name, field in fields.items()}
    assert listed == defaults


def test_packages_installed_elsewhere_are_found_with_what_lies_beside_them(alone, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    roots = alone(
        """
from tritonrl_plugin_sandbox import profiles
answer({name: profiles.roots(name) for name in profiles.CONFINED})
""",
        ELSEWHERE=str(tmp_path),
    )
    assert str(tmp_path) in roots["record"]
    assert roots["record"] == roots["interpret"]
    assert str(tmp_path) not in roots["compile"]
    assert not {"/", "/usr", "/home", "/tmp", "/usr/lib"} & {root for found in roots.values() for root in found}


def test_no_profile_can_read_the_known_solutions(alone):
    rules = alone("""
from tritonrl_plugin_sandbox import profiles
answer({name: profiles.file_rules(name) for name in profiles.CONFINED})
""")
    core = Path(tritonrl_core.errors.__file__).resolve().parent
    for name, rights in rules.items():
        reading = [Path(path) for path, mask in rights.items() if mask & 4]
        for secret in (core / "tasks" / "golden", core / "tasks" / "suite", core / "presets"):
            assert not [path for path in reading if path == secret or path in secret.parents], (name, secret)
        assert [path for path in reading if path in (core / "bench" / "record" / "recorder.py").parents], name


def test_what_is_found_of_the_filter_is_found_each_time():
    # In a process of its own: a probe clones, which is for processes of one thread (`linux.clone`), and ours has many.
    program = "from tritonrl_plugin_sandbox.host import probe; print(*{probe().seccomp for _ in range(40)}, sep='\\n')"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert len(found.stdout.splitlines()) == 1
