"""Write an hls4ml project of a Program: hls4ml's own writer, exactness checks beside each Dense, the C ABI."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgendt.firmware.folding import Folding
from edgendt.firmware.graph import Dense, Target, layer_names, model_graph
from edgendt.firmware.room import number
from edgendt.ops import Linear
from edgendt.program import Program
from edgendt.tools import share

TEST = "edt_test.cpp"
# Run on a computer, never synthesised: what a project has, and of which file.
HOST = {"edt_abi.cpp": "edt_abi.cpp", "edt_trace.h": "edt_trace.h", TEST: TEST}
HOST_OF_TOKENS = {"edt_window.cpp": "edt_window.cpp", "edt_trace.h": "edt_trace.h", TEST: "edt_window_test.cpp"}


def write_sources(
    program: Program, folder: Path, folding: Folding, target: Target, most: Mapping[str, int] | None = None
) -> Any:
    """Everything g++ emulation needs, in `folder`; returns the ModelGraph. most: see room.most_rows."""
    graph = model_graph(program, folder, folding, target, most)
    _demand_exactness(program, graph)
    graph.write()
    _forget_machine(graph, folder)
    header = window_header(program, graph) if program.inputs else network_header(program, graph)
    (folder / "edt_network.h").write_text(header)
    for name, source in (HOST_OF_TOKENS if program.inputs else HOST).items():
        shutil.copyfile(share("hls") / "cpp" / source, folder / name)
    return graph


def _demand_exactness(program: Program, graph: Any) -> None:
    """Beside each Dense's config: a static assertion that its types make it the integer Linear."""
    names = layer_names(program)
    for node in program.nodes:
        if isinstance(node.op, Linear) and not program.rows(node.name) and program.streams:  # else edt::linear does
            layer = graph.graph[names[node.name]]
            types = f"{layer.get_input_variable().type.name}, {layer.get_output_variable().type.name}"
            bits = Dense.of(node, node.op).accumulator.bits
            check = f"edt::linear_is_exact<{types}, config{layer.index}, {bits}>::value"
            layer.set_attr(
                "config_cpp", f"{layer.get_attr('config_cpp')}static_assert({check}, {json.dumps(node.name)});\n"
            )
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


def network_header(program: Program, graph: Any) -> str:
    """edt_network.h: sizes, the top's call, and every op in the Program's order."""
    names = layer_names(program)
    call = ["    edgendt(in, out);"]
    if not program.bins:
        reset = graph.graph["reset"].get_output_variable().type.name
        call = [f"    {reset} reset[1];", "    reset[0] = first ? 1 : 0;", "    edgendt(in, reset, out);"]
    ops = [
        f'    {{{json.dumps(n.name)}, "{names[n.name]}", {n.op.size}, {program.rows(n.name) or 1}, {n.op.y.frac}}},'
        for n in program.nodes
    ]
    return "\n".join(
        [
            f"// Network {json.dumps(program.name)}: sizes, and each op's name, layer, size, rows, fraction bits.",
            "#ifndef EDT_NETWORK_H_",
            "#define EDT_NETWORK_H_",
            '#include "firmware/edgendt.h"',
            "namespace edt_network {",
            f"const int bins = {program.bins or 1}; // of one call",
            f"const bool streams = {str(not program.bins).lower()};",
            f"const int channels = {program.channels};",
            f"const int outputs = {program.outputs};",
            f"const int max_bins = {program.max_bins or 0};",
            f"const int ops = {len(program.nodes)};",
            "struct Op {",
            "    const char *name;",
            "    const char *layer;",
            "    int size; // of a row",
            "    int rows; // of one call",
            "    int frac;",
            "};",
            f"const Op op[{len(program.nodes)}] = {{",
            *ops,
            "};",
            "// One call of the top: in [bins * channels], out [bins * outputs]; first: it begins a trial.",
            "inline void call(input_t *in, bool first, result_t *out) {",
            "    (void)first;",
            *call,
            "}",
            "} // namespace edt_network",
            "#endif\n",
        ]
    )


def window_header(program: Program, graph: Any) -> str:
    """edt_network.h of a network of tokens: sizes, the top's call on codes, and every op in the Program's order."""
    names, axes = layer_names(program), program.open_axes
    variables = {name: layer.get_output_variable() for name, layer in graph.graph.items()}
    fills = []
    given = [item for item in program.inputs if item.codes is None]
    for at, item in enumerate(given):
        port, axis = variables[names[item.name]], axes.index(item.axis)
        fills.append(f"    static {port.type.name} x{at}[{math.prod(port.shape)}];")
        fills.append(f"    for (int i = 0; i < rows[{axis}] * {item.size}; i++) x{at}[i] = codes[{at}][i];")
    for at, open_axis in enumerate(axes):
        fills.append(f"    {variables[number(open_axis)].type.name} n{at}[1];")
        fills.append(f"    n{at}[0] = rows[{at}];")
    passed = [f"x{at}" for at in range(len(given))] + [f"n{at}" for at in range(len(axes))]
    shapes = [variables[names[node.name]].shape for node in program.nodes]
    places = {axis: at for at, axis in enumerate(axes)}
    ops = [
        f'    {{{json.dumps(node.name)}, "{names[node.name]}", {size}, {rows}, {axis}, {node.op.y.frac}}},'
        for node, (rows, size) in zip(program.nodes, shapes, strict=True)
        for axis in [places.get(program.axis(node.name), -1)]
    ]
    read = [f'    {{"{names[item.name]}", {item.size}, {places[item.axis]}}},' for item in given]
    return "\n".join(
        [
            f"// Network {json.dumps(program.name)}: sizes, its inputs, and its ops in order.",
            "#ifndef EDT_NETWORK_H_",
            "#define EDT_NETWORK_H_",
            '#include "firmware/edgendt.h"',
            "#include <cstdint>",
            "namespace edt_network {",
            f"const int outputs = {program.outputs}; // of a row",
            f"const int results = {math.prod(shapes[-1])}; // at most",
            f"const int axes = {len(axes)}; // that a window has its own number of rows of",
            f"const int output_axis = {places[program.axis(program.output)]};",
            f"const int inputs = {len(given)};",
            "struct Input {",
            "    const char *layer;",
            "    int size; // of a row",
            "    int axis;",
            "};",
            f"const Input input[{len(given)}] = {{",
            *read,
            "};",
            f"const int ops = {len(program.nodes)};",
            "struct Op {",
            "    const char *name;",
            "    const char *layer;",
            "    int size; // of a row",
            "    int rows; // at most",
            "    int axis; // -1: it always has that many rows",
            "    int frac;",
            "};",
            f"const Op op[{len(program.nodes)}] = {{",
            *ops,
            "};",
            "// One call of the top on codes: codes as the Program has them, rows of each axis.",
            "inline void call(const int32_t *const *codes, const int32_t *rows, result_t *out) {",
            *fills,
            f"    edgendt({', '.join(passed)}, out);",
            "}",
            "} // namespace edt_network",
            "#endif\n",
        ]
    )
