"""The report: one page that stands alone, every number in it from the run's JSON, missing stages named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import ROOT, needs_package
from report_runs import (
    BOARD,
    LINKS,
    METRICS,
    SYNTH,
    VELOCITY,
    add_profile,
    add_quantize,
    add_sim,
    add_synth,
    whole_run,
)

from edgendt.artifact import Run, read_json, write_json
from edgendt.errors import BadInput
from edgendt.fixed import Codes
from edgendt.program import Program
from edgendt.report import write_report
from edgendt.report.page import resolve
from edgendt.report.spatial import drivers

VOID = {"meta", "br"}
FREE = {"svg", "code", "th", "h1", "h3", "title", "style"}  # digits there are names, axes or commands


class Page(HTMLParser):
    """Checks that tags balance, and collects attributes, <data> elements and the text outside of FREE elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.data: list[tuple[str, str, str]] = []
        self.prose: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "data":
            found = dict(attrs)
            self.data.append((found["data-from"], found["value"], ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if "data" in self.open:
            pointer, value, shown = self.data[-1]
            self.data[-1] = pointer, value, shown + data
        elif not FREE & set(self.open):
            self.prose.append(data)


def read(path: Path) -> tuple[Page, dict, str]:
    html = path.read_text()
    return Page(html), json.loads((path.parent / "report.json").read_text()), html


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    run = whole_run(tmp_path_factory.mktemp("runs"))
    add_profile(run)
    return run, *read(write_report(run))


def test_page_refers_to_nothing_outside_itself(report):
    _, page, _, html = report
    for tag, name, value in page.attributes:
        assert name not in {"src", "srcset", "action", "poster"}, (tag, name)
        if name.endswith("href"):
            assert value.startswith(("#", "data:image/png;base64,")), (tag, value[:40])
    assert not {"script", "link", "iframe", "img"} & {tag for tag, _, _ in page.attributes}
    assert not re.search(r"https?:|@import|url\((?!#)", html)


def test_every_reference_inside_the_page_has_one_target(report):
    _, page, _, html = report
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', html)
    assert {a or b for a, b in used} <= set(ids)


def test_every_number_on_the_page_is_in_the_json(report):
    _, page, data, _ = report
    assert len(page.data) > 60
    for pointer, value, shown in page.data:
        exact = resolve(data, pointer)
        assert str(exact) == value, pointer
        plain = shown.replace(",", "").replace("−", "-")
        decimals = len(plain.partition(".")[2])
        assert f"{exact:.{decimals}f}" == plain.removeprefix("+"), pointer
    names = re.compile(f"R²|p50|p99|hls4ml|{BOARD}")
    stray = [text for text in page.prose if re.search(r"\d", names.sub("", text))]
    assert stray == []


def test_the_json_holds_what_the_stages_wrote(report):
    run, _, data, _ = report
    assert data["accuracy"]["metrics"] == METRICS
    assert data["accuracy"]["change_percent"]["co_bps"] == pytest.approx(100 * (0.5619 / 0.5634 - 1), abs=1e-3)
    assert data["accuracy"]["velocity"] == VELOCITY
    assert [link["codes"] for link in data["chain"]["links"]] == [link[4] for link in LINKS]
    assert (data["chain"]["passed"], data["chain"]["mismatches"]) == (3, 2)
    assert data["boards"][BOARD]["synth"] == SYNTH | {"status": "done"}
    profile = read_json(run.stage(f"profile-{BOARD}") / "profile.json")
    assert data["boards"][BOARD]["path"] == [
        {"ns": 5.83, "where": "u_engine.u_fifo.memory.0.0", "kinds": ["clk-to-q"]},
        {"ns": 4.06, "where": "u_engine.u_crc.crc_q", "kinds": ["routing", "logic"]},
    ]
    assert data["boards"][BOARD]["profile"] == profile | {"status": "done"}
    assert {stage["stage"] for stage in data["provenance"]} == {"quantize", "sim", f"synth-{BOARD}", f"profile-{BOARD}"}


def test_figures_show_the_numbers_of_the_json(report):
    _, page, data, _ = report
    text = "".join(page.text)
    for cycles in data["boards"][BOARD]["profile"]["by_op"].values():
        assert f"{cycles}" in text
    for scores in METRICS.values():
        assert all(f"{score:.3f}" in text for score in scores.values())
    assert all(f"{score:.4f}" in text for score in VELOCITY.values())


def test_a_failed_link_shows_its_first_difference(report):
    _, page, _, _ = report
    text = "".join(page.text)
    assert "✗ fail" in text and "layer0.ln1 bin 3 index 7: expected 12, got 13" in text
    assert "skipped" in text and "pip install 'edgendt[hls]'" in text


def test_every_latency_names_its_stage(report):
    _, page, data, _ = report
    profile = data["boards"][BOARD]["profile"]
    text = " ".join("".join(page.text).split())
    assert f"{profile['cycles_stage']} at the {profile['clock_stage']} clock" in text
    assert "share of the part, post-route" in text


def test_writing_twice_gives_the_same_bytes(report):
    run, _, _, html = report
    assert write_report(run).read_text() == html


def test_missing_stages_name_their_commands(tmp_path):
    run = Run(tmp_path / "half")
    add_quantize(run)
    page, data, _ = read(write_report(run))
    text = " ".join("".join(page.text).split())
    for verb in ("sim", "synth", "profile"):
        assert f"not run. Run edgendt {verb} {run.path}" in text
    assert data["chain"] == {"status": "not run", "command": f"edgendt sim {run.path}"}


def test_a_folder_without_a_stage_is_no_run(tmp_path):
    with pytest.raises(BadInput, match="run `edgendt quantize` first"):
        write_report(Run(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_a_network_still_makes_a_page(tmp_path):
    run = Run(tmp_path / "bare")
    add_synth(run)
    page, _, html = read(write_report(run))
    assert "Run edgendt quantize" in " ".join("".join(page.text).split())
    assert "<svg" not in html


def test_a_recording_without_truth_or_velocity_is_shown(tmp_path):
    run = Run(tmp_path / "bare")
    add_quantize(run, velocity=False, truth=False)
    page, data, html = read(write_report(run))
    assert data["neural"]["integer_true_r"] is None
    assert "true rate" not in "".join(page.text) and 'aria-label="Velocity' not in html


def test_counts_that_are_cut_are_told(tmp_path):
    run = Run(tmp_path / "bare")
    add_quantize(run, velocity=False, truth=False)
    assert ("/data/clipped", "4", "4") in read(write_report(run))[0].data
    written = run.path / "quantize" / "data.json"
    write_json(written, read_json(written) | {"clipped": 0})
    page, _, html = read(write_report(run))
    assert "/data/clipped" not in [pointer for pointer, _, _ in page.data] and "cut to its largest" not in html


def test_padding_is_never_shown_or_scored(tmp_path):
    plain, padded = Run(tmp_path / "a"), Run(tmp_path / "b")
    add_quantize(plain)
    add_quantize(padded)
    path = padded.path / "quantize" / "predictions.npz"
    with np.load(path) as file:
        arrays = dict(file)
    for key in ("rates_integer", "rates_float", "spikes"):
        for trial, length in enumerate(arrays["lengths"]):
            arrays[key][trial, length:] = 1000
    np.savez(path, **arrays)
    one, two = (read(write_report(run))[1]["neural"] for run in (plain, padded))
    assert one == two


def test_predictions_without_a_needed_key_are_refused(tmp_path):
    run = Run(tmp_path / "old")
    add_quantize(run)
    np.savez(run.path / "quantize" / "predictions.npz", spikes=np.zeros((1, 2, 3)))
    with pytest.raises(BadInput, match=r"lacks rates_integer, rates_float, lengths"):
        write_report(run)


def test_predictions_whose_shapes_disagree_are_refused(tmp_path):
    run = Run(tmp_path / "odd")
    add_quantize(run)
    path = run.path / "quantize" / "predictions.npz"
    with np.load(path) as file:
        np.savez(path, **dict(file) | {"rates_float": file["rates_float"][..., :7]})
    with pytest.raises(BadInput, match=r"rates_float has shape \[6, 50, 7\]"):
        write_report(run)


def test_a_vendor_project_without_a_clock_says_its_stage(tmp_path):
    run = Run(tmp_path / "vendor")
    add_quantize(run)
    add_sim(run)
    changes = {"flow": "hls4ml", "stage": "project", "fmax_mhz": None, "resources": None, "bitstream": None}
    add_synth(run, board="pynq-z2", critical_path=None, **changes)
    page, _, _ = read(write_report(run))
    text = "".join(page.text)
    assert "No clock: this stage is “project”, hls4ml flow." in text
    assert "No latency: in the hls4ml flow" in text and "edgendt profile" not in text


def test_cycles_of_a_vendor_project_stand_side_by_side(tmp_path):
    """Analytic alone before a tool has run; then the tool's too, and a note on what it did not say."""
    run = Run(tmp_path / "vendor")
    add_quantize(run)
    ops = [{"name": "embed", "calls": 12, "analytic": 31, "hls_estimate": 35, "module": "m"}]
    ops.append({"name": "readout", "calls": 1, "analytic": 6401, "hls_estimate": None, "module": None})
    sides = {"call": {"analytic": 2404, "hls_estimate": 2619}, "golden_call": {"analytic": 1804, "simulated": 1990}}
    changes = {"flow": "hls4ml", "fmax_mhz": None, "resources": None, "bitstream": None, "critical_path": None}
    changes |= {"compared": sides | {"ops": ops}, "notes": ["no module says that"]}
    for stage, more in (("project", {}), ("hls-estimate", {"modules": []})):
        add_synth(run, board="pynq-z2", stage=stage, **changes, **more)
        page, _, _ = read(write_report(run))
        text = "".join(page.text)
        assert ("No latency: in the hls4ml flow" in text) == (stage == "project")
        assert "No module says that." in text and "6,401" in text
        at = "/boards/pynq-z2/synth/compared/"
        shown = {pointer.removeprefix(at): int(value) for pointer, value, _ in page.data if pointer.startswith(at)}
        assert shown == {
            "call/analytic": 2404,
            "call/hls_estimate": 2619,
            "golden_call/analytic": 1804,
            "golden_call/simulated": 1990,
            "ops/0/calls": 12,
            "ops/0/analytic": 31,
            "ops/0/hls_estimate": 35,
            "ops/1/calls": 1,
            "ops/1/analytic": 6401,
        }


def test_a_stage_of_an_older_network_is_called_stale(tmp_path):
    run = whole_run(tmp_path)
    page, data, _ = read(write_report(run))
    assert data["stale"] == []
    add_quantize(run, seed=12)
    page, data, _ = read(write_report(run))
    assert [(old["stage"], old["input"]) for old in data["stale"]] == [
        ("sim", "program.edt"),
        (f"synth-{BOARD}", "program.edt"),
    ]
    assert f"Run edgendt synth {run.path} --board {BOARD} again" in "".join(page.text)


def test_the_page_says_whether_what_was_simulated_was_built(tmp_path):
    run = whole_run(tmp_path)
    page, data, _ = read(write_report(run))
    assert data["boards"][BOARD]["same_sources"] is True
    assert "is the one that the simulation proved" in "".join(page.text)
    add_synth(run, sources={"edt_core.sv": "0000", "edt_lane.sv": "77aa"})
    page, data, _ = read(write_report(run))
    assert data["boards"][BOARD]["same_sources"] is False
    assert "not the engine that the simulation proved" in "".join(page.text)


def test_a_profiled_board_stands_at_the_top(tmp_path):
    run = Run(tmp_path / "two")
    add_quantize(run)
    add_synth(run, board="a-board", fmax_mhz=None, stage="project", flow="hls4ml")
    add_synth(run)
    add_profile(run)
    page, data, _ = read(write_report(run))
    assert data["main_board"] == BOARD and f"clock on {BOARD}" in page.text


def test_the_page_says_with_which_options_a_network_was_profiled(tmp_path):
    run = whole_run(tmp_path)
    add_profile(run)
    assert "Of the network loaded with" not in read(write_report(run))[2]
    written = run.path / f"profile-{BOARD}" / "profile.json"
    write_json(written, read_json(written) | {"wiring": "--outputs velocity --dead 3"})
    assert "Of the network loaded with <code>--outputs velocity --dead 3</code>." in read(write_report(run))[2]


@pytest.mark.parametrize("text", ["{", "[]", "{}", "3", '{"links": [3]}'])
@pytest.mark.parametrize(
    "file", ["quantize/metrics.json", "quantize/data.json", "quantize/manifest.json", "sim/sim.json"]
)
def test_a_stage_that_holds_something_else_is_one_sentence(tmp_path, file, text):
    run = Run(tmp_path / "r")
    add_quantize(run)
    add_sim(run)
    (run.path / file).write_text(text)
    with pytest.raises(BadInput, match=f"{Path(file).name} cannot be read: ") as caught:
        write_report(run)
    assert "\n" not in str(caught.value) and not run.has("report")


def test_names_are_escaped(tmp_path):
    run = Run(tmp_path / "<b>bold")
    add_synth(run)
    page, _, html = read(write_report(run))
    assert "<b>" not in html and "<b>bold" in "".join(page.text)


def test_the_channels_that_give_most_are_named() -> None:
    a = np.full((4, 4), 0.1)
    a[:, 2] = 0.4
    a[1, 1] = 0.9  # what a channel keeps for itself is given to nobody
    first, second, *_ = drivers(a)
    assert first == {"channel": 2, "share": pytest.approx(0.4 / 0.7)} and second["channel"] != 2


def spatial_run(folder: Path, embedder: Codes | None = None, name: str = "stndt") -> tuple[Run, Program, Codes]:
    """The quantize stage of an STNDT, three trials; embedder: other weights of the first Linear."""
    needs_package("torch")
    from quantized import program_of, spikes, trained

    q = trained(name)
    program, run = program_of(q), Run(folder / "spatial")
    if embedder is not None:
        first, *others = program.nodes
        constants = {**first.constants, "weight": embedder}
        program = replace(program, nodes=(replace(first, constants=constants), *others))
    counts = program.clip(spikes(q.config, 3))[0]
    with run.write("quantize") as stage:
        program.save(stage / "program.edt")
        write_json(stage / "metrics.json", METRICS)
        np.savez(stage / "stimulus.npz", counts=counts, lengths=np.full(3, len(counts[0])), bin_s=0.01)
    return run, program, counts


def test_weights_between_channels_are_drawn_from_the_programs_codes(tmp_path: Path) -> None:
    run, program, counts = spatial_run(tmp_path)
    html = write_report(run).read_text()
    data = read_json(run.path / "report" / "report.json")["spatial"]
    assert data["windows"] == 3 and [layer["node"] for layer in data["layers"]] == ["layer0.weights", "layer1.weights"]
    expected = np.mean([program.trace(trial)["layer0.weights"] for trial in counts], axis=0)
    assert data["layers"][0]["drivers"] == [{**row, "share": pytest.approx(row["share"])} for row in drivers(expected)]
    assert "Which channels drive the population" in html and "of whole windows" in html


def test_weights_are_read_as_the_page_on_stndts_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    run, program, counts = spatial_run(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "stndt.md").read_text(), re.DOTALL)
    found: dict[str, Any] = {}
    exec(code.replace('"RUN"', repr(run.path.name)), found)
    assert np.array_equal(found["codes"], program.trace(counts[0])["layer0.weights"])
    assert capsys.readouterr().out == f"{drivers(found['means']['layer0.weights'])}\n"


def test_a_whole_window_is_not_said_to_come_bin_by_bin(tmp_path: Path) -> None:
    run, *_ = spatial_run(tmp_path)
    html = write_report(run).read_text()
    assert "a spatiotemporal neural data transformer of whole windows" in html and "time of one window" in html
    assert "one bin at a time" not in html and "mean over <data" in html


def test_weights_of_a_stream_are_means_over_its_bins(tmp_path: Path) -> None:
    run, program, counts = spatial_run(tmp_path, name="causal stndt")
    html = write_report(run).read_text()
    layer = read_json(run.path / "report" / "report.json")["spatial"]["layers"][0]
    codes = np.concatenate([program.trace(trial)["layer0.weights"].reshape(-1, 8, 8)[:, :7, :7] for trial in counts])
    assert layer["drivers"] == [{**row, "share": pytest.approx(row["share"])} for row in drivers(codes.mean(0))]
    assert "a causal spatiotemporal neural data transformer" in html and "mean over all bins of" in html


def test_columns_that_an_embedder_mixes_are_not_called_channels(tmp_path: Path) -> None:
    run, *_ = spatial_run(tmp_path, np.ones((12, 9), np.int64))
    html = write_report(run).read_text()
    assert read_json(run.path / "report" / "report.json")["spatial"] == {"status": "none"}
    assert "Which channels drive the population" not in html and "of whole windows" in html
