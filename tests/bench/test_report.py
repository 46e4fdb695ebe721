"""What a child claims is checked; what is wrong with it never gets further than here."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonrl_core.bench.processes.report import TEXT, UnreadableError, clean, read

LAUNCH = {
    "kernel": 0, "line": 7, "grid": [1, 2, 3], "bytes_read": 1, "bytes_written": 2, "unique_read": 3,
    "unique_written": 4, "flops": {"fp32": 1.5}, "stray_reads": 0, "sectors": 5,
    "rounds": 6, "fresh": 7, "elements": 8, "tile_work": 9,
}  # fmt: skip
RECORD = {"launches": [LAUNCH], "libdevice": []}


def text(**changes):
    return json.dumps({**RECORD, **changes}).encode()


def test_a_record_of_our_own_is_read():
    record = read(text())
    assert record.status is None
    assert record.launches[0]["flops"] == {"fp32": 1.5}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "PASSED"}, {"status": "INFRA"}, {"status": "CHEATED"}, {"status": "WRONG"}, {"status": 3},
        {"reason": 3}, {"launches": [{**LAUNCH, "flops": {"fp32": float("inf")}}]},
        {"launches": [{**LAUNCH, "flops": {"fp32": -1}}]}, {"launches": [{**LAUNCH, "grid": [1, 2]}]},
        {"launches": [{**LAUNCH, "grid": [1, 2, -1]}]}, {"launches": [{**LAUNCH, "kernel": -1}]},
        {"launches": [{**LAUNCH, "bytes_read": 1.5}]}, {"launches": [{**LAUNCH, "bytes_read": True}]},
        {"launches": [{**LAUNCH, "bytes_read": 1 << 63}]}, {"launches": [{}]}, {"launches": [3]}, {"launches": None},
        {"libdevice": [3]}, {"libdevice": None},
    ],
)  # fmt: skip
def test_a_record_that_is_not_of_our_own_is_refused(changes):
    with pytest.raises(UnreadableError, match="no record"):
        read(text(**changes))


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(payload):
    with pytest.raises(UnreadableError):
        read(payload)


@settings(max_examples=60, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) |
                    st.dictionaries(st.sampled_from([*RECORD, "status", "stage"]), x)))  # fmt: skip
def test_any_json_is_read_or_refused(value):
    try:
        record = read(json.dumps(value).encode())
    except UnreadableError:
        return
    assert record.status is None or record.status.value not in ("PASSED", "INFRA")


def test_deep_nesting_is_refused():
    with pytest.raises(UnreadableError):
        read(b"[" * 200_000)


@given(st.text())
def test_texts_become_one_printable_line(value):
    line = clean(value * 20)
    assert len(line) <= TEXT
    assert line.isprintable()
