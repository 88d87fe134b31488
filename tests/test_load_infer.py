"""`edgendt load` and `edgendt infer` against a board in Python behind a pty: what they say, keep and refuse."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs_package
from networks import keep_run, random_counts, random_ndt, random_of, save_run
from reference_board import Networks, ReferenceBoard, on_a_pty
from rich.console import Console
from test_cli import edgendt

from edgendt.artifact import Run, read_json
from edgendt.boards import Board
from edgendt.cli import infer_table, load_line
from edgendt.data.stimulus import packed, stimulus
from edgendt.data.tokens import spikes_last
from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_per_start
from edgendt.engine.keys import compile_for
from edgendt.engine.protocol import Kind, bytes_per_bin, slip
from edgendt.engine.reference import S
from edgendt.errors import BadInput, CyclesDiffer, Mismatch
from edgendt.fixed import Codes
from edgendt.host import Kept, Link, LinkError, attach
from edgendt.host.infer import infer
from edgendt.host.load import load
from edgendt.host.wire import BITS
from edgendt.profile import latency
from edgendt.program import Program
from edgendt.wiring import Wiring

needs_package("serial")
BOARD = "ulx3s-85f"
SMALL, FULL = Engine.named("small"), Engine.named("full")
NETWORKS = {name: random_ndt(seed, channels=5, d=8, outputs=4, window=4, bins=12) for seed, name in enumerate("ab")}
COMPILED = {name: compile_program(program, SMALL) for name, program in NETWORKS.items()}
LENGTHS = (12, 7, 12)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept images of other tests and other days stay out."""
    monkeypatch.setenv("EDGENDT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(attach, "SECONDS", {attach.BOARD: 2.0, attach.EMULATED: 2.0})


def run_of(name: str, folder: Path) -> Run:
    """A run whose network is NETWORKS[name] and whose test trials have LENGTHS."""
    return save_run(folder / name, NETWORKS[name], LENGTHS)


def expected(program: Program, counts: Codes) -> Codes:
    """Output codes [bins, outputs] of one trial."""
    return program.run(counts)


def test_a_run_is_loaded_and_every_answer_equals_the_program(tmp_path: Path) -> None:
    run, program = run_of("a", tmp_path), NETWORKS["a"]
    with on_a_pty(ReferenceBoard(*COMPILED.values())) as port:
        loaded = load(run, port, BOARD, quiet=True)
        got = infer(run, port, BOARD, quiet=True)
    frames = list(COMPILED["a"].image.frames())
    assert (loaded["frames"], loaded["repeats"], loaded["stage"]) == (len(frames), 0, "emulated")
    assert loaded["bytes"] > sum(map(len, frames)) and loaded["seconds"] > 0
    assert (got["repeats"], got["clipped"]) == (0, 0)
    assert (loaded["bad_frames"], loaded["refused"]) == (got["bad_frames"], got["refused"]) == (0, 0)
    assert (got["trials"], got["bins"], got["mismatches"]) == (3, sum(LENGTHS), 0)
    assert got["codes"] == sum(LENGTHS) * program.outputs and got["stage"] == "emulated"
    assert 0 < got["round_trip_us"]["p50"] <= got["round_trip_us"]["p99"] <= got["round_trip_us"]["max"]
    assert got["bytes"]["p50"] == sum(bytes_per_bin(5, 4, program.input.hi)) <= got["bytes"]["max"]
    folder = run.stage(f"infer-{BOARD}")
    assert {key: got[key] for key in got if key != "answers"} == read_json(folder / "infer.json")
    with np.load(folder / "answers.npz") as kept, np.load(run.stage("quantize") / "stimulus.npz") as stimulus:
        assert kept["codes"].shape == (3, 12, program.outputs) and kept["lengths"].tolist() == list(LENGTHS)
        for trial, length in enumerate(LENGTHS):
            codes = expected(program, stimulus["counts"][trial, :length])
            assert np.array_equal(kept["codes"][trial, :length], codes)
            rates = np.exp(codes * program.output_format.scale).astype(np.float32)
            assert np.array_equal(kept["rates"][trial, :length], rates)
        assert kept["cycles"][1, 7:].sum() == kept["rates"][1, 7:].sum() == 0 and (kept["cycles"][0] > 0).all()


def test_a_full_sized_network_loads_in_a_second_at_the_boards_baud() -> None:
    """Analytic: ten bits for each byte that the driver sends; the answers have a wire of their own."""
    compiled = compile_program(random_of(S, 1, S.window), FULL)
    board = Counting(compiled)
    link = Link(board)
    link.load(compiled.image)
    open_tools = Board.named(BOARD).open
    assert open_tools is not None and open_tools.baud == 3_000_000
    assert link.repeats == 0 and board.sent * BITS <= open_tools.baud
    assert board.sent > sum(map(len, compiled.image.frames())) and link.status()[1].image_crc == compiled.image.crc


class Counting(ReferenceBoard):
    """Counts the bytes that it is sent."""

    sent = 0

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        super().write(data)


def stndt() -> tuple[Program, dict[str, Any]]:
    """A network of whole windows, and windows that are not all as long."""
    program = random_ndt(1, channels=5, d=8, outputs=4, bins=6, causal=False, spatial=2)
    counts = np.stack([random_counts(program, trial, 6) for trial in range(2)])
    counts[1, 4:] = 0
    return program, {"counts": counts, "lengths": np.array([6, 4])}


def poyo() -> tuple[Program, dict[str, Any]]:
    """A network of tokens, and windows of other numbers of tokens and queries."""
    needs_package("torch")
    from poyos import random_poyo, windows

    return random_poyo(0, depth=1), packed([spikes_last(given) for given in windows()])


@pytest.mark.parametrize(
    "made, engine, starts", [(stndt, "window", [12, 12]), (poyo, "tokens", None)], ids=["stndt", "poyo"]
)
def test_whole_windows_are_loaded_and_every_answer_equals_the_program(
    made: Callable[[], tuple[Program, dict[str, Any]]], engine: str, starts: list[int] | None, tmp_path: Path
) -> None:
    program, arrays = made()
    run = keep_run(tmp_path / "run", program, **arrays)
    trials, compiled = stimulus(run, program, None), compile_for(program, Engine.named(engine))
    with on_a_pty(ReferenceBoard(compiled)) as port:
        assert load(run, port, BOARD, quiet=True)["engine"] == engine
        got = infer(run, port, BOARD, quiet=True)
    every = [program.run(trial) for trial in trials]
    assert (got["trials"], got["bins"], got["mismatches"]) == (len(trials), sum(map(len, every)), 0)
    assert got["codes"] == sum(codes.size for codes in every) and got["whole_window"] == program.bins
    with np.load(got["answers"]) as kept:
        assert kept["lengths"].tolist() == [len(codes) for codes in every]
        for trial, codes in enumerate(every):
            assert np.array_equal(kept["codes"][trial, : len(codes)], codes)
        took = [cycles_per_start(compiled, trial) for trial in trials]
        assert [len(one) for one in took] == (starts or [len(compiled.starts(trial)) for trial in trials])
        for one, cycles in zip(took, kept["cycles"], strict=True):
            assert cycles[: len(one)].tolist() == one


def test_outputs_and_channels_are_chosen_when_a_network_is_loaded(tmp_path: Path) -> None:
    run, wiring = run_of("a", tmp_path), Wiring("3,0", "4,-,0:4", "2")
    wired = wiring.apply(NETWORKS["a"])
    with on_a_pty(ReferenceBoard(*COMPILED.values(), compile_program(wired, SMALL))) as port:
        loaded = load(run, port, BOARD, wiring=wiring, quiet=True)
        assert (loaded["channels"], loaded["outputs"]) == (6, 2)
        got = infer(run, port, BOARD, wiring=wiring, quiet=True)
        with pytest.raises(
            BadInput, match=r"first, or give the --outputs, --channels and --dead that it was loaded with"
        ):
            infer(run, port, BOARD, quiet=True)
        options = ["--outputs", "3,0", "--channels", "4,-,0:4", "--dead", "2"]
        for verb in ("load", "infer"):
            done = edgendt(verb, str(run.path), "--port", port, *options, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        done = edgendt("infer", str(run.path), "--port", port, *options[:4], cwd=tmp_path)
        assert (
            done.returncode == 2 and f"load {run.path} --port {port} --outputs 3,0 --channels 4,-,0:4`" in done.stderr
        )
        done = edgendt("load", str(run.path), "--port", port, "--dead", "5", cwd=tmp_path)
        assert done.returncode == 2 and "--dead: numbers go from 0 to 4, got 5" in done.stderr
    assert (got["codes"], got["mismatches"]) == (2 * sum(LENGTHS), 0)
    with np.load(run.stage("quantize") / "stimulus.npz") as stimulus, np.load(got["answers"]) as kept:
        counts = stimulus["counts"][0].copy()
        counts[:, 0] = 0  # its electrode is dead
        assert np.array_equal(kept["codes"][0], NETWORKS["a"].run(counts)[:, [3, 0]])
        assert kept["rates"].shape == (3, 12, 2)


class Wrong(Networks):
    """A core with one wrong code, or one cycle too many, in bin 3."""

    code, cycle = 0, 0

    def step(self, counts):
        codes, cycles = super().step(counts)
        if self.bin == 4:
            codes[2], cycles = codes[2] + self.code, cycles + self.cycle
        return codes, cycles


def wrong_board(code: int = 0, cycle: int = 0) -> ReferenceBoard:
    board = ReferenceBoard(*COMPILED.values())
    board.device.core = Wrong(*COMPILED.values())
    board.device.core.code, board.device.core.cycle = code, cycle
    return board


def test_a_wrong_code_is_named_and_no_stage_is_kept(tmp_path: Path) -> None:
    run = run_of("a", tmp_path)
    with on_a_pty(wrong_board(code=1)) as port:
        load(run, port, BOARD, quiet=True)
        with pytest.raises(Mismatch) as caught:
            infer(run, port, BOARD, quiet=True)
        assert not run.has(f"infer-{BOARD}")
        unchecked = infer(run, port, BOARD, check=False, trials=1, quiet=True)
    found = caught.value
    assert (found.link, found.op, found.row, found.index) == ("emulated, trial 0", "readout", {"bin": 3}, 2)
    assert found.got == found.expected + 1 and found.exit_code == 1
    assert (unchecked["checked"], unchecked["mismatches"], unchecked["bins"]) == (False, None, LENGTHS[0])


def test_other_cycles_than_predicted_are_an_error(tmp_path: Path) -> None:
    run = run_of("a", tmp_path)
    with on_a_pty(wrong_board(cycle=1)) as port:
        load(run, port, BOARD, quiet=True)
        with pytest.raises(CyclesDiffer, match="trial 0, bin 3"):
            infer(run, port, BOARD, quiet=True)


def test_a_board_with_another_engine_or_network_is_one_sentence(tmp_path: Path) -> None:
    one, other = run_of("a", tmp_path), run_of("b", tmp_path)
    with on_a_pty(ReferenceBoard(*COMPILED.values())) as port:
        with pytest.raises(BadInput, match=r"engine full \(.{8}\) and the board on .* has small \(.{8}\)"):
            load(one, port, BOARD, "full", quiet=True)
        with pytest.raises(BadInput, match=f"no network and run .*`edgendt load {one.path} --port {port}` first"):
            infer(one, port, BOARD, quiet=True)
        load(one, port, BOARD, quiet=True)
        with pytest.raises(BadInput, match=r"has network .{8} and run"):
            infer(other, port, BOARD, quiet=True)
    with pytest.raises(BadInput, match="cannot be opened"):
        load(one, "/dev/none", BOARD, quiet=True)


def test_an_engine_that_answers_is_not_counted_against_the_part(tmp_path: Path) -> None:
    large = compile_program(NETWORKS["a"], Engine.named("large"))
    with on_a_pty(ReferenceBoard(large)) as port:
        assert load(run_of("a", tmp_path), port, BOARD, "large", quiet=True)["engine"] == "large"


class Deaf(ReferenceBoard):
    """Hears nothing from DATA frame number `frames` (of all loads) on, for `deaf` writes."""

    frames = deaf = 0

    def write(self, data: bytes) -> None:
        self.frames -= data[1] == Kind.DATA
        if self.frames < 0 < self.deaf:
            self.deaf -= 1
        else:
            super().write(data)


def deaf(frames: int, writes: int) -> Deaf:
    """A board that takes one network and then `frames` frames of the next."""
    board = Deaf(*COMPILED.values())
    board.frames, board.deaf = len(list(COMPILED["a"].image.frames())) + frames, writes
    return board


class Noisy(ReferenceBoard):
    """Every `every`-th packet reaches the device damaged."""

    every, heard, hit = 7, 0, 0

    def write(self, data: bytes) -> None:
        for packet in self.unslip.feed(data):
            self.heard += 1
            if not self.heard % self.every:
                self.hit, packet = self.hit + 1, packet[:-1] + bytes([packet[-1] ^ 1])
            self.waiting += slip(self.device.packet(packet))


def test_counters_tell_what_befell_the_line(tmp_path: Path) -> None:
    run, board = run_of("a", tmp_path), Noisy(*COMPILED.values())
    with on_a_pty(board) as port:
        loaded = load(run, port, BOARD, quiet=True)
        at_load = board.hit
        got = infer(run, port, BOARD, quiet=True)
    device = board.device
    assert loaded["bad_frames"] == at_load > 0 and loaded["repeats"] > 0
    assert loaded["refused"] == got["refused"] == device.refused > 0, "frames behind a damaged one are out of order"
    assert got["bad_frames"] == device.bad_frames == board.hit and got["mismatches"] == 0
    assert got["repeats"] == board.hit - at_load > 0, "a bin's damaged request is sent once more"
    assert got.items() >= read_json(run.stage(f"infer-{BOARD}") / "infer.json").items()


class Dying(ReferenceBoard):
    """Answers no STATUS once a packet of kind `last` has come."""

    last: Kind | None = None
    gone = False

    def write(self, data: bytes) -> None:
        for packet in self.unslip.feed(data):
            self.gone |= packet[0] == self.last
            if not (self.gone and packet[0] == Kind.STATUS):
                self.waiting += slip(self.device.packet(packet))


def test_a_line_that_dies_before_its_counters_are_told_undoes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "SECONDS", {attach.EMULATED: 0.4})
    run, board = run_of("a", tmp_path), Dying(*COMPILED.values())
    with on_a_pty(board) as port:
        board.last = Kind.COMMIT
        loaded = load(run, port, BOARD, quiet=True)
        kept = Kept.of_port(port).get()
        board.last, board.gone = Kind.COUNTS, False
        got = infer(run, port, BOARD, quiet=True)
    assert kept is not None and loaded["image_crc"] == f"{kept.crc:08x}"
    for result in (loaded, got):
        assert (result["bad_frames"], result["refused"]) == (None, None)
        assert result["lost"].startswith("the engine did not answer STATUS in 4 tries")
    assert (got["mismatches"], got["bins"]) == (0, sum(LENGTHS)) and run.has(f"infer-{BOARD}")
    said = load_line(loaded)
    assert said.startswith(f"{run.path} is on {port}") and "; what it counted is not known, for the engine did" in said
    cells = [list(column.cells) for column in infer_table(got).columns]
    shown = dict(zip(*cells, strict=True))
    assert " / – / – / 0" in shown["line: repeats / bad / refused / clipped"]
    assert shown["not counted"] == got["lost"]


@pytest.mark.parametrize("wiring", [Wiring(), Wiring(channels="4,-,0:4", dead="2")], ids=["plain", "mapped"])
def test_counts_that_the_driver_clips_are_counted_and_the_answers_are_those_of_the_limit(
    wiring: Wiring, tmp_path: Path
) -> None:
    run, path = run_of("a", tmp_path), tmp_path / "a" / "quantize" / "stimulus.npz"
    with np.load(path) as file:
        stimulus = dict(file)
    stimulus["counts"][0, 2, [0, 3]] += NETWORKS["a"].input.hi + 1
    stimulus["counts"][1, LENGTHS[1], 0] = 255  # behind its trial's end
    np.savez(path, **stimulus)
    known = compile_program(wiring.apply(NETWORKS["a"]), SMALL)
    with on_a_pty(ReferenceBoard(known)) as port:
        load(run, port, BOARD, wiring=wiring, quiet=True)
        got = infer(run, port, BOARD, wiring=wiring, quiet=True)
        trips = latency.round_trip(run, port, BOARD, None, wiring, attach.wired(run, wiring), True)
    assert (got["clipped"], got["mismatches"], got["bins"], trips["bins"]) == (2, 0, sum(LENGTHS), sum(LENGTHS))


def trial(name: str, link: Link) -> bool:
    """Whether the network on the link is NETWORKS[name]."""
    counts = random_counts(NETWORKS[name], 5, 6)
    return np.array_equal(link.infer(counts).codes, expected(NETWORKS[name], counts))


@pytest.mark.parametrize("same", [True, False], ids=["same driver", "next driver"])
def test_after_a_failed_load_the_driver_puts_the_last_network_back(same: bool, tmp_path: Path) -> None:
    one, two = COMPILED["a"].image, COMPILED["b"].image
    board = deaf(3, 13)  # it is back in time to be asked for its state
    first = Link(board, kept=Kept(tmp_path / "port.edi"))
    first.load(one)
    link = first if same else Link(board, kept=Kept(tmp_path / "port.edi"))
    said = f"load stopped at frame .*; the network loaded before, {one.crc:08x}, was put back and answers"
    with pytest.raises(LinkError, match=said):
        link.load(two)
    assert trial("a", link) and link.kept.get().crc == one.crc
    link.load(two)
    assert trial("b", link) and Kept(tmp_path / "port.edi").get().crc == two.crc


def test_a_network_of_another_computer_is_not_replaced_by_an_older_one(tmp_path: Path) -> None:
    board = deaf(len(list(COMPILED["b"].image.frames())) + 3, 13)
    Link(board, kept=Kept(tmp_path / "port.edi")).load(COMPILED["a"].image)
    Link(board).load(COMPILED["b"].image)
    link = Link(board, kept=Kept(tmp_path / "port.edi"))
    with pytest.raises(LinkError, match="no network answers now, and this computer keeps none that answered before"):
        link.load(COMPILED["a"].image)
    with pytest.raises(LinkError, match="no network is loaded"):
        link.step([0] * 5)


def test_an_interrupted_load_puts_the_last_network_back() -> None:
    link = Link(ReferenceBoard(*COMPILED.values()))
    link.load(COMPILED["a"].image)

    def interrupt(taken: int, frames: int) -> None:
        if taken == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        link.load(COMPILED["b"].image, interrupt)
    assert trial("a", link)


def test_a_board_that_stays_silent_is_said_to_have_no_network(tmp_path: Path) -> None:
    board = deaf(3, 10**9)
    link = Link(board, kept=Kept(tmp_path / "port.edi"))
    link.load(COMPILED["a"].image)
    with pytest.raises(LinkError, match=r"could not be put back .*: none answers until a load succeeds"):
        link.load(COMPILED["b"].image)


def test_a_damaged_kept_file_is_no_image(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "port.edi")
    kept.put(COMPILED["a"].image)
    data = bytearray((tmp_path / "port.edi").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "port.edi").write_bytes(data)
    assert Kept(tmp_path / "port.edi").get() is None and Kept(tmp_path / "none.edi").get() is None
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


@pytest.mark.parametrize("call", ["write", "read"])
def test_a_port_that_fails_is_one_sentence(call: str) -> None:
    board = ReferenceBoard(*COMPILED.values())

    def fail(_: object) -> bytes:
        raise OSError("unplugged")

    setattr(board, call, fail)
    with pytest.raises(LinkError, match="the port failed: unplugged"):
        Link(board).status()


def test_the_command_line_prints_one_json_object_or_a_table(tmp_path: Path) -> None:
    run = run_of("a", tmp_path)
    with on_a_pty(wrong_board()) as port:
        done = edgendt("load", str(run.path), "--port", port, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["engine_id"] == f"{COMPILED['a'].image.engine_id:08x}" and done.stderr == ""
        done = edgendt("load", str(run.path), "--port", port, cwd=tmp_path)
        assert "frames" in done.stdout and "(emulated, engine small)" in done.stdout.replace("\n", " "), done.stderr
        assert "0 sent again; since power-up 0 bad frames and 0 requests refused\n" in done.stdout
        done = edgendt("infer", str(run.path), "--port", port, "--trials", "2", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        for words in ("19 in 2 trials", "76 equal to the Program", "bins/s (emulated)", "answers.npz"):
            assert words in done.stdout
        assert re.search(r"line: repeats / bad / refused / clipped +0 / 0 / 0 / 0\s", done.stdout)
    with on_a_pty(wrong_board(code=-2)) as port:
        edgendt("load", str(run.path), "--port", port, cwd=tmp_path)
        done = edgendt("infer", str(run.path), "--port", port, cwd=tmp_path)
        assert done.returncode == 1 and done.stdout == ""
        assert "error: emulated, trial 0: op readout, bin 3, index 2: expected" in done.stderr
    for verb in ("load", "infer"):
        done = edgendt(verb, str(run.path), "--port", "/dev/none", cwd=tmp_path)
        assert done.returncode == 2 and "port /dev/none cannot be opened" in done.stderr


def test_a_profile_times_every_bin_through_the_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("a", tmp_path)
    monkeypatch.setattr(latency, "find_tool", lambda name: None)
    monkeypatch.setattr(latency, "cpu", lambda *_: {"cpu_us": None, "cpu": None, "cpu_reason": "not asked"})
    with on_a_pty(ReferenceBoard(*COMPILED.values())) as port:
        with pytest.raises(BadInput, match="has no network"):
            latency.profile(run, BOARD, port=port)
        load(run, port, BOARD, quiet=True)
        got = latency.profile(run, BOARD, bins=13, port=port)
    trip = got["round_trip_us"]
    assert (trip["stage"], trip["bins"]) == ("emulated", 19) and 0 < trip["p50"] <= trip["p99"] <= trip["max"]
    assert read_json(run.stage(f"profile-{BOARD}") / "profile.json") == got
    console = Console(width=100, file=io.StringIO())
    console.print(latency.render(got))
    (line,) = (line for line in console.file.getvalue().splitlines() if "host round trip" in line)
    assert line.split()[-1] == "emulated"
    without = latency.profile(run, BOARD, wiring=Wiring(outputs="1"))
    assert without["round_trip_us"] is None and without["link"]["bytes"] == got["link"]["bytes"] - 6
    assert trip["bytes"]["p50"] == got["link"]["bytes"] and got["link"]["stage"] == "analytic"
    with on_a_pty(wrong_board(code=1)) as port:
        load(run, port, BOARD, quiet=True)
        with pytest.raises(Mismatch, match="bin 3, index 2"):
            latency.profile(run, BOARD, port=port)


def test_a_pty_is_called_emulated_by_any_name_and_every_port_keeps_its_own_image(tmp_path: Path) -> None:
    (tmp_path / "board").symlink_to("/dev/pts/0")
    assert [attach.stage_of(port) for port in ("/dev/pts/7", str(tmp_path / "board"))] == ["emulated"] * 2
    assert [attach.stage_of(port) for port in ("/dev/ttyUSB0", "COM3", "/dev/ttyACM1")] == ["board"] * 3
    paths = [Kept.of_port(port).path for port in ("/dev/ttyUSB0", "/dev/ttyUSB1", "/dev/pts/0", "COM3")]
    assert len(set(paths)) == 4 and all(path.parent == tmp_path / "cache" / "loaded" for path in paths)
