"""The C++ ops as a shared library: sizes and formats are compiled in, codes and constants come at run time."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.firmware.target import AMD, BACKENDS
from edgendt.firmware.templates import KERNEL, SAID_BY
from edgendt.fixed import Codes, Int
from edgendt.ops import (
    GEGLU,
    Add,
    Attention,
    CrossAttention,
    LayerNorm,
    Linear,
    Lookup,
    Op,
    Position,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Table,
    Transpose,
)
from edgendt.ops.attention import EXP, RECIP
from edgendt.ops.layernorm import RSQRT
from edgendt.ops.rotary import COS
from edgendt.tools import run_tool, share

OF_AMD = tuple(name for name, rooms in BACKENDS.items() if rooms == BACKENDS[AMD])  # whose types are ap_fixed
# ap_private, the simulation model of ap_int, masks its own uninitialised storage: g++ warns inside it at -O1.
QUIET = ("-Wno-unknown-pragmas", "-Wno-uninitialized", "-Wno-maybe-uninitialized")
FLAGS = ("-std=c++14", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", *QUIET)
INDEX = "exact<16, 0, false>"  # tokens, times, numbers of rows
OWN = "// what the backend's kernel reads of its own\n"
QUERIES = 6  # at most, of a cross-attention
HEADER = '#include "edt_{}.h"\n'
FIRST = "".join(f'#include "{name}"\n' for name in ("ac_fixed.h", "defines.h", "nnet_helpers.h"))  # as a project does
ROOMS = {  # of hls4ml's templates
    AMD: ("vitis", "vitis/nnet_utils", "vivado", "vivado/nnet_utils", "vivado/ap_types"),
    "Vivado": ("vivado", "vivado/nnet_utils", "vivado/ap_types"),
    "Quartus": ("quartus/firmware", "quartus/firmware/nnet_utils", "quartus/ac_types"),
    "Catapult": tuple(
        f"catapult/{name}"
        for name in ("", "firmware", "nnet_utils", "ac_types/include", "ac_math/include", "ac_simutils/include")
    ),
}
PLAIN = {  # types that neither round nor saturate
    "ap": "typename std::conditional<S, ap_fixed<B, B - F>, ap_ufixed<B, B - F> >::type",
    "ac": "ac_fixed<B, B - F, S>",
}
PROLOGUE = """#include <cstdint>
#include <type_traits>
template <int B, int F, bool S> using exact = @plain;
template <class T> T read(int32_t c) { return edt::value<T>(typename edt::format<T>::code_t(c)); }
template <class T, class C> void fill(T *to, const C *from, int n) {
    for (int i = 0; i < n; i++) to[i] = read<T>(from[i]);
}
template <class T> void give(int32_t *to, const T *from, int n) {
    for (int i = 0; i < n; i++) to[i] = int(edt::code(from[i]));
}
"""


def ap(form: Int) -> str:
    """The type of values of a format."""
    return f"edt::narrowed<{form.bits}, {form.frac}, {str(form.signed).lower()}>::type"


def ap_codes(bits: int, signed: bool = True) -> str:
    """The type of plain codes."""
    return f"edt::ap_{'' if signed else 'u'}int<{bits}>"


def plain(bits: int, frac: int, signed: bool = True) -> str:
    """The type of values that are never narrowed."""
    return f"exact<{bits}, {frac}, {str(signed).lower()}>"


@dataclass(frozen=True)
class Shape:
    """What the generated C++ of one op needs: values in and out of one call, constants, config members, call."""

    inputs: list[tuple[str, int]]
    output: tuple[str, int]
    constants: list[tuple[str, int]]
    config: str
    call: str


def _numbers(**fields: int) -> str:
    return " ".join(f"static const long long {name} = {value};" for name, value in fields.items())


def finer(op: Linear) -> Codes:
    """Left shift that brings each output's weights and bias to the largest weight fraction. [outputs]"""
    w_frac = np.asarray(op.w_frac or [op.w.frac] * op.outputs)
    return (w_frac.max() - w_frac).astype(np.int64)


def linear(op: Linear) -> Shape:
    """Dense with the types edt_linear.h demands; a 24-bit accumulator, widened where fractions differ."""
    w_frac, extra = max(op.w_frac or (op.w.frac,)), int(finer(op).max())
    bits = 24 + extra
    acc = plain(bits, op.x.frac + w_frac)
    w = plain(op.w.bits + extra, w_frac, op.w.signed)
    config = f"""
    static const unsigned n_in = {op.inputs}, n_out = {op.outputs}, reuse_factor = {op.inputs};
    typedef {acc} bias_t; typedef {w} weight_t;
{KERNEL.format("leq_nin")}
{OWN}"""
    return Shape(
        [(ap(op.x), op.inputs)],
        (ap(op.y), op.outputs),
        [(w, op.inputs * op.outputs), (acc, op.outputs)],
        config,
        f"edt::linear<x0_T, y_T, config, {bits}>(x0, y, k0, k1)",
    )


def add(op: Add) -> Shape:
    """Two residual inputs."""
    return Shape(
        [(ap(op.y), op.size)] * 2,
        (ap(op.y), op.size),
        [],
        _numbers(size=op.size, unroll=1),
        "edt::add<x0_T, x1_T, y_T, config>(x0, x1, y)",
    )


def position(op: Position) -> Shape:
    """One input and the reset."""
    table = ap_codes(op.y.bits, op.y.signed)
    return Shape(
        [(ap(op.y), op.size)],
        (ap(op.y), op.size),
        [(table, op.bins * op.size)],
        _numbers(size=op.size, bins=op.bins, unroll=1) + f" typedef {table} table_t;",
        "edt::position<x0_T, edt::ap_uint<1>, y_T, config>(x0, reset, y, k0)",
    )


def layernorm(op: LayerNorm) -> Shape:
    """One input; gamma, beta and the table."""
    types = {"gamma": ap_codes(op.gamma.bits), "beta": ap_codes(24), "rsqrt": ap_codes(16, False)}
    config = _numbers(size=op.size, eps=op.eps_code, gamma_frac=op.gamma.frac, unroll=1)
    config += " ".join(f"typedef {kind} {name}_t;" for name, kind in types.items())
    return Shape(
        [(ap(op.x), op.size)],
        (ap(op.y), op.size),
        [(types["gamma"], op.size), (types["beta"], op.size), (types["rsqrt"], 768)],
        config,
        "edt::layernorm<x0_T, y_T, config>(x0, y, k0, k1, k2)",
    )


def attention(op: Attention) -> Shape:
    """Queries, keys, values and the reset; two tables."""
    table = ap_codes(16, False)
    config = _numbers(size=op.size, heads=op.heads, window=op.window, **op.scale._asdict(), unroll=1)
    codes = (op.whole or 1) * op.size
    call = "edt::attention<x0_T, x1_T, x2_T, edt::ap_uint<1>, y_T, config>(x0, x1, x2, reset, y, k0, k1)"
    if op.whole:
        config += _numbers(back=op.back, ahead=op.ahead)
        call = "edt::attention_window<x0_T, x1_T, x2_T, y_T, config>(x0, x1, x2, y, k0, k1)"
    return Shape(
        [(ap(form), codes) for form in (op.q, op.k, op.v)],
        (ap(op.y), codes),
        [(table, 256), (table, 512)],
        f"{config} typedef {table} exp_t; typedef {table} recip_t;",
        call,
    )


def rotary(op: Rotary) -> Shape:
    """One input and the reset; steps and the table."""
    pairs = len(op.steps)
    return Shape(
        [(ap(op.x), op.size)],
        (ap(op.y), op.size),
        [(ap_codes(16, False), pairs), (ap_codes(12), len(COS))],
        _numbers(size=op.size, pairs=pairs, inverse=int(op.inverse), unroll=1)
        + f" typedef {ap_codes(16, False)} steps_t; typedef {ap_codes(12)} cos_t;",
        "edt::rotary<x0_T, edt::ap_uint<1>, y_T, config>(x0, reset, y, k0, k1)",
    )


def rotary_at(op: Rotary) -> Shape:
    """The same by a time of each row."""
    shape, call = rotary(op), "edt::rotary_at<x0_T, x1_T, y_T, config>(x0, x1, y, k0, k1)"
    return replace(shape, inputs=[*shape.inputs, (INDEX, 1)], call=call)


def lookup(op: Lookup) -> Shape:
    """A token; two tables."""
    table = ap_codes(op.y.bits, op.y.signed)
    return Shape(
        [(INDEX, 2)],
        (ap(op.y), op.size),
        [(table, op.entries * op.size), (table, op.which * op.size)],
        _numbers(size=op.size, entries=op.entries, which=op.which, step=op.step, pairs=int(op.pairs), unroll=1)
        + f" typedef {table} table_t; typedef {table} kinds_t;",
        "edt::lookup<x0_T, y_T, config>(x0, y, k0, k1)",
    )


def geglu(op: GEGLU) -> Shape:
    """Hidden codes and gates; the table of GELU."""
    return Shape(
        [(ap(op.a), op.size), (ap(op.gate), op.size)],
        (ap(op.y), op.size),
        [(ap_codes(16), 256)],
        _numbers(size=op.size, unroll=1) + f" typedef {ap_codes(16)} gelu_t;",
        "edt::geglu<x0_T, x1_T, y_T, config>(x0, x1, y, k0)",
    )


def table(op: Table) -> Shape:
    """Codes and the table."""
    entries = ap_codes(op.y.bits, op.y.signed)
    return Shape(
        [(ap(op.x), op.size)],
        (ap(op.y), op.size),
        [(entries, 1 << op.x.bits)],
        _numbers(size=op.size, unroll=1) + f" typedef {entries} table_t;",
        "edt::table<x0_T, y_T, config>(x0, y, k0)",
    )


def cross_attention(op: CrossAttention) -> Shape:
    """Queries, keys and values, padded to the most there may be, and how many there are; two tables."""
    table, one = ap_codes(16, False), op.attention
    config = _numbers(size=op.size, heads=op.heads, window=op.keys, queries=QUERIES, **one.scale._asdict(), unroll=1)
    rows = {"q": QUERIES, "k": op.keys, "v": op.keys}
    return Shape(
        [*((ap(getattr(op, name)), n * op.size) for name, n in rows.items()), (INDEX, 2)],
        (ap(op.y), QUERIES * op.size),
        [(table, 256), (table, 512)],
        f"{config} typedef {table} exp_t; typedef {table} recip_t;",
        "edt::cross_attention<x0_T, x1_T, x2_T, y_T, config>"
        "(x0, x1, x2, y, int(edt::code(x3[0])), int(edt::code(x3[1])), k0, k1)",
    )


def padded(op: CrossAttention, inputs: Sequence[Codes]) -> list[Codes]:
    """Inputs with rows behind those that are there, at the limits so that looking at them shows; and how many are."""
    found = []
    for codes, form, rows in zip(inputs, (op.q, op.k, op.v), (QUERIES, op.keys, op.keys), strict=True):
        found.append(np.concatenate([codes, np.full((rows - len(codes), op.size), form.hi)]))
    return [*found, np.array([len(inputs[0]), len(inputs[1])])]


def transpose(op: Transpose) -> Shape:
    """All bins of a window; causal, one bin and the reset."""
    ports = (ap(op.y), op.bins * op.channels)
    config = _numbers(bins=op.bins, channels=op.channels)
    if op.causal:
        call = "edt::transpose_last<x0_T, edt::ap_uint<1>, y_T, config>(x0, reset, y)"
        return Shape([(ap(op.y), op.channels)], ports, [], config, call)
    return Shape([ports], ports, [], config, "edt::transpose<x0_T, y_T, config>(x0, y)")


def spatial_weights(op: SpatialWeights) -> Shape:
    """Queries and keys of every channel; two tables."""
    table = ap_codes(16, False)
    config = _numbers(size=op.size, bins=op.bins, heads=op.heads, **op.scale._asdict(), unroll=1)
    config += _numbers(longest=op.longest, mean_shift=op.mean_shift)
    return Shape(
        [(ap(form), op.size * op.bins) for form in (op.q, op.k)],
        (ap(op.y), op.size**2),
        [(table, 256), (table, 512)],
        f"{config} typedef {table} exp_t; typedef {table} recip_t;",
        "edt::spatial_weights<x0_T, x1_T, y_T, config>(x0, x1, y, k0, k1)",
    )


def spatial_mix(op: SpatialMix) -> Shape:
    """One bin and the weights, which come with every bin."""
    return Shape(
        [(ap(op.a), op.size**2), (ap(op.z), op.size)],
        (ap(op.y), op.size),
        [],
        _numbers(size=op.size, bins=1, unroll=1),
        "edt::spatial_mix<x0_T, x1_T, y_T, config>(x0, x1, y)",
    )


SHAPES: dict[type[Op], Any] = {
    Transpose: transpose,
    SpatialWeights: spatial_weights,
    SpatialMix: spatial_mix,
    Linear: linear,
    Add: add,
    Position: position,
    LayerNorm: layernorm,
    Attention: attention,
    Rotary: rotary,
    Lookup: lookup,
    GEGLU: geglu,
    Table: table,
    CrossAttention: cross_attention,
}


def shapes(op: Op) -> dict[int, Shape]:
    """The ways to call an op, by its number of inputs."""
    found = [SHAPES[type(op)](op), *([rotary_at(op)] if isinstance(op, Rotary) else [])]
    return {len(shape.inputs): shape for shape in found}


def source(index: int, op: Op) -> str:
    """C++ of one op, of each way to call it."""
    return "".join(one_source(f"{index}_{inputs}", op, shape) for inputs, shape in shapes(op).items())


def one_source(name: str, op: Op, shape: Shape) -> str:
    """C++ of one call of an op: run<name>(calls, inputs, constants, out), a call per bin, the first with the reset."""
    types = [f"typedef {kind} x{i}_T;" for i, (kind, _) in enumerate(shape.inputs)] + [
        f"typedef {shape.output[0]} y_T;"
    ]
    constants = [
        f"static {kind} k{i}[{n}]; fill(k{i}, constants[{i}], {n});" for i, (kind, n) in enumerate(shape.constants)
    ]
    inputs = [f"x{i}_T x{i}[{n}]; fill(x{i}, in[{i}] + bin * {n}, {n});" for i, (_, n) in enumerate(shape.inputs)]
    base = " : nnet::dense_config" if isinstance(op, Linear) else ""
    return f"""
namespace op{name} {{ {" ".join(types)} struct config{base} {{ {shape.config} }}; }}
extern "C" void run{name}(int32_t bins, const int32_t *const *in, const int32_t *const *constants, int32_t *out) {{
    using namespace op{name};
    (void)constants;
    {" ".join(constants)}
    for (int bin = 0; bin < bins; bin++) {{
        edt::ap_uint<1> reset[1]; reset[0] = bin == 0; (void)reset;
        {" ".join(inputs)}
        y_T y[{shape.output[1]}];
        {shape.call};
        give(out + bin * {shape.output[1]}, y, {shape.output[1]});
    }}
}}
"""


def run_time_constants(op: Op, constants: dict[str, Codes]) -> list[Codes]:
    """Constants in the order of the generated C++, tables included."""
    divides = [EXP, RECIP[512:]]
    tables = {LayerNorm: [RSQRT[256:]], **dict.fromkeys((Attention, SpatialWeights, CrossAttention), divides)}
    if isinstance(op, Linear):  # DenseResource reads weights output by output, as hls4ml's transposition leaves them
        return [constants["weight"] << finer(op)[:, None], constants["bias"] << finer(op)]
    if isinstance(op, Rotary):
        return [np.array(op.steps), COS]
    if isinstance(op, GEGLU):
        return [op.table]
    return [*(constants[name] for name in op.constants), *tables.get(type(op), [])]


def narrow_source(index: int, shift: int, y: Int) -> str:
    """C++ of narrow(a, shift, y) over n numbers of 32 bits."""
    return f"""
extern "C" void narrow{index}(int32_t n, const int32_t *a, int32_t *out) {{
    typedef {ap_codes(y.bits, y.signed)} y_T;
    for (int i = 0; i < n; i++) out[i] = int(edt::code(edt::narrow<{shift}, y_T>(edt::ap_int<32>(a[i]))));
}}
"""


@dataclass(frozen=True)
class Harness:
    """A compiled set of ops, and of narrowings (shift, format)."""

    ops: tuple[Op, ...]
    narrows: tuple[tuple[int, Int], ...]
    library: Path

    @cached_property
    def _loaded(self) -> Any:
        return ctypes.CDLL(str(self.library))

    def run(self, op: Op, inputs: Sequence[Codes], constants: dict[str, Codes]) -> Codes:
        """inputs: codes of one call behind those of the other; of weights between channels one call's are enough.

        -> codes [calls, n], calls in order from a reset.
        """
        asked = len(inputs[0])
        inputs = padded(op, inputs) if isinstance(op, CrossAttention) else inputs
        shape = shapes(op)[len(inputs)]
        calls = max(a.size // n for a, (_, n) in zip(inputs, shape.inputs, strict=True))
        parts = [np.resize(a, (calls, n)) for a, (_, n) in zip(inputs, shape.inputs, strict=True)]
        held = [np.ascontiguousarray(a, dtype=np.int32) for a in parts]
        fixed = [np.ascontiguousarray(a, dtype=np.int32) for a in run_time_constants(op, constants)]
        out = np.empty((calls, shape.output[1]), np.int32)
        pointers = [(ctypes.c_void_p * max(len(a), 1))(*(item.ctypes.data for item in a)) for a in (held, fixed)]
        run = getattr(self._loaded, f"run{self.ops.index(op)}_{len(inputs)}")
        run(ctypes.c_int32(len(out)), *pointers, out.ctypes.data_as(ctypes.c_void_p))
        codes = out.astype(np.int64).reshape(-1, op.size)
        return codes[:asked] if isinstance(op, CrossAttention) else codes

    def narrow(self, a: Codes, shift: int, y: Int) -> Codes:
        """a: [n] numbers of 32 bits -> codes [n]."""
        held, out = np.ascontiguousarray(a, dtype=np.int32), np.empty(len(a), np.int32)
        run = getattr(self._loaded, f"narrow{self.narrows.index((shift, y))}")
        run(ctypes.c_int32(len(a)), held.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p))
        return out.astype(np.int64)


def include_flags(headers: Path, backend: str = AMD) -> list[str]:
    """-I for our headers, warnings on; -isystem for hls4ml's."""
    return [f"-I{headers}", *isystem(backend)]


def isystem(backend: str) -> list[str]:
    """hls4ml's own headers, whose warnings are not ours."""
    import hls4ml

    templates = Path(hls4ml.__file__).parent / "templates"
    return [word for room in ROOMS[backend] for word in ("-isystem", str(templates / room))]


def compile_ops(
    ops: Sequence[Op],
    folder: Path,
    headers: Path | None = None,
    narrows: Sequence[tuple[int, Int]] = (),
    backend: str = AMD,
) -> Harness:
    """Compile with the headers of `headers` (default hls/cpp), with -Wall -Wextra -Werror; cached by content."""
    room = headers or share("hls") / "cpp"
    stems = ("fixed", "rows", *(op.kind for op in SHAPES))
    text = "" if backend in OF_AMD else FIRST
    text += "".join(HEADER.format(stem) for stem in stems)
    text += PROLOGUE.replace("@plain", PLAIN["ap" if backend in OF_AMD else "ac"])
    text += "".join(source(index, op) for index, op in enumerate(ops)).replace(OWN, SAID_BY[backend])
    text += "".join(narrow_source(index, *case) for index, case in enumerate(narrows))
    content = text + "".join(path.read_text() for path in sorted(room.glob("edt_*.h"))) + str(FLAGS)
    name = hashlib.sha256(content.encode()).hexdigest()[:20]
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f"{name}.so"
    if not library.exists():
        code, beside = folder / f"{name}.cpp", folder / f"{name}.part"
        code.write_text(text)
        words = (*FLAGS, *include_flags(room, backend), str(code), "-o", str(beside))
        run_tool(("g++", *words), folder / f"{name}.log", folder)
        beside.replace(library)
    return Harness(tuple(ops), tuple(narrows), library)
