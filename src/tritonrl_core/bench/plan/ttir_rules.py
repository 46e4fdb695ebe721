"""What a kernel's text may not hold, whoever wrote it: operations that are none of Triton's language, and assembly that
does more than arithmetic.

A kernel that Triton compiled from Python keeps these rules by itself, but for inline assembly; a forged text need not.
Both could keep results from one launch to the next, or read clocks, where nobody looks: in scratch memory, in shared
memory, in variables of the module. Reads text only, in the words that MLIR's own reader would make of it; that the text
is what Triton prints, and no more, the compiler sees to. What a kernel's flow is, is `ttir`'s.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

_DIALECTS = frozenset(["tt", "arith", "math", "scf", "cf", "ub", "index", "loc", "builtin"])
_ALSO = frozenset(["ttg.barrier", "gpu.barrier", "llvm.intr.assume", "ttg.convert_layout"])
"""Operations of other dialects that Triton's front end writes."""

_ASSEMBLY = "elementwise_inline_asm"

_TOKEN = re.compile(
    r'"(?P<text>(?:[^"\\\n]|\\.)*)"|(?P<comment>//[^\n]*)|(?P<alias>^[ \t]*[#!][\w$.-]+(?=\s*=))'
    r'|(?P<name>@"[^"\\\n]+"|[%@#!^][\w$.-]*)'
    r"|(?P<number>\d[\w.+-]*)|(?P<word>[A-Za-z_][\w.]*)|(?P<sign>\S)",
    re.MULTILINE,
)
"""A text in quotation marks, a comment, the definition of an alias, a name, a number, a word, or a sign by itself."""

_WORDS = re.compile(r'[%@#!^][\w$.-]*|\d[\w.+-]*|"?([A-Za-z_][\w.]*)"?')
"""As `_TOKEN`, but for what a plain text does not hold; only words are captured, also those in quotation marks."""

_QUOTED_WORD = re.compile(r'"[A-Za-z_][\w.]*"')
_COMMENT_OR_ALIAS = re.compile(r"//|^[ \t]*[#!]", re.MULTILINE)

_ESCAPED_WORD = re.compile(r"\\(?:2[Ee]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9Aa])")
"""A letter, digit, dot or underscore that is written by its number: no printer does."""

_INSTRUCTIONS = frozenset("""
    mov cvt add sub mul mad fma min max neg abs ex2 lg2 rcp sqrt rsqrt sin cos tanh and or xor not shl shr shf prmt lop3
    bfe bfi bfind popc clz brev fns selp set setp slct sad dp4a dp2a div rem copysign testp cnot mul24 mad24 addc subc
    madc szext bmsk shfl vote match activemask redux mma griddepcontrol
""".split())  # noqa: SIM905 - words
"""PTX that works on registers."""

_PLACES = re.compile(
    r"%(?:n?tid|n?ctaid|laneid|n?warpid|n?smid|lanemask_[lg]?[eqt]{1,2}|n?clusterid|is_explicit_cluster"
    r"|cluster_n?cta(?:id|rank))"
)
"""Special registers that say where a thread runs. All others tell one launch from the next: clocks, the number of the
grid, whether a graph runs, counters of events."""

_REGISTER = re.compile(r"%[A-Za-z_]\w*")
_STATEMENT = re.compile(r"(?:@!?%?\w+\s+)?(\.?[a-z][\w]*)\b")
_VECTOR = re.compile(r"\{[\w%$,\s]*\}")
"""Several registers as one operand: no statement, because it holds no semicolon."""


@lru_cache(maxsize=1024)
def objection(ttir: str) -> str:
    """What this text holds that it may not, in words; "" where it keeps the rules. The same text comes often."""
    return "" if _is_plain(ttir) else _first_objection(ttir)


def _is_plain(ttir: str) -> bool:
    """Whether the text keeps the rules for certain, at an eighth of the cost: nearly all that Triton prints does.

    Without comments and aliases, and with quotation marks around single words only, a text is made of names, numbers,
    words and signs, and only words with a dot can be wrong; those inside of locations are counted here as well.
    """
    if _COMMENT_OR_ALIAS.search(ttir) or ttir.count('"') != 2 * len(_QUOTED_WORD.findall(ttir)):
        return False
    return all(_is_known(word) for word in set(_WORDS.findall(ttir)) if "." in word)


def _is_known(operation: str) -> bool:
    known = operation.partition(".")[0] in _DIALECTS or operation in _ALSO
    return known and not operation.endswith(_ASSEMBLY)


def _first_objection(ttir: str) -> str:
    """The first token that breaks a rule, in words; "" where none does."""
    tokens = _tokens(ttir)
    window = deque(islice(tokens, 3))
    while window:
        reason = _objection(*window.popleft(), following=list(window))
        if reason:
            return reason
        window.extend(islice(tokens, 1))
    return ""


Token = tuple[str, str]


def _tokens(ttir: str) -> Iterator[Token]:
    """Kind and text of all that has a meaning, without locations (`loc(...)`)."""
    depth, last = 0, ""
    for match in _TOKEN.finditer(ttir):
        kind = match.lastgroup or ""
        text = match[kind]
        if kind == "comment" and '"' not in text:
            continue
        if depth or (last == "loc" and text == "("):
            # Inside of a location, brackets in texts do not count: a text is a token of its own.
            depth += {"(": 1, ")": -1}.get(text, 0) if kind == "sign" else 0
        elif text != "loc":
            yield kind, text
        last = text if kind == "word" else ""


def _objection(kind: str, text: str, following: Sequence[Token]) -> str:
    """What is wrong with one token, before the two that follow it."""
    if kind == "comment" or (kind == "sign" and text == '"'):
        return "quotation marks that Triton would not write"
    if kind == "alias" and not text.strip().startswith("#loc"):
        return f"an alias ({text.strip()[:40]}), which Triton would not write"
    if kind == "text" and _ESCAPED_WORD.search(text):
        return "a name that is written in numbers"
    is_operation = "." in text and (kind == "word" or (kind == "text" and following[:1] == [("sign", "(")]))
    if not is_operation:
        return ""
    if text.endswith(_ASSEMBLY):
        if kind != "word" or [part for part, _ in following] != ["text", "sign"] or following[1][1] != "{":
            return "inline assembly that is not written as Triton writes it"
        return assembly_objection(_unescaped(following[0][1]))
    return "" if _is_known(text) else f"operation {text[:60]}"


def assembly_objection(text: str) -> str:
    """What some inline PTX does beyond arithmetic on registers."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    depth = 0
    for brace in re.findall(r"[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            break
    if depth:
        return "inline assembly that leaves its block"
    statements = [part.strip() for part in re.split(r"[;{}]", _VECTOR.sub(" _ ", text)) if part.strip()]
    own = {name for part in statements if part.startswith(".reg") for name in _declared(part)}
    for name in _REGISTER.findall(text):
        if name not in own and not _PLACES.fullmatch(name):
            return f"inline assembly that reads {name}"
    for statement in statements:
        match = _STATEMENT.match(statement)
        word = match[1] if match else statement[:20]
        if word not in _INSTRUCTIONS and word != ".reg":
            return f"inline assembly with {word}: only arithmetic on registers is allowed"
    return ""


def _declared(statement: str) -> Iterator[str]:
    """Names of registers that a `.reg` declares: `%a`, or `%r<3>` for three of them."""
    for name, count in re.findall(r"(%[A-Za-z_]\w*)(?:<(\d{1,3})>)?", statement):
        yield name
        yield from (f"{name}{number}" for number in range(int(count or 0)))


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), text).replace('\\"', '"')
