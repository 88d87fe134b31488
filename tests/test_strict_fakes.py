"""The fakes of AMD's tools take the commands and options of the manuals alone, and name any other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fakes import strict
from needs import needs_package

FAKES = Path(__file__).parent / "fakes"
ENDS = "create_project -part xck26-sfvc784-2LV-c -force p p\n"  # a good command, that others stand behind
SAID = {  # tool, script or None, its words: what it says
    "an option of vitis_hls": ("vitis_hls", None, "-f s.tcl -x", "usage: vitis_hls -f SCRIPT, got"),
    "no script of vivado_hls": ("vivado_hls", None, "-i", "usage: vivado_hls -f SCRIPT, got"),
    "a command": ("vitis_hls", "config_interfaces -x\n", "-f s.tcl", "invalid command name config_interfaces"),
    "an option": ("vitis_hls", "open_project -new p\n", "-f s.tcl", "open_project: unknown option -new"),
    "a value": (
        "vitis_hls",
        "open_project p\nadd_files -cflags",
        "-f s.tcl",
        "add_files: option -cflags lacks its value",
    ),
    "a word": ("vitis_hls", "open_project p q\n", "-f s.tcl", "open_project: takes 1 words, got p q"),
    "an older setting": (
        "vitis_hls",
        "open_project p\nopen_solution s\nconfig_array_partition -maximum_size 4096\n",
        "-f s.tcl",
        "invalid command name config_array_partition",
    ),
    "a newer option": (
        "vivado_hls",
        "open_project p\nopen_solution s -flow_target vivado\n",
        "-f s.tcl",
        "open_solution: unknown option -flow_target",
    ),
    "an option of vitis-run": ("newer/vitis-run", None, "--mode hls --script s.tcl", "unknown option --script"),
    "a mode of vitis-run": (
        "newer/vitis-run",
        None,
        "--mode aie --tcl s.tcl",
        "usage: vitis-run --mode hls --tcl SCRIPT",
    ),
    "no batch": ("vivado", None, "-source s.tcl", "usage: vivado -mode batch -source SCRIPT"),
    "an option of vivado": ("vivado", None, "-mode batch -sources s.tcl", "vivado: unknown option -sources"),
    "a Tcl command": (
        "vivado",
        "write_bitstreams\n",
        "-mode batch -source s.tcl",
        'invalid command name "write_bitstreams"',
    ),
    "a Tcl option": (
        "vivado",
        f"{ENDS}launch_runs impl_1 -until_step write_bitstream\n",
        "-mode batch -source s.tcl",
        "launch_runs: unknown option -until_step",
    ),
    "a property": (
        "vivado",
        f"{ENDS}set_property boards_part x [current_project]\n",
        "-mode batch -source s.tcl",
        "set_property: project has no property boards_part",
    ),
    "a rule": (
        "vivado",
        f"{ENDS}apply_bd_automation -rule xilinx.com:bd_rule:axi5 x\n",
        "-mode batch -source s.tcl",
        "no rule xilinx.com:bd_rule:axi5",
    ),
    "an option of v++": ("v++", None, "-c -t hw --clock 200", "v++: unknown option --clock"),
}


@pytest.mark.parametrize("case", SAID)
def test_what_a_tool_does_not_know_is_named(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool, script, words, said = SAID[case]
    if tool == "vivado":
        needs_package("tkinter")
    monkeypatch.setenv("EDT_FAKE_LOG", str(tmp_path / "commands"))
    (tmp_path / "s.tcl").write_text(script or "")
    (tmp_path / "p").touch()
    command = [FAKES / tool, *words.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and said in done.stdout + done.stderr, done.stdout + done.stderr


def test_options_are_told_from_words_values_and_scales() -> None:
    forms = {"do": "1-2 -force -part= -scale?"}
    found, rest, every = strict.options("do", ["a", "-part", "x", "-force", "-1", "-scale=false"], forms)
    assert (found, rest) == ({"-part": "x", "-force": True, "-scale": "false"}, ["a", "-1"])
    assert [name for name, _ in every] == ["-part", "-force", "-scale"]
    for words, said in (
        (["-part=x", "a"], "do: unknown option -part=x"),
        (["a", "b", "c"], "do: takes 1-2 words, got a b c"),
        ([], "do: takes 1-2 words, got none"),
    ):
        with pytest.raises(ValueError, match=said):
            strict.options("do", words, forms)
