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
        ({"windows": 1, "pipes": 8, "act_depth": 8192}, "act_depth"),
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


@pytest.mark.parametrize("text", ["engine = 3", "segments = 3", "colour = 1", "segments = 4.0", "segments ="])
def test_a_bad_toml_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadInput):
        Engine.named(path)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadInput, match="small, full, large, streaming, window, tokens, tokens-large or a TOML file"):
        Engine.named("medium")


def test_parameters_are_those_of_the_core_with_the_small_engine_as_default() -> None:
    found = dict(re.findall(r"parameter int (\w+)\s*= (\d+)", CORE.partition(") (")[0]))
    for name, engine in [("Rotary", "streaming"), ("Windows", "window"), ("Tokens", "tokens")]:
        assert found.pop(name) == "0" and Engine.named(engine).parameters()[name] == 1
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
    fields = re.findall(r"^\s+logic\s+(\w+);", body, re.MULTILINE)
    assert [(name if len(name) > 3 else f"rows_{name}", 1) for name in fields] == list(layout.ROWS)
    assert f"RowsBits = {len(layout.ROWS)};" in PACKAGE
    assert Instr("x", {"loop": 1}).word() == 1 << layout.INSTR_BITS + len(layout.ROWS) - 1


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
