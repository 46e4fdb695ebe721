"""Tables of results: what is between the marks is replaced, all else on the page stays, and provenance is shown."""

import dataclasses

import pytest
import tables

MACHINE = tables.Machine("2026-01-02", "A GPU", "1.2", 16, "3.12.1", "2.11", "3.6")
TABLE = tables.Table(
    "speed", ["what", "per second"], [["all", 12.345], ["none|some", None]], "python b.py", machine=MACHINE
)
PAGE = "# Page\nwords\n<!-- speed -->\nold\n<!-- end of speed -->\nmore words\n"


def test_a_table_replaces_what_is_between_its_marks_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    tables.write(TABLE, page)
    text = page.read_text()
    assert text.startswith("# Page\nwords\n<!-- speed -->\n| what | per second |")
    assert text.endswith("<!-- end of speed -->\nmore words\n")
    assert "old" not in text
    tables.write(TABLE, page)
    assert page.read_text() == text


def test_a_table_says_when_where_and_how():
    assert "| all | 12.3 |" in TABLE.markdown
    assert "| none\\|some | – |" in TABLE.markdown
    assert (
        "2026-01-02, A GPU, driver 1.2, 16 cores, Python 3.12.1, torch 2.11, triton 3.6: `python b.py`."
        in TABLE.markdown
    )


def test_a_page_without_the_marks_is_named_with_the_remedy(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    with pytest.raises(SystemExit, match="end of speed"):
        tables.write(TABLE, page)


def test_a_result_is_kept_as_it_was(tmp_path):
    assert tables.load(tables.save(TABLE, tmp_path)) == tables.Table(
        "speed", ["what", "per second"], [["all", 12.345], ["none|some", None]], "python b.py", [], MACHINE
    )


def test_this_machine_is_described_without_loading_torch():
    machine = tables.this_machine()
    assert machine.torch
    assert machine.cores >= 1


def test_results_from_elsewhere_are_kept_where_the_page_has_a_place_for_them(tmp_path):
    page, theirs, kept = tmp_path / "page.md", tmp_path / "theirs", tmp_path / "kept"
    page.write_text(PAGE)
    tables.save(TABLE, theirs / "deeper")
    tables.save(tables.Table("homeless", ["a"], [[1]], "python h.py", machine=MACHINE), theirs)
    (theirs / "other.json").write_text('{"what": "no result"}')
    assert tables.keep(tables.found_in([theirs]), page, kept) == ["homeless"]
    assert tables.differing(kept, page) == ["speed"]
    assert tables.write_all(kept, page) == []  # and no line about a piece: none makes this table
    assert "| all | 12.3 |" in page.read_text()
    assert tables.differing(kept, page) == []


def test_an_older_result_does_not_replace_a_later_one(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    tables.save(TABLE, tmp_path)
    older = dataclasses.replace(TABLE, machine=dataclasses.replace(MACHINE, date="2026-01-01"), rows=[["all", 1]])
    assert tables.keep([older], page, tmp_path) == ["speed"]
    assert tables.keep([dataclasses.replace(older, machine=MACHINE)], page, tmp_path) == []


def test_an_empty_result_does_not_replace_one_that_has_figures(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert tables.keep([dataclasses.replace(TABLE, rows=[])], page, tmp_path) == ["speed"]


def test_a_result_that_the_page_has_lost_its_place_for_is_named(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    tables.save(TABLE, tmp_path)
    assert tables.write_all(tmp_path, page) == ["speed"]


def test_the_page_shows_the_results_that_are_kept():
    """`python benchmarks/tables.py` writes them; words about a table belong outside its marks."""
    assert tables.differing() == []


def test_a_table_names_the_piece_that_makes_it_and_one_that_is_not_measured_yet_too(tmp_path):
    page = tmp_path / "page.md"
    words = {"throughput": "old", "fault-training": "Not measured yet.", "timing-load": "by hand"}
    page.write_text("".join(f"<!-- {name} -->\n{said}\n<!-- end of {name} -->\n" for name, said in words.items()))
    tables.save(dataclasses.replace(TABLE, name="throughput"), tmp_path)
    tables.write_all(tmp_path, page)
    assert '`python b.py`.\nAgain by `make bench-gpu PIECES="throughput"`.\n<!-- end' in page.read_text()
    assert 'Not measured yet: `make bench-gpu PIECES="faults: stretch"`.\n<!-- end' in page.read_text()
    assert "<!-- timing-load -->\nby hand\n<!-- end" in page.read_text(), "what was measured and not kept stays"
