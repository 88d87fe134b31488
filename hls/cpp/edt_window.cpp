// The firmware of a network of tokens as a shared library: one call per window, of any number of rows up to what it has room
// for, and the codes of every op. Used by ctypes.
// Built inside a project folder: the network's source and edt_network.h are generated there. Never synthesised.
#include "firmware/edgendt.cpp"

#include "edt_trace.h"

#include <cstdint>

namespace {
edt::Trace trace;
} // namespace

extern "C" {

// inputs: codes [rows * size] of each input of the network; rows: of each axis, at least 1 and at most what there is room
// for; outputs: [rows * outputs] codes. 0: done; 2: the top refused what it was given.
int32_t edt_window(const int32_t *const *inputs, const int32_t *rows, int32_t *outputs) {
    static result_t out[edt_network::results];
    if (edt_network::call(inputs, rows, out) != 0) {
        return 2;
    }
    for (int i = 0; i < rows[edt_network::output_axis] * edt_network::outputs; i++) {
        outputs[i] = int32_t(edt::code(out[i]));
    }
    return 0;
}

// The words of a load packet: 0, 1 when it is refused, -1 where constants are of the build.
int32_t edt_load(const int32_t *words, int32_t n) { return edt_network::load(words, n); }

#ifdef EDT_COUNT_BEATS
int64_t edt_beats(void) { return edt::beats / edt::beat; } // of all windows so far
#endif

// Keep the codes of every op from the next window on (1), or not (0).
void edt_trace(int32_t on) { trace.enable(on != 0); }

// codes: [most rows * size of op], its codes in the last window; what stands behind the window's rows means nothing.
void edt_traced(int32_t op, int32_t *codes) {
    for (int i = 0; i < edt_network::op[op].rows * edt_network::op[op].size; i++) {
        codes[i] = trace.code(op, i);
    }
}
}
