"""What a kernel's text may not hold, whoever wrote it: operations that are none of Triton's language, and assembly that
does more than arithmetic.

A kernel that Triton compiled from Python keeps these rules by itself, but for inline assembly; a forged text need not.
Both could keep results from one launch to the next, or read clocks, where nobody looks: in scratch memory, in shared
memory, in variables of the module. Reads text only. What a kernel's flow is, is `ttir`'s.
"""

from __future__ import annotations

import re

_DIALECTS = frozenset(["tt", "arith", "math", "scf", "cf", "ub", "index", "loc", "builtin"])
_ALSO = frozenset(["ttg.barrier", "gpu.barrier", "llvm.intr.assume", "ttg.convert_layout"])
"""Operations of other dialects that Triton's front end writes."""

_LOCATION = re.compile(r"\bloc\((?:[^()\"]|\"(?:[^\"\\]|\\.)*\"|\((?:[^()\"]|\"(?:[^\"\\]|\\.)*\")*\))*\)")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED_WORD = re.compile(r"\\(?:2[Ee]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9Aa])")
"""A letter, digit, dot or underscore that is written by its number: no printer does."""

_WORD = re.compile(r"(?<![\w.%@!#$-])([a-z_][a-z0-9_]*)\.([a-z_][\w.]*)")
_ASSEMBLY = re.compile(r'elementwise_inline_asm"?(\s*"((?:[^"\\]|\\.)*)"\s*\{)?')

_INSTRUCTIONS = frozenset("""
    mov cvt add sub mul mad fma min max neg abs ex2 lg2 rcp sqrt rsqrt sin cos tanh and or xor not shl shr shf prmt lop3
    bfe bfi bfind popc clz brev fns selp set setp slct sad dp4a dp2a div rem copysign testp cnot mul24 mad24 addc subc
    madc szext bmsk shfl vote match activemask redux mma griddepcontrol
""".split())  # noqa: SIM905 - words
"""PTX that works on registers."""

_SPECIAL = re.compile(r"%(?:clock|globaltimer|pm\d|envreg|total_smem|dynamic_smem|aggr_smem|reserved_smem)")
_STATEMENT = re.compile(r"(?:@!?%?\w+\s+)?(\.?[a-z][\w]*)\b")


def objection(ttir: str) -> str:
    """What this text holds that it may not, in words; "" where it keeps the rules."""
    plain = _LOCATION.sub("", ttir)
    for text in _STRING.findall(plain):
        if _ESCAPED_WORD.search(text):
            return "a name that is written in numbers"
    for match in _ASSEMBLY.finditer(plain):
        if match[1] is None:
            return "inline assembly that is not written as Triton writes it"
        reason = assembly_objection(_unescaped(match[2]))
        if reason:
            return reason
    for dialect, rest in _WORD.findall(_without_messages(plain)):
        if dialect not in _DIALECTS and f"{dialect}.{rest}" not in _ALSO:
            return f"operation {dialect}.{rest[:40]}"
    return ""


def assembly_objection(text: str) -> str:
    """What some inline PTX does beyond arithmetic on registers."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    depth = 0
    for brace in re.findall(r"[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            break
    special = _SPECIAL.search(text)
    if depth or special:
        return f"inline assembly that {'leaves its block' if depth else f'reads {special[0] if special else None}'}"
    for statement in re.split(r"[;{}]", text):
        if not statement.strip():
            continue
        match = _STATEMENT.match(statement.strip())
        word = match[1] if match else statement.strip()[:20]
        if word not in _INSTRUCTIONS and word != ".reg":
            return f"inline assembly with {word}: only arithmetic on registers is allowed"
    return ""


def _without_messages(text: str) -> str:
    """Without quoted text, but with quoted names of operations (`"tt.reduce"(...)`)."""

    def shown(match: re.Match[str]) -> str:
        return match[1] if re.match(r"\s*\(", text[match.end() : match.end() + 20]) else '""'

    return _STRING.sub(shown, text)


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), text).replace('\\"', '"')
