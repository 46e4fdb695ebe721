"""The timeline of a batch: whose every job was, and that watching ends with the context."""

from timeline import Span, Watch, watched

from tritonrl_core.bench.early import Early
from tritonrl_core.bench.processes.forkserver import ForkServer
from tritonrl_core.verifier import Verifier


def test_what_is_begun_early_belongs_to_the_candidate_that_wished_for_it() -> None:
    before = Verifier._judge, ForkServer.run, Early.wish
    early = Early(2)
    with watched() as watch:
        watch._mine.candidate = 7
        wish = early.wish(lambda: watch.add("compile", 0.0, 0.0))
        early.take(wish)
        watch.add("record", 0.0, 0.0)
    early.close()
    assert [(span.candidate, span.what, span.early) for span in watch.spans] == [
        (7, "compile", True),
        (7, "record", False),
    ]
    assert (Verifier._judge, ForkServer.run, Early.wish) == before


def test_a_timeline_says_who_worked_who_waited_and_what_was_last() -> None:
    watch = Watch()
    watch.judged = {0: ("quick PASSED", 0.0, 0.25), 1: ("slow PASSED", 0.25, 1.0)}
    watch.spans = [Span(0, "compile", 0.0, 0.25, 0.25), Span(1, "compile", 0.25, 1.0, 0.5, early=True)]
    lines = watch.told()
    assert lines[0] == "a batch of 2 in 1.00 s"
    words = "compile 2 jobs, seconds of workers 0.75 (turn 0.00), longest 0.50; waited for one 0.25; begun early 1"
    assert " ".join(lines[1].split()) == words
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("     ")}
    assert rows["0.25"] == ["1.0", "+", "0.0", "1.0", "1"]
    assert rows["0.50"] == ["0.0", "+", "1.0", "0.0", "1"]
    assert rows["1.00"] == ["1.0", "+", "0.0", "0.0", "2"]
    last = lines.index("  slow PASSED: taken up at 0.25, done at 1.00")
    assert lines[last + 1].split() == ["compile", "0.25", "0.50", "1.00", "early"]
    assert lines[last + 2].startswith("  quick PASSED")
