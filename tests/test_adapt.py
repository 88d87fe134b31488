"""`edgendt adapt`: of the run that comes out rows of units and of the session are new and nothing else, on any link."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs_package

torch = needs_package("torch")

from networks import random_counts, random_ndt, save_run  # noqa: E402
from reference_board import ReferenceBoard, on_a_pty  # noqa: E402

from edgendt import cli, quantize_poyo  # noqa: E402
from edgendt.artifact import Run, read_json  # noqa: E402
from edgendt.config import load_config  # noqa: E402
from edgendt.data.stimulus import stimulus  # noqa: E402
from edgendt.data.tokens import causal, whole  # noqa: E402
from edgendt.engine import layout as lay  # noqa: E402
from edgendt.engine.compile import Compiled  # noqa: E402
from edgendt.engine.config import Engine  # noqa: E402
from edgendt.engine.keys import compile_for  # noqa: E402
from edgendt.errors import BadInput  # noqa: E402
from edgendt.host.infer import infer  # noqa: E402
from edgendt.host.load import load  # noqa: E402
from edgendt.lower import lower  # noqa: E402
from edgendt.ops import Lookup  # noqa: E402
from edgendt.program import Program  # noqa: E402
from edgendt.qat.adapt_job import AdaptConfig, AdaptJob  # noqa: E402
from edgendt.qat.decode import ridge_score  # noqa: E402
from edgendt.qat.poyo import QuantPOYO  # noqa: E402
from edgendt.qat.recipe import QuantizeConfig  # noqa: E402
from edgendt.quantize import adapt, quantize  # noqa: E402
from edgendt.report import write_report  # noqa: E402
from edgendt.sim.links import execute  # noqa: E402
from edgendt.synth.usual import compiled_for  # noqa: E402
from edgendt.tools import find_tool  # noqa: E402
from edgendt.wiring import groups  # noqa: E402

PARENT = ["model.kind=poyo", "data.conditions=12", "train.steps=4", "train.val_every=2", "qat.steps=3"]
PARENT += ["poyo.window_ms=1000", "poyo.dim=16", "poyo.depth=1", "poyo.latents=2", "poyo.head_size=8"]
PARENT += ["poyo.self_heads=2"]
ROWS = {"embed.table", "query.table"}
TOKENS = Engine.named("tokens")


def config(*overrides: str) -> AdaptConfig:
    return load_config(AdaptConfig, None, ["steps=3", *overrides])


def other_lorenz(*overrides: str) -> AdaptConfig:
    """As many units as the parent has, others."""
    return config("seed=1", "data.conditions=12", *overrides)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the parent's run and a recording of nine units in two sessions, one of them without velocity."""
    root = tmp_path_factory.mktemp("runs")
    quantize(load_config(QuantizeConfig, None, PARENT), root, "parent", quiet=True)
    spikes = np.random.default_rng(0).poisson(1.0, (12, 10, 9))
    vel = np.random.default_rng(1).normal(size=(12, 10, 3))
    arrays: dict[str, Any] = {"friday/spikes": spikes, "friday/vel": vel[..., :2], "blind/spikes": spikes}
    arrays |= {"deep/spikes": spikes, "deep/vel": vel, "slow/spikes": spikes, "slow/vel": vel[..., :2]}
    arrays |= {"busy/spikes": 60 * spikes, "busy/vel": vel[..., :2]}
    arrays |= {"few/spikes": spikes[:3], "few/vel": vel[:3, :, :2]}
    lengths = dict.fromkeys(("friday", "blind", "deep", "busy", "few"), 0.1) | {"slow": 1.5}
    np.savez(root / "lab.npz", **arrays, **{f"{name}/bin_s": bin_s for name, bin_s in lengths.items()})
    return root


@pytest.fixture(scope="module")
def same(root: Path) -> dict[str, Any]:
    """Adapted to other units, as many as the parent has, on five trials."""
    return adapt(Run.open("parent", root), other_lorenz("trials=5"), root, "same", quiet=True)


@pytest.fixture(scope="module")
def fewer(root: Path) -> dict[str, Any]:
    """Adapted to nine units, on all training trials."""
    asked = config(f"data.source={root / 'lab.npz'}", "data.session=friday")
    return adapt(Run.open("parent", root), asked, root, quiet=True)


def program(run: str | Path, root: Path) -> Program:
    return Program.load(Run.open(run, root).stage("quantize") / "program.edt")


def moved(old: Program, new: Program) -> set[str]:
    """Constants that differ, and ops that do in more than the number of their rows, as NODE.NAME."""
    assert [(node.name, node.inputs) for node in old.nodes] == [(node.name, node.inputs) for node in new.nodes]
    found = set()
    for a, b in zip(old.nodes, new.nodes, strict=True):
        op = replace(b.op, rows=a.op.rows) if isinstance(a.op, Lookup) and isinstance(b.op, Lookup) else b.op
        found |= {f"{a.name}.op"} if op != a.op else set()
        assert a.constants.keys() == b.constants.keys()
        found |= {f"{a.name}.{key}" for key in a.constants if not np.array_equal(a.constants[key], b.constants[key])}
    return found


def test_rows_alone_are_new(root: Path, same: dict[str, Any], fewer: dict[str, Any]) -> None:
    parent = program("parent", root)
    for result, units in ((same, 30), (fewer, 9)):
        new = program(result["run"], root)
        assert moved(parent, new) == ROWS
        assert new.node("embed").op.rows == units and new.node("query").op.rows == 1  # type: ignore[union-attr]
        assert (parent.accumulator, parent.inputs) == (new.accumulator, new.inputs)


def test_a_network_whose_weights_moved_as_well_is_found(root: Path, same: dict[str, Any]) -> None:
    """A parameter that was left to train is a difference that the test above sees."""
    net = QuantPOYO.load(Run.open(same["run"]).stage("quantize") / "qat.pt")
    linear = next(step for step in net.graph if step.kind == "linear")
    weight = net.part(linear).weight
    with torch.no_grad():
        weight[0, 0] = -weight[0, 0]
    assert moved(program("parent", root), net.program()) == {*ROWS, f"{linear.name}.weight"}


def test_the_engine_stays_and_its_program_too(root: Path, same: dict[str, Any], fewer: dict[str, Any]) -> None:
    """As many units: position words alone. Another number: also the addresses of what lies behind the tables."""
    parent = compile_for(program("parent", root), TOKENS)
    for result, memories in ((same, {lay.MEM_POS}), (fewer, {lay.MEM_POS, lay.MEM_PROG})):
        new = program(result["run"], root)
        name, compiled = compiled_for(None, new)
        assert (name, compiled.engine.parameters()) == ("tokens", parent.engine.parameters())
        assert differing(parent, compiled) == memories
        assert compiled.sizes["prog"] == parent.sizes["prog"]


def test_a_board_that_ran_the_parent_is_loaded_with_it_and_gives_its_integers(
    root: Path, same: dict[str, Any], fewer: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_package("serial")
    monkeypatch.setenv("EDGENDT_CACHE", str(tmp_path / "cache"))
    runs = [Run.open(name, root) for name in ("parent", same["run"], fewer["run"])]
    built = [compile_for(program(run.path, root), TOKENS) for run in runs]
    with on_a_pty(ReferenceBoard(*built)) as port:
        for run in runs:
            load(run, port, "ulx3s-85f", quiet=True)
            got = infer(run, port, "ulx3s-85f", trials=1, quiet=True)
            assert (got["mismatches"], got["checked"]) == (0, True) and got["codes"] > 0
        with pytest.raises(BadInput, match="first, or give the --outputs"):
            infer(runs[0], port, "ulx3s-85f", trials=1, quiet=True)


def differing(one: Compiled, other: Compiled) -> set[int]:
    """Memories that one image writes other words to than the other; both write to the same ones, in the same order."""
    sections = list(zip(one.image.sections, other.image.sections, strict=True))
    assert [(a.mem, a.start) for a, _ in sections] == [(b.mem, b.start) for _, b in sections]
    return {a.mem for a, b in sections if not np.array_equal(a.words, b.words)}


def test_its_links_and_its_report_take_it_as_any_other_run(root: Path, same: dict[str, Any]) -> None:
    run = Run.open(same["run"])
    stage, new = run.stage("quantize"), program(same["run"], root)
    assert new == QuantPOYO.load(stage / "qat.pt").program() == lower(stage / "model.onnx")
    request = {"run": str(run.path), "folder": str(root), "bins": 60, "engine": None, "waves": False}
    for link in ("torch", "qonnx", *(["hls4ml"] if find_tool("g++") else [])):
        got = execute({"link": link, **request})
        assert (got.status, got.mismatches, got.ops) == ("pass", 0, len(new.trace_points)), got.reason
    said = json.loads((write_report(run).parent / "report.json").read_text())
    assert said["accuracy"]["metrics"]["integer"]["velocity_r2"] == same["metrics"]["integer"]["velocity_r2"]
    assert said["data"]["train"] == 5 and said["said"]["session"] == "lorenz/0"


def test_it_says_what_it_learned_from_and_how_good_it_is(root: Path, same: dict[str, Any]) -> None:
    stage = Run.open(same["run"]).stage("quantize")
    said = read_json(stage / "metrics.json")
    assert said == {key: same[key] for key in ("parent", "trials", "metrics")} and said["trials"] == 5
    job = AdaptJob.of(Run.open("parent", root), load_config(AdaptConfig, stage / "config.toml"))
    (data,), (parts,) = job.sessions.data, job.sessions.splits
    assert len(parts.train) == 5 and not len(parts.val) and job.config == other_lorenz("trials=5", "data.source=lorenz")
    old, new = (QuantPOYO.load(Run.open(name, root).stage("quantize") / "qat.pt") for name in ("parent", "same"))
    assert said["metrics"]["integer"] == {
        "before_r2": job.sessions.score(old, 0, parts.test, causal),
        "velocity_r2": job.sessions.score(new, 0, parts.test, causal),
        "whole_window_r2": job.sessions.score(new, 0, parts.test, whole),
    }
    assert said["metrics"]["baseline"] == {"velocity_r2": ridge_score(data.binned, parts)}
    for name in ("float", "control"):
        assert all(np.isfinite(value) for value in said["metrics"][name].values())
    table = cli.metrics_table(same).renderables[0]
    title = str(table.title)
    assert title.endswith(f"{same['parent']} adapted on 5 trials")


def test_velocity_comes_back_in_the_units_of_the_session(root: Path, same: dict[str, Any]) -> None:
    run, new = Run.open(same["run"]), program(same["run"], root)
    job = AdaptJob.of(Run.open("parent", root), other_lorenz("trials=5"))
    net = QuantPOYO.load(run.stage("quantize") / "qat.pt")
    expected = job.sessions.predict(net, 0, job.sessions.splits[0].test, whole)
    codes = np.stack([new.run(given) for given in stimulus(run, new, None)])
    said = groups(new)["velocity"].values(codes, new.output_format)
    assert np.allclose(said, expected, rtol=1e-12, atol=1e-12)  # of floats, whose scale may be multiplied in any order


def test_few_trials_are_the_first_ones_and_the_test_trials_stay(root: Path) -> None:
    splits = [
        AdaptJob.of(Run.open("parent", root), other_lorenz(*more)).sessions.splits[0] for more in ([], ["trials=3"])
    ]
    assert np.array_equal(splits[0].train[:3], splits[1].train) and np.array_equal(splits[0].test, splits[1].test)
    assert len(splits[0].val) == 1 and not len(splits[1].val)


def test_with_another_number_of_units_there_is_no_score_before(fewer: dict[str, Any]) -> None:
    assert [fewer["metrics"][name]["before_r2"] for name in ("float", "control", "integer")] == [None] * 3
    assert fewer["trials"] == 9 and Path(fewer["run"]).name.startswith("parent-friday-")


def test_an_adapted_run_adapts_again(root: Path, fewer: dict[str, Any]) -> None:
    job = AdaptJob.of(Run.open(fewer["run"]), other_lorenz("data.source=lorenz"))
    assert moved(program("parent", root), job.untrained().program()) == ROWS
    assert job.digest() != AdaptJob.of(Run.open("parent", root), other_lorenz()).digest()
    with pytest.raises(BadInput, match=r"lab\.npz \(friday\).*was trained on this session and knows it"):
        AdaptJob.of(Run.open(fewer["run"]), config("data.session=friday"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, r"run \S+parent was trained on this session and knows it: choose another by --session or --data"),
        ({"data.source": "lab.npz"}, "several sessions, choose one with --session NAME: blind, busy, deep"),
        ({"data.source": "lab.npz", "data.session": "monday"}, "no session monday; it has blind, busy, deep"),
        ({"data.source": "lab.npz", "data.session": "friday,few"}, "must be one session, .* got 'friday,few'"),
        ({"data.source": "lab.npz", "data.session": "blind"}, "decoded to velocity, and it has no `vel`"),
        ({"data.source": "lab.npz", "data.session": "deep"}, r"velocity has 3 axes, run \S+parent answers 2"),
        (
            {"data.source": "lab.npz", "data.session": "slow"},
            r"a bin lasts 1500 ms, the windows of run \S+ 1000: adapt",
        ),
        ({"data.source": "lab.npz", "data.session": "busy"}, r"holds \d+ tokens, the sums 4112 at most: adapt a run"),
        ({"data.source": "lab.npz", "data.session": "few"}, "3 trials are too few to split"),
        ({"data.source": "lab.npz", "data.session": "friday", "trials": 10}, r"3 to 9, the training .* got 10"),
        ({"seed": 1, "data.conditions": 12, "trials": 2}, "trials must be 3 to 9, the training trials of lorenz"),
        ({"data.source": "silent.npz"}, "spikes is empty"),
        ({"data.source": "none.npz"}, "none.npz does not exist"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"lr": 2.0}, "lr must be positive and below 1, got 2.0"),
        ({"seed": -1}, "seed must be 0 to"),
        ({"poyo.window_ms": 500}, "poyo in options is not an option: known are seed, trials, steps"),
    ],
)
def test_what_cannot_be_adapted_to_is_one_sentence(options: Mapping[str, Any], sentence: str, root: Path) -> None:
    np.savez(root / "silent.npz", spikes=np.zeros((12, 10, 0)), vel=np.zeros((12, 10, 2)))
    values = {"data.conditions": 12} | dict(options)
    if str(options.get("data.source", "")).endswith(".npz"):
        values["data.source"] = str(root / options["data.source"])
    before = {path.name for path in root.iterdir()}
    with pytest.raises(BadInput, match=sentence):
        adapt(Run.open("parent", root), load_config(AdaptConfig, None, [], values), root, quiet=True)
    assert {path.name for path in root.iterdir()} == before


def test_another_network_is_no_parent_and_a_run_is_not_its_own_child(root: Path, tmp_path: Path) -> None:
    ndt = random_ndt(0)
    run = save_run(tmp_path / "ndt", ndt, [len(random_counts(ndt, 0, 9))])
    with pytest.raises(BadInput, match=r"run \S+ndt is no POYO: give one that `edgendt quantize --model poyo` made"):
        adapt(run, config(), tmp_path, "new")
    shutil.copytree(root / "parent", tmp_path / "torn")
    (tmp_path / "torn" / "quantize" / "float.pt").write_bytes(b"torn")
    with pytest.raises(BadInput, match=r"torn/quantize cannot be read: "):
        adapt(Run(tmp_path / "torn"), config(), tmp_path, "new")
    with pytest.raises(BadInput, match="has no quantize stage: run `edgendt quantize` first"):
        adapt(Run(tmp_path), config(), tmp_path, "new")
    with pytest.raises(BadInput, match="must be another than that of the run that is adapted, got 'parent'"):
        adapt(Run.open("parent", root), other_lorenz(), root, "parent")


def test_windows_without_room_are_told_before_training(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize_poyo, "rooms", lambda program: {"tokens": 3, "kria": 2047})
    said: list[str] = []

    def interrupt(*step: Any) -> None:
        raise KeyboardInterrupt(*said)

    told = r"engine tokens \(room for 3\): lower poyo\.window_ms of run \S+parent, now 1000, or take --engine kria"
    with pytest.raises(KeyboardInterrupt, match=told):
        adapt(Run.open("parent", root), other_lorenz(), root, "long", progress=interrupt, warn=said.append)


def test_a_key_may_stand_where_the_run_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, said in (
        (["steps=9"], f"there is no run in {tmp_path}/"),
        (["mine", "steps=9"], "run mine does not exist"),
    ):
        monkeypatch.setattr("sys.argv", ["edgendt", "adapt", *words, "--runs", str(tmp_path)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 2 and said in capsys.readouterr().err
