"""Write an hls4ml project of a Program: hls4ml's own writer, exactness checks beside each Dense, the C ABI."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgendt.firmware import accelerator, axis, reload, templates
from edgendt.firmware.dense import Dense
from edgendt.firmware.folding import Folding
from edgendt.firmware.graph import model_graph
from edgendt.firmware.memory import in_ultra
from edgendt.firmware.room import RESET, layer_names, most_rows, number
from edgendt.firmware.target import ACCELERATOR, AMD, VIVADO, Target
from edgendt.ops import Linear
from edgendt.program import INPUT, Node, Program
from edgendt.tools import share

# Run on a computer, never synthesised: what a project has, and of which file.
BENCH = {name: name for name in ("edt_trace.h", "edt_vectors.h", "edt_test.cpp")}
HOST = BENCH | {"edt_abi.cpp": "edt_abi.cpp"}
HOST_OF_TOKENS = BENCH | {"edt_window.cpp": "edt_window.cpp", "edt_test.cpp": "edt_window_test.cpp"}

OP = """\
struct Op {
    const char *name;
    const char *layer;
    const char *row; // what one is; none where a call is a row
    int size;        // of a row
    int rows;        // of one call
    int frac;
};"""
INPUT_OF_TOKENS = """\
struct Input {
    const char *layer;
    int size; // of a row
    int axis;
};"""
OP_OF_TOKENS = """\
struct Op {
    const char *name;
    const char *layer;
    const char *row; // what one is
    int size;        // of a row
    int rows;        // at most
    int axis; // -1: it always has that many rows
    int frac;
};"""


def write_sources(
    program: Program, folder: Path, folding: Folding, target: Target, most: Mapping[str, int] | None = None
) -> Any:
    """Everything g++ emulation needs, in `folder`; returns the ModelGraph. most: see room.most_rows."""
    graph = model_graph(program, folder, folding, target, most)
    _demand_exactness(program, graph, target)
    graph.write()
    _forget_machine(graph, folder)
    if target.backend == AMD:
        ultra = [layer_names(program)[name] for name in in_ultra(program, folding, most_rows(program, most or {}))]
        arrays = [graph.graph[name].get_output_variable().name for name in ultra]
        templates.put_in_ultra(folder / "firmware" / f"{target.name}.cpp", arrays)
    header = window_header(program, graph, target) if program.inputs else network_header(program, graph, target)
    (folder / "edt_network.h").write_text(header)
    _write_top(program, graph, folder, target, most_rows(program, most or {}))
    for name, source in (HOST_OF_TOKENS if program.inputs else HOST).items():
        shutil.copyfile(share("hls") / "cpp" / source, folder / name)
    return graph


def _demand_exactness(program: Program, graph: Any, target: Target) -> None:
    """Beside each Dense's config: a static assertion that its types make it the integer Linear."""
    names = layer_names(program)
    for node in program.nodes:
        if isinstance(node.op, Linear) and not program.rows(node.name) and program.streams:  # else edt::linear does
            layer = graph.graph[names[node.name]]
            types = f"{layer.get_input_variable().type.name}, {layer.get_output_variable().type.name}"
            bits = Dense.of(node, node.op, target.accumulator(program)).accumulator.bits
            check = f"edt::linear_is_exact<{types}, config{layer.index}, {bits}>::value"
            config = re.sub(r"nnet::(DenseResource_\w+)<", r"EDT_KERNEL(\1)<", layer.get_attr("config_cpp"))
            layer.set_attr("config_cpp", f"{config}static_assert({check}, {json.dumps(node.name)});\n")
            headers = ["nnet_utils/edt_fixed.h", "nnet_utils/edt_linear.h"]
            layer.set_attr("include_header", [*layer.get_attr("include_header"), *headers])


def _forget_machine(graph: Any, folder: Path) -> None:
    """Equal Programs are equal projects: no random stamp and no path of this machine in what was written."""
    script, settings = folder / "build_lib.sh", folder / "hls4ml_config.yml"
    stamp = graph.config.get_config_value("Stamp")
    script.write_text(script.read_text().replace(stamp, "edgendt"))
    # YAML quotes a stamp that reads like a number: replace the whole value.
    text = re.sub(r"(?m)^Stamp: .*$", "Stamp: edgendt", settings.read_text())
    settings.write_text(text.replace(str(folder), "."))
    bridge = folder / "edgendt_bridge.cpp"  # Catapult's
    bridge.write_text(bridge.read_text().replace(str(folder), "."))


def _write_top(program: Program, graph: Any, folder: Path, target: Target, most: Mapping[str, int]) -> None:
    """The top behind AXI4-Streams, where it has them, and what it includes."""
    stem, room = folder / "firmware" / f"{target.name}_axis", share("hls") / "cpp"
    if target.ports != "axis":
        for suffix in (".cpp", ".h"):  # of an earlier target in this folder
            stem.with_suffix(suffix).unlink(missing_ok=True)
        return
    for header in ("edt_axis.h", "edt_load.h"):
        shutil.copyfile(room / header, folder / "firmware" / "nnet_utils" / header)
    shutil.copyfile(room / "ap_axi_sdata.h", folder / "firmware" / "ap_types" / "ap_axi_sdata.h")
    loads = _loads(program, graph, folder) if target.reloads else None
    if program.inputs:
        numbers = [(_type(graph, number(one)), most[one.name]) for one in program.open_axes]
        source = axis.of_tokens(target.name, *_ports(program, graph), numbers, loads)
    else:
        reset = None if program.bins else _type(graph, RESET)
        source = axis.of_counts(target.name, *_counts(program, graph), reset, program.max_bins, loads)
    stem.with_suffix(".h").write_text(axis.header(target.name, target.backend == VIVADO))
    stem.with_suffix(".cpp").write_text(source)


def _loads(program: Program, graph: Any, folder: Path) -> axis.Loads:
    """What a load packet brings; hls4ml's kernel asks for ROM, which is none."""
    kernel = folder / "firmware" / "nnet_utils" / "nnet_dense_resource.h"
    kernel.write_text(kernel.read_text().replace("core=ROM_nP_BRAM", "core=RAM_2P_BRAM"))
    names, arrays = layer_names(program), []
    for owner, name, codes in reload.constants(program):
        variable = graph.graph[names[owner]].get_weights(name)
        arrays.append((variable.type.name, variable.name, codes.size))
    return axis.Loads(reload.structure_id(program), arrays)


def _array(name: str, rows: list[str]) -> list[str]:
    """A constant array of C++."""
    return [f"const {name}[{len(rows)}] = {{", *rows, "};"]


def _type(graph: Any, layer: str) -> str:
    """The C++ type of what a layer gives."""
    return str(graph.graph[layer].get_output_variable().type.name)


def _counts(program: Program, graph: Any) -> tuple[axis.Port, axis.Port]:
    """The arrays of a network that takes counts: its input, its output."""
    rows = program.bins or 1
    return axis.Port(_type(graph, INPUT), program.channels, rows), axis.Port("result_t", program.outputs, rows)


def _ports(program: Program, graph: Any) -> tuple[list[axis.Port], axis.Port]:
    """The arrays of a network of tokens: its inputs, its output."""
    names, axes = layer_names(program), program.open_axes

    def port(name: str) -> axis.Port:
        variable = graph.graph[names[name]].get_output_variable()
        rows, size = variable.shape
        return axis.Port(variable.type.name, size, rows, axes.index(program.axis(name)))

    return [port(item.name) for item in program.inputs if item.codes is None], port(program.output)


def _load(target: Target) -> list[str]:
    """edt_network::reloads and load: another network in the place of this one, where the firmware can take one."""
    known = f"const bool reloads = {str(target.reloads).lower()};"
    if not target.reloads:
        return [known, "inline int load(const int32_t *, int) { return -1; }"]
    return [known, "inline int load(const int32_t *words, int n) {", *axis.call_of_load(target.name).splitlines(), "}"]


def _top_call(graph: Any, target: Target, arrays: list[str]) -> list[str]:
    """C++ that calls the top on arrays, one for each of its inputs, and puts what it gives into `out`."""
    if target.backend != "Quartus":
        return [f"    {target.name}({', '.join(arrays)}, out);", "    return 0;"]
    ports = zip(graph.get_input_variables(), arrays, strict=True)  # there it takes one struct and gives another
    taken = [f"    std::copy({a}, {a} + {port.size_cpp()}, given.{port.member_name});" for port, a in ports]
    (result,) = graph.get_output_variables()
    name = f"answer.{result.member_name}"
    answer = [
        f"    const output_data answer = {target.name}(given);",
        f"    std::copy({name}, {name} + {result.size_cpp()}, out);",
    ]
    return ["    static input_data given;", *taken, *answer, "    return 0;"]


def _beside(graph: Any, target: Target) -> list[str]:
    """What a call of the top needs beside its header; Catapult's only declares the weights."""
    arrays = [f"{variable.definition_cpp()};" for variable in graph.get_weight_variables()]
    return {"Quartus": ["#include <algorithm>"], "Catapult": arrays}.get(target.backend, [])


def _op(program: Program, node: Node, layer: str, *numbers: int) -> str:
    """A line of edt_network::op: its names, what a row is, numbers, fraction bits."""
    row = program.row(node.name)
    named = "nullptr" if row is None else json.dumps(row)
    fields = (json.dumps(node.name), f'"{layer}"', named, *numbers, node.op.y.frac)
    return f"    {{{', '.join(map(str, fields))}}},"


def _each(program: Program) -> str:
    """edt_network::each."""
    return f'const char *const each = "{"bin" if program.streams else "window"}"; // what a call of the top computes'


def network_header(program: Program, graph: Any, target: Target) -> str:
    """edt_network.h: sizes, the top's call, and every op in the Program's order."""
    names = layer_names(program)
    if program.bins:
        call = ["    (void)first;", *_top_call(graph, target, ["in"])]
    else:
        reset = [f"    {_type(graph, RESET)} reset[1];", "    reset[0] = first ? 1 : 0;"]
        call = [*reset, *_top_call(graph, target, ["in", "reset"])]
    if target.ports == "axis":
        call = axis.call_of_counts(target.name, *_counts(program, graph)).splitlines()
    if target.backend == ACCELERATOR:
        call = accelerator.CALL.splitlines()
    ops = [_op(program, node, names[node.name], node.op.size, program.rows(node.name) or 1) for node in program.nodes]
    return "\n".join(
        [
            f"// Network {json.dumps(program.name)}: sizes, and each op's name, layer, size, rows, fraction bits.",
            "#ifndef EDT_NETWORK_H_",
            "#define EDT_NETWORK_H_",
            f'#include "firmware/{target.top}.h"',
            *_beside(graph, target),
            "namespace edt_network {",
            f"const int bins = {program.bins or 1}; // of one call",
            f"const bool streams = {str(not program.bins).lower()};",
            _each(program),
            f"const int channels = {program.channels};",
            f"const int outputs = {program.outputs};",
            f"const int max_bins = {program.max_bins or 0};",
            f"const int ops = {len(program.nodes)};",
            OP,
            *_array("Op op", ops),
            "// One call of the top: in [bins * channels], out [bins * outputs]; first: of a trial. 0: answered.",
            "inline int call(input_t *in, bool first, result_t *out) {",
            *call,
            "}",
            *_load(target),
            "} // namespace edt_network",
            "#endif\n",
        ]
    )


def _array_call(program: Program, graph: Any, target: Target) -> list[str]:
    """Body of edt_network::call of a network of tokens whose top takes arrays."""
    lines, (inputs, _) = [], _ports(program, graph)
    for at, port in enumerate(inputs):
        lines.append(f"    static {port.type} x{at}[{port.most * port.size}];")
        lines.append(f"    for (int i = 0; i < rows[{port.axis}] * {port.size}; i++) x{at}[i] = codes[{at}][i];")
    for at, one in enumerate(program.open_axes):
        lines += [f"    {_type(graph, number(one))} n{at}[1];", f"    n{at}[0] = rows[{at}];"]
    passed = [f"x{at}" for at in range(len(inputs))] + [f"n{at}" for at in range(len(program.open_axes))]
    return [*lines, *_top_call(graph, target, passed)]


def window_header(program: Program, graph: Any, target: Target) -> str:
    """edt_network.h of a network of tokens: sizes, the top's call on codes, and every op in the Program's order."""
    names, axes = layer_names(program), program.open_axes
    variables = {name: layer.get_output_variable() for name, layer in graph.graph.items()}
    given = [item for item in program.inputs if item.codes is None]
    if target.ports == "axis":
        inputs, result = _ports(program, graph)
        call = axis.call_of_tokens(target.name, inputs, len(axes), result).splitlines()
    else:
        call = _array_call(program, graph, target)
    shapes = [variables[names[node.name]].shape for node in program.nodes]
    places = {axis: at for at, axis in enumerate(axes)}
    ops = [
        _op(program, node, names[node.name], size, rows, places.get(program.axis(node.name), -1))
        for node, (rows, size) in zip(program.nodes, shapes, strict=True)
    ]
    read = [f'    {{"{names[item.name]}", {item.size}, {places[item.axis]}}},' for item in given]
    return "\n".join(
        [
            f"// Network {json.dumps(program.name)}: sizes, its inputs, and its ops in order.",
            "#ifndef EDT_NETWORK_H_",
            "#define EDT_NETWORK_H_",
            f'#include "firmware/{target.top}.h"',
            "#include <cstdint>",
            *_beside(graph, target),
            "namespace edt_network {",
            f"const int outputs = {program.outputs}; // of a row",
            f"const int results = {math.prod(shapes[-1])}; // at most",
            f"const int axes = {len(axes)}; // that a window has its own number of rows of",
            f"const int output_axis = {places[program.axis(program.output)]};",
            f"const int inputs = {len(given)};",
            _each(program),
            INPUT_OF_TOKENS,
            *_array("Input input", read),
            f"const int ops = {len(program.nodes)};",
            OP_OF_TOKENS,
            *_array("Op op", ops),
            "// One call of the top on codes: codes as the Program has them, rows of each axis. 0: answered.",
            "inline int call(const int32_t *const *codes, const int32_t *rows, result_t *out) {",
            *call,
            "}",
            *_load(target),
            "} // namespace edt_network",
            "#endif\n",
        ]
    )
