"""Outputs, channels and dead electrodes chosen at load time: the Program changed = its inputs or outputs changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_counts, random_ndt

from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.errors import BadInput, UnsupportedOp
from edgendt.program import Node, Program
from edgendt.wiring import Group, Wiring, choose_outputs, connect, groups

SHAPE = {"channels": 5, "d": 8, "layers": 1, "heads": 2, "ffn": 8, "window": 4, "outputs": 6, "bins": 12}
VELOCITY = Group((4, 5), (2.0, 0.5), (1.0, -3.0))
META = {"outputs": {"rates": Group((0, 1, 2, 3), log=True).to_json(), "velocity": VELOCITY.to_json()}}
NETWORKS = [replace(random_ndt(seed, **SHAPE, per_channel=seed % 2 == 1), meta=META) for seed in range(4)]
ONE = NETWORKS[0]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NETWORKS), st.permutations(range(6)), st.integers(1, 6), st.integers(0, 99))
def test_choosing_then_running_is_running_then_choosing(
    program: Program, order: list[int], many: int, seed: int
) -> None:
    rows, counts = order[:many], random_counts(program, seed, 7)
    chosen = choose_outputs(program, rows)
    assert np.array_equal(chosen.run(counts), program.run(counts)[:, rows])
    said = Wiring(outputs=",".join(map(str, rows))).apply(program)
    assert said == chosen
    whole, left = groups(program), groups(chosen)
    for name, group in left.items():
        kept = [whole[name].rows.index(row) for row in rows if row in whole[name].rows]
        got = group.values(chosen.run(counts), chosen.output_format)
        assert np.array_equal(got, whole[name].values(program.run(counts), program.output_format)[:, kept])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NETWORKS), st.data())
def test_a_network_reads_the_electrodes_as_they_are_wired(program: Program, data: st.DataObject) -> None:
    """Whatever unused and dead electrodes say, it is the network on its own channels, unfed ones silent."""
    extra = data.draw(st.integers(0, 4))
    order = data.draw(st.permutations([*map(str, range(program.channels)), *"-" * extra]))
    order = order[: data.draw(st.integers(program.channels, len(order)))]
    if all(word == "-" for word in order):
        return
    dead = data.draw(st.lists(st.integers(0, len(order) - 1), unique=True))
    wiring = Wiring(channels=",".join(order), dead=",".join(map(str, dead)))
    physical = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, program.input.hi + 1, (6, len(order)))
    counts = np.zeros((6, program.channels), np.int64)
    for place, word in enumerate(order):
        if word != "-" and place not in dead:
            counts[:, int(word)] = physical[:, place]
    wired = wiring.apply(program)
    assert wired.channels == len(order) and np.array_equal(wired.run(physical), program.run(counts))


def test_the_electrodes_see_what_the_network_was_recorded_with(tmp_path: Path) -> None:
    counts = random_counts(ONE, 3, 9)
    (tmp_path / "map.txt").write_text("4 3  # shank A\n-\n0:3\n")
    wiring = Wiring(channels=str(tmp_path / "map.txt"))
    seen = wiring.counts(ONE, counts)
    assert wiring.sources(ONE) == [4, 3, None, 0, 1, 2] and not seen[:, 2].any()
    assert np.array_equal(wiring.apply(ONE).run(seen), ONE.run(counts))
    masked = counts.copy()
    masked[:, 3] = 0
    dead = Wiring(channels=wiring.channels, dead="1")
    assert np.array_equal(dead.counts(ONE, counts), seen)
    assert np.array_equal(dead.apply(ONE).run(seen), ONE.run(masked))


def test_groups_have_names_and_an_empty_wiring_changes_nothing() -> None:
    assert Wiring().apply(ONE) is ONE and str(Wiring()) == ""
    assert [Wiring(outputs=word).rows(ONE) for word in ("velocity", "rates", "velocity,0", "all")] == [
        [4, 5],
        [0, 1, 2, 3],
        [4, 5, 0],
        [0, 1, 2, 3, 4, 5],
    ]
    assert groups(Wiring(outputs="velocity").apply(ONE)) == {"velocity": replace(VELOCITY, rows=(0, 1))}
    bare = replace(ONE, meta={})
    assert groups(bare) == {"rates": Group((0, 1, 2, 3, 4, 5), log=True)}
    assert str(Wiring("rates", "4:5,0", "1")) == " --outputs rates --channels 4:5,0 --dead 1"


def test_a_wired_program_is_another_image_of_the_same_engine(tmp_path: Path) -> None:
    wired = Wiring("velocity", "4,3,-,2,1,0,-", "1").apply(ONE)
    one, other = (compile_program(program, Engine.named("small")).image for program in (ONE, wired))
    assert (other.channels, other.outputs) == (7, 2) and one.crc != other.crc and one.engine_id == other.engine_id
    wired.save(tmp_path / "wired.edt")
    assert Program.load(tmp_path / "wired.edt") == wired and groups(Program.load(tmp_path / "wired.edt")) == groups(
        wired
    )


@pytest.mark.parametrize(
    ("wiring", "said"),
    [
        (
            Wiring(outputs="speed"),
            "--outputs: each must be a number, a range a:b or one of rates, velocity, all, got 'speed'",
        ),
        (Wiring(outputs="6"), "--outputs: numbers go from 0 to 5, got 6"),
        (Wiring(outputs="0:7"), "--outputs: numbers go from 0 to 5, got 0:7"),
        (Wiring(outputs="-1"), "--outputs: each must be a number, .* got '-1'"),
        (Wiring(outputs="3:3"), "--outputs: range 3:3 is empty"),
        (Wiring(outputs="rates,2"), "--outputs: output 2 is named twice"),
        (Wiring(outputs=","), "--outputs: it names nothing"),
        (Wiring(dead="5"), "--dead: numbers go from 0 to 4, got 5"),
        (Wiring(dead="-"), "--dead: each must be a number, a range a:b or an electrode, got '-'"),
        (Wiring(channels="0,1,5"), "--channels: numbers go from 0 to 4, got 5"),
        (Wiring(channels="0,1,0"), "--channels: channel 0 is fed by the electrodes 0 and 2"),
        (Wiring(channels="0 1:2:3"), "--channels: each must be a number, a range a:b or -, got '1:2:3'"),
        (Wiring(channels="-,-"), "--channels: no electrode feeds the network"),
        (Wiring(channels="map.txt"), "channel map map.txt does not exist"),
        (Wiring(channels="0" + ",-" * 256), "--channels: a board takes at most 256 electrodes, got 257"),
        (Wiring(channels="1,0", dead="2"), "--dead: numbers go from 0 to 1, got 2"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_options_that_do_not_suit_are_one_sentence(wiring: Wiring, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        wiring.apply(ONE)


def test_only_linears_are_rewired() -> None:
    nodes = ONE.nodes[:-1]
    with pytest.raises(UnsupportedOp, match="outputs can be chosen only where a Linear is the last op"):
        choose_outputs(replace(ONE, nodes=nodes), [0])
    position = next(node for node in nodes if node.op.kind == "position")
    first = Node(
        "embed", replace(position.op, size=5, y=ONE.input), ("counts",), {"table": np.zeros((12, 5), np.int64)}
    )
    with pytest.raises(UnsupportedOp, match="channels can be mapped only where Linears read the counts"):
        connect(Program("p", 5, ONE.input, (first,)), [0])


def test_a_number_of_the_recordings_that_is_no_input_is_told_what_the_inputs_are() -> None:
    some, every = (replace(ONE, meta=META | {"held_in": held}) for held in ([0, 1, 3, 4, 6], list(range(5))))
    told = r"; its inputs are 5 of the recording's channels, held_in of data\.json, numbered in that order"
    for wiring in (Wiring(dead="6"), Wiring(channels="6")):
        with pytest.raises(BadInput, match=rf"numbers go from 0 to 4, got 6{told}$"):
            wiring.apply(some)
        with pytest.raises(BadInput, match=r"got 6$"):
            wiring.apply(every)
    with pytest.raises(BadInput, match=r"numbers go from 0 to 1, got 2$"):  # of the map
        Wiring(channels="1,0", dead="2").apply(some)
