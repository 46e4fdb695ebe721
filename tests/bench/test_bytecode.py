"""Where bytecode is kept: Python's own place where it works, else the user's cache."""

import importlib.util
import os
import subprocess
import sys

import pytest

from tritonrl_core.bench.processes import bytecode

TAG = sys.implementation.cache_tag


@pytest.fixture
def torch(tmp_path, monkeypatch):
    """The folder of a package called torch that comes without bytecode, and a cache of the user's own."""
    package = tmp_path / "site" / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import torch.part")
    (package / "part.py").write_text("")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(bytecode.FLAG, raising=False)
    importlib.invalidate_caches()
    return package


def imported(package, **variables):
    """Import the package in a process of its own with `environment()`."""
    where = {**os.environ, **variables, "PYTHONPATH": str(package.parent), **bytecode.environment()}
    subprocess.run([sys.executable, "-c", "import torch"], env=where, check=True)


def test_a_folder_that_takes_bytecode_gets_it(torch):
    assert bytecode.environment() == {}
    imported(torch)
    assert (torch / "__pycache__" / f"part.{TAG}.pyc").exists()


def test_where_nobody_may_write_it_goes_to_the_users_cache(torch, tmp_path, monkeypatch):
    monkeypatch.setenv(bytecode.FLAG, "1")
    place = tmp_path / "cache" / "tritonrl" / "bytecode"
    assert bytecode.folder() == place
    imported(torch)
    assert not (torch / "__pycache__").exists()
    assert [path.name for path in place.rglob("part.*")] == [f"part.{TAG}.pyc"]


def test_bytecode_that_is_there_is_used(torch, monkeypatch):
    imported(torch)
    monkeypatch.setenv(bytecode.FLAG, "1")
    assert bytecode.folder() is None


def test_a_folder_that_cannot_be_written_is_done_without(torch, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert bytecode.folder() == tmp_path / "cache" / "tritonrl" / "bytecode"


def test_this_process_keeps_bytecode_as_its_workers_do(torch, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv(bytecode.FLAG, "1")
    bytecode.keep()
    assert sys.pycache_prefix == str(tmp_path / "cache" / "tritonrl" / "bytecode")
    assert not sys.dont_write_bytecode
