"""What a kernel's text may not hold: operations that are none of Triton's, assembly beyond arithmetic."""

import random

import pytest

from tritonrl_core.bench.plan.ttir_rules import _first_objection, _is_plain, assembly_objection, objection

TEXT = """module {
  tt.func public @k(%x: !tt.ptr<f32> loc("x_ptr"(#loc))) attributes {noinline = false} {
    %0 = tt.get_program_id x : i32 loc(#loc1)
    %1 = "tt.reduce"(%2) <{axis = 0 : i32}> ({
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32 loc(callsite(#loc1 at #loc2))
      tt.reduce.return %s : f32
    }) : (tensor<16xf32>) -> f32
    OWN
    tt.return
  }
}
#loc = loc("/some/where/llvm.x/candidate.py":12:0)
"""


def text(own: str) -> str:
    return TEXT.replace("OWN", own)


@pytest.mark.parametrize(
    "own",
    [
        "",
        "ttg.barrier local",
        "llvm.intr.assume %c : i1",
        'tt.call @"candidate.put__Pfp32__(1,)cco"(%x) : (!tt.ptr<f32>) -> ()',
        'tt.print " llvm.x " {hex = false} : %x : !tt.ptr<f32>',
        'tt.assert %c, "not in [0, n) of gpu.x" : tensor<16xi1>',
        '%v = tt.elementwise_inline_asm "cvt.rn.f16.f32 $0, $1;" {constraints = "=h,r", pure = true} %x : f32 -> f16',
        '%v = tt.elementwise_inline_asm "{\\0A .reg .b32 t; // a note\\0A lop3.b32 t, $1, 7, 0, 0xc0; }" {} %x : f32',
    ],
)  # fmt: skip
def test_what_triton_writes_keeps_the_rules(own: str) -> None:
    assert objection(text(own)) == ""


@pytest.mark.parametrize(
    ("own", "what"),
    [
        ("%own = ttg.global_scratch_alloc {nbytes = 64 : i32} : !tt.ptr<i8>", "operation ttg.global_scratch_alloc"),
        ('%own = "ttg.global_scratch_alloc"() : () -> !tt.ptr<i8>', "operation ttg.global_scratch_alloc"),
        ('%own = "ttg.global_scratch_alloc"  () : () -> !tt.ptr<i8>', "operation ttg.global_scratch_alloc"),
        ('%own = "ttg\\2Eglobal_scratch_alloc"() : () -> !tt.ptr<i8>', "written in numbers"),
        ("%m = ttg.local_alloc : () -> !ttg.memdesc<16xf32>", "operation ttg.local_alloc"),
        ("%p = llvm.mlir.addressof @table : !llvm.ptr", "operation llvm.mlir.addressof"),
        ('%v = "tt.elementwise_inline_asm"(%x) <{asm_string = "ld.global.b32 $0, [$1];"}> : () -> f32', "not written"),
        ('%v = tt.elementwise_inline_asm "ld.shared.b32 $0, [0];" {pure = true} %x : f32', "with ld"),
        ('%own = "ttg.scratch_alloc"' + 40 * " " + "() : () -> !tt.ptr<i8>", "operation ttg.scratch_alloc"),
        ('// "\n%own = ttg.local_alloc : () -> i32\n// "', "quotation marks"),
        ('tt.print "loc(" {}\n%own = ttg.local_alloc : () -> i32\ntt.print ")" {}', "operation ttg.local_alloc"),
        ('%v = "x\n%own = ttg.local_alloc : i32\n"', "quotation marks"),
        ('}\n#fn = "malloc"\n{', "an alias (#fn)"),
    ],
)  # fmt: skip
def test_what_would_outlive_a_launch_is_refused(own: str, what: str) -> None:
    assert what in objection(text(own))


@pytest.mark.parametrize(
    ("assembly", "what"),
    [
        ("mov.b32 $0, $1; ret; } .global .b32 runs[9]; .func rest() {", "leaves its block"),
        ("{ mov.b32 $0, $1;", "leaves its block"),
        ("mov.u64 $0, %globaltimer;", "reads %globaltimer"),
        ("mov.u32 $0, %clock;", "reads %clock"),
        ("mov.u64 $0, %gridid;", "reads %gridid"),
        ("mov.u64 $0, %current_graph_exec;", "reads %current_graph_exec"),
        ("{ .reg .b64 %clock<9>; mov.u64 $0, %clock64; }", "reads %clock64"),
        ("@p st.global.b32 [$0], $1;", "with st"),
        ("/* mov */ atom.add.u32 $0, [$1], 1;", "with atom"),
        (".shared .b32 kept[9];", "with .shared"),
        ("mov.b32 $0, $1; // fine\nbar.sync 0;", "with bar"),
        ("again: bra again;", "with again"),
    ],
)
def test_assembly_works_on_registers_alone(assembly: str, what: str) -> None:
    assert what in assembly_objection(assembly)


@pytest.mark.parametrize(
    "assembly",
    [
        "mov.u32 $0, %laneid;",
        "{ .reg .b32 %r<3>; .reg .pred %p; mov.b32 %r0, %smid; setp.ne.b32 %p, %r0, 0; selp.b32 $0, %r0, $1, %p; }",
        "{ .reg .b32 low, high; mov.b64 {low, high}, $1; xor.b32 $0, low, high; }",
        "mov.b32 $0, %lanemask_lt;",
    ],
)
def test_assembly_may_ask_where_it_runs_and_take_registers_apart(assembly: str) -> None:
    assert assembly_objection(assembly) == ""


PIECES = (
    '"tt.reduce"', '"', '"llvm.x"', "llvm.x", "ttg.local_alloc", "arith.addf", "%a.llvm.x", "1.llvm.x", "loc", "(", ")",
    "{", "\n", "\n  #a = ", "#loc", "tt.elementwise_inline_asm", '"mov.b32 $0, $1;"', "\\2E", " ", "\t", "=", "é.x",
    "//", "!tt.ptr<f32>", "-", ":", "x", ".",
)  # fmt: skip


def test_a_plain_text_is_one_that_reading_it_token_by_token_lets_through_as_well() -> None:
    rng = random.Random(0)
    texts = ["".join(rng.choices(PIECES, k=rng.randint(1, 12))) for _ in range(20_000)]
    plain = [text for text in texts if _is_plain(text)]
    assert len(plain) > 1000
    assert [text for text in plain if _first_objection(text)] == []
