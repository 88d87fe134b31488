"""Programs with inputs of their own: several axes of rows, constants among the inputs, files, refusals."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutants import places, refused, with_wrong
from needs import needs_package
from networks import random_ndt

needs_package("torch")

from poyos import random_poyo, windows  # noqa: E402

from edgendt.engine.compile import compile_program  # noqa: E402
from edgendt.engine.config import Engine  # noqa: E402
from edgendt.errors import BadInput, UnsupportedOp  # noqa: E402
from edgendt.fixed import Codes, Int  # noqa: E402
from edgendt.node import channels  # noqa: E402
from edgendt.ops import GEGLU, Add, CrossAttention, Linear, Lookup, Rotary  # noqa: E402
from edgendt.program import BINS, INDEX, INPUT, Axis, Input, Node, Program  # noqa: E402
from edgendt.wiring import Wiring  # noqa: E402

ACT = Int(8, 4)
A, B = Axis("tokens"), Axis("queries")
TABLES = {"table": np.array([[1, 2], [3, 4]]), "kinds": np.array([[0, 0]])}
INPUTS = (
    Input("tokens", 2, A),
    Input("token_ms", 1, A),
    Input("queries", 2, B),
    Input.constant("latents", [[0, 0], [1, 0], [0, 0]]),
)
ROWS = tuple(
    Node(name, Lookup(2, 2, 1, ACT), (source,), TABLES)
    for name, source in zip("tql", ("tokens", "queries", "latents"), strict=True)
)


def program(*nodes: Node, inputs: tuple[Input, ...] = INPUTS, form: Int = INDEX) -> Program:
    """Rows t of tokens, q of queries, l of latents, and what reads them."""
    return Program("p", 0, form, (*ROWS, *nodes), inputs=inputs)


def test_rows_are_those_of_the_inputs_or_of_a_constant() -> None:
    attend = CrossAttention(2, 1, 9, ACT, ACT, ACT, ACT)
    made = program(Node("read", attend, ("l", "t", "t")), Node("write", attend, ("q", "read", "read")))
    assert [str(made.axis(name)) for name in ("t", "read", "write")] == ["tokens", "3 latents", "queries"]
    assert [made.rows(name) for name in ("t", "read", "write")] == [0, 3, 0]
    given = {"tokens": [[0, 0], [1, 0]], "token_ms": [5, 9], "queries": [[1, 0]]}
    traced = made.trace(given)
    assert {name: len(codes) for name, codes in traced.items()} == {"t": 2, "q": 1, "l": 3, "read": 3, "write": 1}
    np.testing.assert_array_equal(traced["read"], attend.run(traced["l"], traced["t"], traced["t"]))
    assert made.products({"tokens": 2, "queries": 1}) == 2 * (3 * 2 + 1 * 3) * 2
    assert not made.streams and made.max_bins is None


def test_times_are_an_input_or_the_number_of_the_row() -> None:
    turn = Rotary(2, (9999,), ACT, ACT)
    given = {"tokens": [[1, 0]] * 3, "token_ms": [0, 7, 65535], "queries": [[1, 0]]}
    timed = program(Node("y", turn, ("t", "token_ms")), replace(ROWS[0], name="out", op=ROWS[0].op)).trace(given)
    bare = program(Node("y", turn, ("t",))).trace(given)
    np.testing.assert_array_equal(timed["y"], turn.run(timed["t"], np.array([0, 7, 65535])))
    np.testing.assert_array_equal(bare["y"], turn.run(bare["t"]))
    assert (timed["y"] != bare["y"]).any()


REFUSED: dict[str, tuple[tuple[Node, ...], str]] = {
    "keys of other rows than values": (
        (Node("y", CrossAttention(2, 1, 9, ACT, ACT, ACT, ACT), ("q", "t", "l")),),
        "'l' has rows of 3 latents",
    ),
    "sums of two axes": ((Node("y", Add(2, ACT), ("t", "q")),), "it reads rows of tokens, 'q' has rows of queries"),
    "gates of another axis": ((Node("y", GEGLU(2, ACT, ACT, ACT), ("q", "t")),), "'t' has rows of tokens"),
    "times of another axis": (
        (Node("y", Rotary(2, (1,), ACT, ACT), ("q", "token_ms")),),
        "'token_ms' has rows of tokens",
    ),
    "codes as times": ((Node("y", Rotary(2, (1,), ACT, ACT), ("q", "q")),), r"it reads 1 x Int\(bits=16"),
    "codes as tokens": ((Node("y", Lookup(2, 2, 1, ACT), ("q",), TABLES),), r"it reads 2 x Int\(bits=16"),
    "an output of latents": ((), "the output must have rows of tokens or queries, not 3 latents"),
    "three inputs of a Rotary": (
        (Node("y", Rotary(2, (1,), ACT, ACT), ("t", "token_ms", "token_ms")),),
        "it takes 1 inputs, got 3",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_together_is_refused(case: str) -> None:
    nodes, said = REFUSED[case]
    with pytest.raises(UnsupportedOp, match=said):
        program(*nodes)


def test_a_row_is_named_by_its_axis() -> None:
    axes = (BINS, channels(6), channels(6, causal=True), A, B, Axis("latents", 4), Axis("spikes seen"), Axis("time"))
    assert [axis.one for axis in axes] == ["bin", "channel", "channel", "token", "query", "latent", "spike", "time"]


def test_inputs_that_contradict_themselves_are_refused() -> None:
    out = Node("y", Add(2, ACT), ("q", "q"))
    twice = (*INPUTS, INPUTS[0])
    other = (*INPUTS[:3], Input("latents", 2, Axis("latents", 4), np.zeros((3, 2))))
    beyond = (*INPUTS[:3], Input.constant("latents", [[0, 1 << 16]]))
    for inputs, said in ((twice, "another input has that name"), (other, "must be"), (beyond, "must be")):
        with pytest.raises(UnsupportedOp, match=said):
            program(out, inputs=inputs)
    with pytest.raises(UnsupportedOp, match="has no channels of counts"):
        Program("p", 3, INDEX, (*ROWS, out), inputs=INPUTS)
    with pytest.raises(UnsupportedOp, match=r"it reads 2 x Int\(bits=16"):
        program(out, form=Int(8, 0, False))


def test_bins_are_no_keys() -> None:
    counts = Int(8, 0, False)
    linear = Linear(3, 2, counts, Int(4, 0), ACT)
    x = Node("x", linear, (INPUT,), {"weight": np.ones((2, 3)), "bias": np.zeros(2)})
    with pytest.raises(UnsupportedOp, match="not bins"):
        Program("p", 3, counts, (x, Node("y", CrossAttention(2, 1, 9, ACT, ACT, ACT, ACT), ("x", "x", "x"))))


GIVEN: dict[str, tuple[Any, str]] = {
    "counts": (np.zeros((4, 3)), "takes inputs by name, got ndarray"),
    "nothing": ({}, "takes tokens, token_ms, queries, got nothing"),
    "a constant": ({"latents": [[0, 0]]}, "takes tokens, token_ms, queries, got latents"),
    "other rows": ({"token_ms": [1, 2, 3]}, "token_ms must have a row for each of tokens, 2, got 3"),
    "no token": ({"tokens": np.zeros((0, 2)), "token_ms": []}, r"tokens must be \[tokens, 2\] with a row at least"),
    "another shape": ({"queries": [1, 0]}, r"queries must be \[queries, 2\]"),
    "a fraction": ({"token_ms": [0.5, 1]}, "token_ms must be integers"),
    "text": ({"token_ms": ["a", "b"]}, "invalid literal"),
    "a time before the window": ({"token_ms": [-1, 1]}, r"token_ms must be 0\.\.65535, got -1\.\.1"),
    "a unit that no table has": ({"tokens": [[2, 0], [0, 0]]}, r"t: row of a token must be 0\.\.1, got 0\.\.2"),
    "too many keys": ({"tokens": [[0, 0]] * 10, "token_ms": [0] * 10}, "read: keys must be at most 9, got 10"),
}


@pytest.mark.parametrize("case", GIVEN)
def test_what_cannot_be_run_is_one_sentence(case: str) -> None:
    made = program(Node("read", CrossAttention(2, 1, 9, ACT, ACT, ACT, ACT), ("q", "t", "t")))
    good = {"tokens": [[0, 0], [1, 0]], "token_ms": [5, 9], "queries": [[1, 0]]}
    assert made.run(good).shape == (1, 2)
    given, said = GIVEN[case]
    if isinstance(given, Mapping) and given and "latents" not in given:
        given = good | given
    with pytest.raises(BadInput, match=said):
        made.run(given)
    with pytest.raises(BadInput, match="p answers whole windows and cannot stream"):
        made.stream()


def test_what_takes_counts_alone_says_so(tmp_path: Path) -> None:
    made = random_poyo(depth=1)
    for use in (lambda: compile_program(made, Engine.named("full")), lambda: Wiring(dead="1").apply(made)):
        with pytest.raises(
            UnsupportedOp, match="takes counts per bin, poyo0 reads tokens, token_ms, queries, query_ms"
        ):
            use()


def test_a_file_gives_an_equal_program_and_an_equal_file(tmp_path: Path) -> None:
    made = random_poyo()
    made.save(tmp_path / "a.edt")
    loaded = Program.load(tmp_path / "a.edt")
    loaded.save(tmp_path / "b.edt")
    assert loaded == made and (tmp_path / "a.edt").read_bytes() == (tmp_path / "b.edt").read_bytes()
    for given in windows():
        expected: dict[str, Codes] = made.trace(given)
        assert all(np.array_equal(codes, expected[name]) for name, codes in loaded.trace(given).items())


def test_one_changed_constant_makes_programs_unequal_and_the_order_of_inputs_does_not() -> None:
    made = random_poyo()
    latents = made.inputs[-2]
    assert latents.name == "latents" and latents.codes is not None
    other = (*made.inputs[:-2], Input.constant("latents", latents.codes[::-1]), made.inputs[-1])
    assert replace(made, inputs=other) != made
    assert replace(made, inputs=made.inputs[::-1]) == made


def test_the_file_of_a_network_of_counts_says_nothing_of_inputs(tmp_path: Path) -> None:
    random_ndt(0).save(tmp_path / "p.edt")
    with zipfile.ZipFile(tmp_path / "p.edt") as archive:
        assert (
            list(json.loads(archive.read("program.json")))
            == "schema name channels input accumulator meta nodes".split()
        )
    assert Program.load(tmp_path / "p.edt").sources == (Input(INPUT, 12, BINS),)


def test_no_damage_escapes_as_anything_but_one_sentence(tmp_path: Path) -> None:
    assert refused(tmp_path / "p.edt", random_poyo(depth=1), 100) > 70


@pytest.mark.parametrize("wrong", [None, "text", 1.5, True, [], {}, -1, 10**30], ids=repr)
def test_no_wrong_type_in_the_inputs_escapes_as_anything_but_one_sentence(tmp_path: Path, wrong: Any) -> None:
    def some(header: Any) -> list[Any]:
        return [*places(header["inputs"]), *random.Random(1).sample(list(places(header["nodes"])), 10)]

    for loaded in with_wrong(tmp_path / "p.edt", random_poyo(depth=1), some, wrong):  # another network, and a whole one
        assert loaded.inputs
