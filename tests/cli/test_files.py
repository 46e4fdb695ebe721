"""What the system refuses to do with a file ends in one message, and what a terminal cannot show ends nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from errno import EACCES, ECONNREFUSED, EISDIR, ENOSPC
from pathlib import Path

import pytest

from tritonrl_core.cli import file_error
from tritonrl_core.cli.verify import read_candidate, record
from tritonrl_core.errors import InfraError, UsageError
from tritonrl_core.runs import plain
from tritonrl_core.testing import sample_score


@pytest.mark.parametrize("number", [EACCES, EISDIR])
def test_a_place_that_cannot_be_written_is_named(number: int) -> None:
    said = file_error(OSError(number, "not allowed", "runs/mine"))
    assert isinstance(said, UsageError)
    assert said.message == "runs/mine: not allowed"
    assert said.remedy


def test_a_full_disk_is_no_mistake_of_the_users_and_loses_nothing() -> None:
    said = file_error(OSError(ENOSPC, "No space left on device"))
    assert isinstance(said, InfraError)
    assert (said.message, said.exit_code) == ("no space left on the disk", 3)
    assert "--resume" in said.remedy


def test_an_error_that_is_about_no_file_is_left_alone() -> None:
    assert file_error(ConnectionRefusedError(ECONNREFUSED, "Connection refused")) is None


def test_a_candidate_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\xef\xbb\xbfimport torch\n")
    assert read_candidate(tmp_path / "a.py") == "import torch\n"


def test_json_has_no_infinity_so_text_stands_for_it() -> None:
    score = sample_score()
    score = replace(score, verdict=replace(score.verdict, worst_error=float("inf")))
    told = json.loads(json.dumps(plain(record(Path("a.py"), score)), allow_nan=False))
    assert float(told["worst_error"]) == float("inf")
