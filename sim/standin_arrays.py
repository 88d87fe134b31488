"""Stands in for what an HLS tool makes of the plain top: Verilog with the ports that the sources' own pragmas ask for,
and the compiled C++ behind DPI ($EDT_FIRMWARE, `library`)."""

import math
import re
from pathlib import Path

from edgendt.firmware.library import Firmware, flags
from edgendt.tools import run_tool, share

GLUE = share("sim") / "standin" / "arrays" / "arrays_dpi.cpp"
# The top on arrays that are put together code by code, whatever it takes.
DRIVER = """
#include "firmware/edgendt.h"
#include "firmware/nnet_utils/edt_fixed.h"
#include <initializer_list>
#include <tuple>
#include <utility>
#include <vector>

namespace {

template <class... T> struct Arrays {
    void (*top)(T *...);
    std::tuple<std::vector<T>...> held;
    explicit Arrays(void (*f)(T *...)) : top(f), held(std::vector<T>(1 << 16)...) {}

    template <size_t... I> void call(std::index_sequence<I...>) { top(std::get<I>(held).data()...); }

    template <class A> static int set(A &x, int bits) {
        x = edt::value<A>(typename edt::format<A>::code_t(bits));
        return 0;
    }
    template <size_t... I> void put(int array, int place, int bits, std::index_sequence<I...>) {
        (void)std::initializer_list<int>{(array == int(I) ? set(std::get<I>(held)[place], bits) : 0)...};
    }
    typedef std::index_sequence_for<T...> all;
};

template <class... T> Arrays<T...> of(void (*top)(T *...)) { return Arrays<T...>(top); }

auto arrays = of(edgendt);

} // namespace

extern "C" void put(int array, int place, int bits) { arrays.put(array, place, bits, decltype(arrays)::all()); }
extern "C" void call(void) { arrays.call(decltype(arrays)::all()); }
extern "C" int code(int place) {
    return int(edt::code(std::get<std::tuple_size<decltype(arrays.held)>::value - 1>(arrays.held)[place]));
}
"""
SOURCE = """\
`default_nettype none
module edgendt (
  {names}
);
{ports}

  import "DPI-C" function void edt_dpi_put(input int array, input int place, input int bits);
  import "DPI-C" function void edt_dpi_call();
  import "DPI-C" function int edt_dpi_code(input int place);

  localparam int Last = 6;
  int beat_q;  // 0: waits for a start and for every input
  logic [{bits}-1:0] code_q [{outputs}];
  wire valid = {valid};

  assign ap_done  = beat_q == Last;
  assign ap_ready = beat_q == Last;
  assign ap_idle  = beat_q == 0 && !ap_start;
{results}

  always_ff @(posedge ap_clk) begin
    if (beat_q == 0 && ap_start && valid) begin
{puts}
      edt_dpi_call();
      for (int i = 0; i < {outputs}; i++) code_q[i] <= {bits}'(edt_dpi_code(i));
      beat_q <= 1;
    end
    if (beat_q != 0) beat_q <= beat_q == Last ? 0 : beat_q + 1;
    if (ap_rst) beat_q <= 0;
  end
endmodule
`default_nettype wire
"""


def library(firmware: Firmware) -> Path:
    """The compiled top for $EDT_FIRMWARE."""
    folder = firmware.folder
    (folder / "driver.cpp").write_text(DRIVER)
    command = ("g++", *flags(folder), *firmware.sources, "driver.cpp", "-o", "driver.so")
    run_tool(command, folder / "driver.log", cwd=folder)
    return folder / "driver.so"


def verilog(folder: Path) -> str:
    """The module, of the sources in a project's firmware/: a port for an array that is reshaped, one for each element
    of an array that is partitioned, both ap_vld."""
    top, types = (folder / "edgendt.cpp").read_text(), (folder / "defines.h").read_text()
    bits = {name: int(wide) for wide, name in re.findall(r"typedef ap_u?(?:fixed|int)<(\d+)[^>]*> (\w+);", types)}
    (arguments,) = re.findall(r"void edgendt\(([^)]*)\)", top)
    sizes = [(name, bits[kind], size) for kind, name, size in re.findall(r"(\w+) (\w+)\[([\d*]+)\]", arguments)]
    elements = {name: (wide, math.prod(map(int, size.split("*")))) for name, wide, size in sizes}
    reshaped = re.findall(r"ARRAY_RESHAPE variable=(\w+) complete", top)
    (result,) = [name for name in re.findall(r"ARRAY_PARTITION variable=(\w+) complete", top) if name in elements]
    (valid,) = re.findall(r"INTERFACE ap_vld port=(\S+)", top)
    assert [*reshaped, result] == list(elements) == valid.split(","), "pragmas that the stand-in does not know"
    wide, count = elements.pop(result)
    ports = [f"input {name};" for name in ("ap_clk", "ap_rst", "ap_start")]
    ports += [f"output {name};" for name in ("ap_done", "ap_idle", "ap_ready")]
    for name, (each, many) in elements.items():
        ports += [f"input  [{each * many - 1}:0] {name};", f"input   {name}_ap_vld;"]
    for at in range(count):
        ports += [f"output  [{wide - 1}:0] {result}_{at};", f"output   {result}_{at}_ap_vld;"]
    results, puts = [], []
    for at in range(count):  # in a few beats; nothing of what stands there at other times is a result
        port = f"{result}_{at}"
        results.append(f"  assign {port}_ap_vld = beat_q == {1 + at % 4};")
        results.append(f"  assign {port} = {port}_ap_vld ? code_q[{at}] : ~code_q[{at}];")
    for array, (name, (each, many)) in enumerate(elements.items()):
        put = f"edt_dpi_put({array}, i, 32'({name}[i*{each} +: {each}]))"
        puts.append(f"      for (int i = 0; i < {many}; i++) {put};")
    return SOURCE.format(
        names=",\n  ".join(port.rstrip(";").split()[-1] for port in ports),
        ports="\n".join(ports),
        bits=wide,
        outputs=count,
        valid=" && ".join(f"{name}_ap_vld" for name in elements),
        results="\n".join(results),
        puts="\n".join(puts),
    )
