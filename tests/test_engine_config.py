"""Engine sizes: what is refused, what is named, what the hardware is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgendt.engine import layout
from edgendt.engine.config import Engine
from edgendt.engine.layout import CHUNK_BITS, Instr, fmt
from edgendt.errors import BadInput
from edgendt.fixed import Int
from edgendt.tools import share

PACKAGE = (share("hls") / "rtl" / "edt_pkg.sv").read_text()
CORE = (share("hls") / "rtl" / "edt_core.sv").read_text()


@pytest.mark.parametrize(
    "fields, name",
    [
        ({"segments": 3}, "segments"),
        ({"pipes": 1}, "pipes"),
        ({"pipes": 6}, "pipes"),
        ({"sfus": 8}, "sfus"),
        ({"segments": 1, "lanes": 2}, "lanes"),
        ({"segments": 64, "lanes": 32}, "lanes"),
        ({"acc_bits": 30}, "acc_bits"),
        ({"act_depth": 9000}, "act_depth"),
        ({"res_depth": 1}, "res_depth"),
        ({"segments": 64, "lanes": 16, "pipes": 8, "weight_depth": 1 << 20}, "weight_depth"),
        ({"packed": 2}, "packed"),
        ({"segments": 64, "lanes": 16, "pipes": 4, "packed": 1}, "packed"),
        ({"splits": 3}, "splits"),
        ({"splits": 8}, "splits"),
        ({"segments": 2, "splits": 4}, "splits"),
        ({"segments": 2, "lanes": 10, "splits": 2}, "splits"),
        ({"rotary": 2}, "rotary"),
        ({"windows": 2}, "windows"),
        ({"key_size": 512}, "key_size"),
        ({"windows": 1, "rotary": 1, "tokens": 1, "key_size": 384}, "key_size"),
        ({"ultra": 2}, "ultra"),
        ({"segments": 2, "lanes": 6, "ultra": 1}, "ultra"),
        ({"segments": 1, "lanes": 4, "pipes": 2, "serial": 1, "windows": 1}, "serial"),
        ({"segments": 1, "lanes": 4, "pipes": 2, "serial": 1, "rotary": 1}, "serial"),
    ],
)
def test_an_impossible_size_is_refused_by_name(fields: dict[str, int], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        Engine(**fields)


def test_lanes_from_4_to_1024_are_possible() -> None:
    assert Engine(segments=1, lanes=4, pipes=2).lane_count == 4
    assert Engine(segments=64, lanes=16, pipes=16).lane_count == 1024


def test_a_toml_file_names_an_engine(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[engine]\nsegments = 8\nkv_depth = 1024\n")
    assert Engine.named(path) == Engine(segments=8, kv_depth=1024)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("engine = 3", r"`engine` must be a table: a line \[engine\], then such as segments = 4; known are acc_bits,"),
        ("segments = 3", "segments must be a power of two, got 3"),
        ("colour = 1", "unknown field 'colour', known are acc_bits, act_depth,"),
        ("segments = 4.0", "every field must be an integer"),
        ("segments =", "Invalid value"),
    ],
)
def test_a_bad_toml_file_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=f"^engine {path}: {said}"):
        Engine.named(path)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        BadInput,
        match=r"tokens, tokens-large, kria, kria-window, kria-wide or a TOML file, got medium \(no such file\)$",
    ):
        Engine.named("medium")


def test_parameters_are_those_of_the_core_with_the_small_engine_as_default() -> None:
    found = dict(re.findall(r"parameter int (\w+)\s*= (\d+)", CORE.partition(") (")[0]))
    for name, engine in [("Rotary", "streaming"), ("Windows", "window"), ("Tokens", "tokens"), ("Ultra", "kria")]:
        assert found.pop(name) == "0" and Engine.named(engine).parameters()[name] == 1
    assert found.pop("KeySize") == "256" and Engine.named("kria").parameters()["KeySize"] == 512
    assert {name: int(value) for name, value in found.items()} == Engine.named("small").parameters()


def test_the_instruction_layout_mirrors_the_package() -> None:
    body = PACKAGE.partition("instr_t;")[0].rpartition("typedef struct packed {")[2]
    widths = {"dst_t": 5, "fmt_t": 5}
    fields = []
    for kind, high, name in re.findall(r"^\s+(logic|dst_t|fmt_t)\s*(?:\[(\d+):0\])?\s+(\w+);", body, re.MULTILINE):
        fields.append((name, widths.get(kind, int(high or 0) + 1)))
    assert tuple(fields) == layout.INSTR
    assert sum(bits for _, bits in fields) == layout.INSTR_BITS


def test_what_the_sequencer_does_itself_mirrors_the_package() -> None:
    body = PACKAGE.partition("rows_t;")[0].rpartition("typedef struct packed {")[2]
    fields = re.findall(r"^\s+logic\s*(?:\[(\d+):0\])?\s+(\w+);", body, re.MULTILINE)
    found = [(name if len(name) > 3 else f"rows_{name}", int(high or 0) + 1) for high, name in fields]
    assert found == list(layout.ROWS)
    assert f"RowsBits = {layout.ROWS_BITS};" in PACKAGE
    assert Instr("x", {"loop": 1}).word() == 1 << layout.INSTR_BITS + layout.ROWS_BITS - 3


def test_xbase_has_its_highest_bits_above_all_else() -> None:
    at = layout.INSTR_BITS + layout.ROWS_BITS - 2
    low, high = Instr("x", {"xbase": 5}).word(), Instr("x", {"xbase": 5 | 3 << layout.X_BITS}).word()
    assert high == low | 3 << at
    with pytest.raises(ValueError, match=r"^xtop must be 0\.\.3, got 4 in x"):
        Instr("x", {"xbase": 1 << 17}).word()


def test_the_configuration_addresses_mirror_the_sequencer() -> None:
    text = (share("hls") / "rtl" / "edt_seq.sv").read_text()
    found = {int(at): name for at, name in re.findall(r"4'd(\d+):\s+cfg_q\.(\w+)", text)}
    assert tuple(found[at] for at in sorted(found)) == layout.CFG


def test_memory_numbers_mirror_the_package() -> None:
    found = dict(re.findall(r"Mem(\w+) = 4'd(\d+)", PACKAGE))
    mine = {"Weight": "WEIGHT", "Bias": "BIAS", "Pos": "POS", "Gamma": "GAMMA", "Table": "TABLE"}
    mine |= {"Exp": "EXP", "Prog": "PROG", "Cfg": "CFG", "Pair": "PAIR", "Step": "STEP", "Cos": "COS"}
    mine |= {"Time": "TIME", "Gelu": "GELU"}
    assert {mine[name]: int(number) for name, number in found.items()} == {
        name: getattr(layout, f"MEM_{name}") for name in mine.values()
    }


def test_a_field_that_overflows_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^n_red must be 0\.\.2047, got 2048 in layer0\.q"):
        Instr("layer0.q", {"n_red": 2048}).word()
    with pytest.raises(ValueError, match="unknown instruction fields"):
        Instr("x", {"colour": 1}).word()


def test_chunks_hold_the_whole_word() -> None:
    instr = Instr("x", {"op": 7, "kv_unsigned": 1, "bar_late": 1, "sbase": 0xABCDE})
    assert sum(chunk << CHUNK_BITS * at for at, chunk in enumerate(instr.chunks())) == instr.word()


def test_formats_are_sign_and_bits() -> None:
    assert (fmt(Int(8)), fmt(Int(16, 3)), fmt(Int(8, 0, signed=False)), fmt(Int(1))) == (23, 31, 7, 16)
