"""Every static assertion of the C++ headers stops the compiler, each by itself, and each has a violation here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from needs import needs
from op_harness import include_flags
from test_firmware_ops import mutated

from edgendt.errors import ToolFailed
from edgendt.firmware.templates import OPS
from edgendt.tools import run_tool, share

HEADERS = share("hls") / "cpp"
CODE = "ap_fixed<8, 4, AP_RND_CONV, AP_SAT>"
NO_CODE = ("ap_int<9>", "ap_int<7>", "ap_uint<8>", "ap_fixed<8, 4>")  # width, sign, fraction
FINER = "ap_fixed<8, 3, AP_RND_CONV, AP_SAT>"
EXP = {"exp_t": "ap_uint<16>", "recip_t": "ap_uint<15>"}
SCALE = {"c": 1, "shift": 0}
PROLOGUE = """\
#include "edt_cross_attention.h"
#include "edt_load.h"
{}
template <class T> T *some();
extern edt::Crc32 crc;
"""


@dataclass(frozen=True)
class Call:
    """A call that compiles, and the changes that break its assertions. types: in the order of the template; held: of
    the config, numbers and the types of constants; more: arguments in between; violations: what is said, what differs.
    """

    function: str
    types: dict[str, str]
    held: dict[str, int | str]
    violations: list[tuple[str, dict[str, int | str]]]
    more: str = ""
    code: str = ""  # in the place of a call of the function

    def line(self, name: str, changes: dict[str, int | str]) -> str:
        """A namespace of C++ with the call, on one line."""
        types, held = ({key: changes.get(key, value) for key, value in old.items()} for old in (self.types, self.held))
        assert changes.keys() <= types.keys() | held.keys()
        kinds = {key: value for key, value in held.items() if isinstance(value, str)}
        members = [f"typedef {kind} {key};" for key, kind in kinds.items()]
        members += [f"static const long long {key} = {held[key]};" for key in held.keys() - kinds.keys()]
        named = [f"typedef {kind} {key};" for key, kind in types.items()]
        passed = [*(f"some<{key}>()" for key in types), *([self.more] if self.more else [])]
        passed += [f"some<config::{key}>()" for key in kinds]
        call = self.code or f"edt::{self.function}<{', '.join([*types, 'config'])}>({', '.join(passed)})"
        config = f"struct config {{ {' '.join(members)} }};"
        return f"namespace {name} {{ {' '.join(named)} {config} void run() {{ {call}; }} }}"


def _codes(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, CODE)


def _values(code: str, held: dict[str, int | str], *violations: tuple[str, dict[str, int | str]]) -> Call:
    """Of a function that has no config: `code` reads its numbers and types from one."""
    return Call("", {}, held, list(violations), code=code)


SIZE = ("size must be positive", {"size": 0})


def unroll(of: str = "size", wrong: int = 3, **more: int) -> list[tuple[str, dict[str, int | str]]]:
    """What does not divide it, and what divides nothing."""
    said = f"unroll must be positive and divide {of}"
    return [(said, {**more, "unroll": wrong}), (said, {"unroll": 0}), (said, {"unroll": -1})]


ATTEND: list[tuple[str, dict[str, int | str]]] = [
    ("c must be 1..32767", {"c": 1 << 15}),
    ("shift must not be negative", {"shift": -1}),
    ("sizes must be positive", {"window": 0}),
    ("heads must divide size", {"heads": 3, "unroll": 1}),
    *unroll("the channels of a head", 4),
]
MEAN = "mean_shift must lead from the sum over heads to a code of y"
ENTRIES = [
    (
        "exp_t",
        "an exponential is an unsigned whole number of 16 bits",
        ("ap_uint<15>", "ap_int<17>", "ap_ufixed<16, 8>"),
    ),
    (
        "recip_t",
        "a reciprocal is an unsigned whole number of 15 bits",
        ("ap_uint<14>", "ap_int<16>", "ap_ufixed<15, 8>"),
    ),
]
CALLS = [
    Call(
        "add",
        _codes("h_T", "x_T", "y_T"),
        {"size": 4, "unroll": 2},
        [SIZE, *unroll(), ("the residual stream has one format", {"x_T": FINER})],
    ),
    Call(
        "position",
        {"x_T": CODE, "reset_T": "ap_uint<1>", "y_T": CODE},
        {"size": 4, "bins": 3, "unroll": 2, "table_t": "ap_int<8>"},
        [
            ("size and bins must be positive", {"bins": 0}),
            *unroll(),
            ("the position is added in the residual format", {"x_T": FINER}),
            *(("an entry of the table is a code of y", {"table_t": wrong}) for wrong in NO_CODE),
        ],
    ),
    Call(
        "layernorm",
        _codes("x_T", "y_T"),
        {"size": 4, "unroll": 2, "eps": 1, "gamma_frac": 4}
        | {"gamma_t": "ap_int<8>", "beta_t": "ap_int<24>", "rsqrt_t": "ap_uint<16>"},
        [
            ("size must be 1..1024", {"size": 1026}),
            *unroll(),
            ("eps must be at least 1, so that the variance is never 0", {"eps": 0}),
            ("gamma and beta are integer codes", {"gamma_t": "ap_fixed<8, 4>"}),
            ("a root is an unsigned whole number of 15 bits", {"rsqrt_t": "ap_int<16>"}),
            ("the variance must fit 64 bits", {"x_T": "ap_fixed<30, 4>"}),
        ],
    ),
    Call(
        "attention",
        {**_codes("q_T", "k_T", "v_T"), "reset_T": "ap_uint<1>", "y_T": CODE},
        {"size": 4, "heads": 2, "window": 3, "unroll": 2, **SCALE, **EXP},
        ATTEND + [(said, {kind: wrong}) for kind, said, types in ENTRIES for wrong in types],
    ),
    Call(
        "cross_attention",
        _codes("q_T", "k_T", "v_T", "y_T"),
        {"size": 4, "heads": 2, "window": 3, "queries": 2, "unroll": 2, **SCALE, **EXP},
        [
            ("there must be room for a query and a key", {"queries": 0}),
            *unroll("the channels of keys and values", 4, size=6, heads=1),
        ],
        more="1, 1",
    ),
    Call(
        "rotary",
        {"x_T": CODE, "reset_T": "ap_uint<1>", "y_T": CODE},
        {"size": 8, "pairs": 2, "inverse": 0, "unroll": 2, "steps_t": "ap_uint<16>", "cos_t": "ap_int<12>"},
        [
            ("size must be heads of `pairs` pairs", {"size": 6}),
            *unroll("the pairs of a head", 4),
            ("inverse must be 0 or 1", {"inverse": 2}),
            ("a step is an unsigned whole number of 16 bits", {"steps_t": "ap_uint<15>"}),
            ("a cosine is a signed whole number of 12 bits", {"cos_t": "ap_uint<12>"}),
        ],
    ),
    Call(
        "rotary_at",
        {"x_T": CODE, "time_T": "ap_uint<16>", "y_T": CODE},
        {"size": 8, "pairs": 2, "inverse": 0, "unroll": 2, "steps_t": "ap_uint<16>", "cos_t": "ap_int<12>"},
        [("a time is an unsigned whole number", {"time_T": "ap_int<16>"})],
    ),
    *(
        Call(
            function,
            types,
            {"bins": 3, "channels": 4},
            [("sizes must be positive", {"bins": 0}), ("a transpose changes no format", {"x_T": FINER})],
        )
        for function, types in (
            ("transpose", _codes("x_T", "y_T")),
            ("transpose_last", {"x_T": CODE, "reset_T": "ap_uint<1>", "y_T": CODE}),
        )
    ),
    Call(
        "spatial_weights",
        {"q_T": CODE, "k_T": CODE, "y_T": "ap_ufixed<8, 0>"},
        {"size": 4, "bins": 8, "heads": 2, "unroll": 2, "longest": 10, "mean_shift": 17, **SCALE, **EXP},
        [
            ("sizes must be positive", {"heads": 0, "mean_shift": 15}),
            ("heads must divide bins and be a power of two", {"bins": 12, "heads": 3}),
            *unroll("the bins of a head"),
            ("weights are unsigned", {"y_T": "ap_fixed<8, 0>"}),
            ("longest must be the bits of the largest sum", {"longest": 11, "mean_shift": 18}),
            *((MEAN, wrong) for wrong in ({"mean_shift": 16}, {"heads": 1}, {"y_T": "ap_ufixed<8, 1>"})),
        ],
    ),
    Call(
        "spatial_mix",
        _codes("a_T", "z_T", "y_T"),
        {"size": 4, "bins": 3, "unroll": 2},
        [("sizes must be positive", {"bins": 0}), *unroll()],
    ),
    Call(
        "lookup",
        {"x_T": "ap_uint<16>", "y_T": CODE},
        {"size": 4, "entries": 3, "which": 2, "step": 1, "pairs": 0, "unroll": 2}
        | {"table_t": "ap_int<8>", "kinds_t": "ap_int<8>"},
        [
            ("sizes must be positive", {"which": 0}),
            *unroll(),
            ("a token is a pair of unsigned numbers", {"x_T": "ap_int<16>"}),
            ("a token's row must not be negative", {"step": -1}),
            *(("an entry of the table is a code of y", {"table_t": wrong}) for wrong in NO_CODE),
            *(("an entry of the kinds is a code of y", {"kinds_t": wrong}) for wrong in NO_CODE),
        ],
    ),
    Call(
        "geglu",
        _codes("a_T", "gate_T", "y_T"),
        {"size": 4, "unroll": 2, "gelu_t": "ap_int<16>"},
        [
            SIZE,
            *unroll(),
            ("gate's 8 bits address the table", {"gate_T": "ap_fixed<7, 4>"}),
            ("a table entry is a signed whole number of 16 bits", {"gelu_t": "ap_uint<16>"}),
            ("a table entry is a signed whole number of 16 bits", {"gelu_t": "ap_fixed<16, 8>"}),
        ],
    ),
    Call(
        "table",
        _codes("x_T", "y_T"),
        {"size": 4, "unroll": 2, "table_t": "ap_int<8>"},
        [
            SIZE,
            *unroll(),
            ("at most 8 bits address the table", {"x_T": "ap_fixed<9, 4>"}),
            *(("an entry of the table is a code of y", {"table_t": wrong}) for wrong in NO_CODE),
        ],
    ),
    Call(
        "constant",
        {"y_T": CODE},
        {"length": 2, "size": 4, "codes_t": "ap_int<8>"},
        [
            ("a constant has rows and a size", {"length": 0}),
            ("a constant's codes must be of y's format", {"codes_t": "ap_int<9>"}),
        ],
    ),
    _values(
        "(void)edt::linear_is_exact<config::x_T, config::y_T, config, config::bits>::value",
        {"x_T": CODE, "y_T": CODE, "weight_t": "ap_fixed<4, 2>", "bits": 14}
        | {"accum_t": "ap_fixed<14, 8>", "bias_t": "ap_fixed<14, 8>"},
        ("the result type must round ties to even (AP_RND_CONV)", {"y_T": "ap_fixed<8, 4, AP_RND, AP_SAT>"}),
        ("the result type must saturate (AP_SAT)", {"y_T": "ap_fixed<8, 4, AP_RND_CONV, AP_WRAP>"}),
        ("the accumulator must be signed", {"accum_t": "ap_ufixed<14, 8>"}),
        ("the accumulator must keep every product's last bit", {"weight_t": "ap_fixed<4, 1>"}),
        ("the accumulator must hold every sum the weights can make", {"bits": 15}),
        ("the bias must be in the accumulator's format", {"bias_t": "ap_fixed<15, 9>"}),
    ),
    _values(
        "edt::saturate<config::y_T>(ap_int<70>(1))",
        {"y_T": "ap_int<62>"},
        ("the largest code must fit 64 bits", {"y_T": "ap_int<63>"}),
    ),
    _values("edt::rne_by<config::least, 3>(ap_int<8>(1), 3)", {"least": 3}, ("an empty range of shifts", {"least": 4})),
    *(
        _values(
            f"edt::{function}_row<config::rows, 4>(some<ap_int<8> >(), 0, some<ap_int<8> >())",
            {"rows": 2},
            ("rows and their size must be positive", {"rows": 0}),
        )
        for function in ("take", "put")
    ),
    *(
        _values(code, {"size": 2, "T": "ap_int<32>"}, (some, {"size": 0}), (word, {"T": "ap_uint<32>"}))
        for code, some, word in (
            (
                "edt::take<config::size>(*some<edt::Stream>(), *some<edt::Packet>(), some<config::T>())",
                "codes are taken from one on",
                "a word must hold every code taken",
            ),
            (
                "edt::give<config::size, config::T>(*some<edt::Stream>(), 0, some<config::T>())",
                "codes are given from one on",
                "a word must hold every code given",
            ),
            (
                "edt::load<config::size>(*some<edt::Stream>(), *some<edt::Packet>(), crc, some<config::T>())",
                "constants are loaded from one on",
                "a word must hold every constant",
            ),
        )
    ),
]
OF_STREAMS = {"edt_axis.h", "edt_card.cpp"}  # of their own constants: the words of a beat, which only a fault changes


@dataclass(frozen=True)
class Assertion:
    """Where one stands, and what it says."""

    file: str
    line: int
    said: str = field(compare=False)


def asserted(file: str) -> list[Assertion]:
    """Every one of a file that says something."""
    text = (HEADERS / file).read_text()
    found = re.finditer(r'static_assert\([^;]*?"([^"]+)"\);', text)
    return [Assertion(file, text.count("\n", 0, one.start()) + 1, one[1]) for one in found]


def failed(log: str, source: str) -> dict[int, list[Assertion]]:
    """Assertions that stopped g++, by the line of `source` that asked for them."""
    at, found = 0, dict[int, list[Assertion]]()
    for text in log.splitlines():
        if asked := re.match(rf"{source}:(\d+):.*required from here", text):
            at = int(asked[1])
        if said := re.match(r".*?([\w.]+):(\d+):\d+: error: static assertion failed: (.*)", text):
            place = max(one.line for one in asserted(said[1]) if one.line <= int(said[2]))
            found.setdefault(at, []).append(Assertion(said[1], place, said[3]))
    return found


def compile_log(folder: Path, text: str, headers: Path = HEADERS) -> str:
    """What g++ says of a source that does not compile."""
    (folder / "wrong.cpp").write_text(text)
    words = ("g++", *include_flags(headers), "-std=c++14", "-fsyntax-only", "-w", "-fmax-errors=0", "wrong.cpp")
    with pytest.raises(ToolFailed) as caught:
        run_tool(words, folder / "log", folder)
    return Path(caught.value.log).read_text()


def source(lines: list[str]) -> str:
    stems = (*OPS, "rows")
    return PROLOGUE.format("\n".join(f'#include "edt_{stem}.h"' for stem in stems)) + "\n".join(lines) + "\n"


def test_every_assertion_stops_the_compiler_by_itself(tmp_path: Path) -> None:
    """A call per violation, each with one thing wrong: it fails by that assertion and no other."""
    needs("g++")
    cases = [(call, *violation) for call in CALLS for violation in call.violations]
    text = source([call.line(f"v{at}", changes) for at, (call, _, changes) in enumerate(cases)])
    stopped = failed(compile_log(tmp_path, text), "wrong.cpp")
    first = source([]).count("\n")
    for at, (call, said, changes) in enumerate(cases, first):
        assert [one.said for one in stopped.get(at, [])] == [said], (call.function or call.code, changes)
    seen = {one for found in stopped.values() for one in found}
    every = {one for path in HEADERS.iterdir() if path.name not in OF_STREAMS for one in asserted(path.name)}
    streams = {one for one in asserted("edt_axis.h") if "beat" not in one.said and "packet" not in one.said}
    assert seen == every | streams


def test_calls_without_a_violation_compile(tmp_path: Path) -> None:
    needs("g++")
    (tmp_path / "right.cpp").write_text(source([call.line(f"v{at}", {}) for at, call in enumerate(CALLS)]))
    words = ("g++", *include_flags(HEADERS), "-std=c++14", "-fsyntax-only", "-w", "right.cpp")
    run_tool(words, tmp_path / "log", tmp_path)


def test_words_of_another_width_stop_streams_and_cards(tmp_path: Path) -> None:
    """What they assert of their own constants."""
    needs("g++")
    headers = mutated(tmp_path, "edt_axis.h", "ap_axiu<32,", "ap_axiu<64,")
    log = compile_log(tmp_path, '#include "edt_card.cpp"\n', headers)
    said = {one.said for found in failed(log, "wrong.cpp").values() for one in found}
    assert said == {"a word of a packet has 32 bits", "memory, streams and counts must have words of 32 bits"}


@pytest.mark.parametrize("kind", OPS)
def test_an_ops_header_asserts_what_it_assumes(kind: str) -> None:
    """Sizes and formats of each op; a new assertion without a violation fails the first test."""
    assert len(asserted(f"edt_{kind}.h")) == (HEADERS / f"edt_{kind}.h").read_text().count("static_assert(") - (
        kind == "linear"  # one only instantiates the others
    )
    assert asserted(f"edt_{kind}.h")
