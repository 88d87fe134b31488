// The firmware as a shared library: one call per bin, or per whole window, a reset, and the codes of every op. Used by
// ctypes and by DPI.
// Built inside a project folder: the network's source and edt_network.h are generated there. Never synthesised.
#include "firmware/edgendt.cpp"

#include "edt_trace.h"

#include <cstdint>

namespace {
int32_t bin = 0;
edt::Trace trace;
} // namespace

extern "C" {

int32_t edt_channels(void) { return edt_network::channels; }
int32_t edt_outputs(void) { return edt_network::outputs; }
int32_t edt_max_bins(void) { return edt_network::max_bins; } // 0: no limit
int32_t edt_bin(void) { return bin; }                        // the bin the next step computes, or begins with

// The next bin is bin 0.
void edt_reset(void) { bin = 0; }

// One call of the top, of `bins` bins: 1, or the whole window, which begins and ends a trial.
// counts: [bins * channels], within the input format; outputs: [bins * outputs] codes. 0: done; 1: past the last
// position row, and nothing was computed; 2: the top refused what it was given.
int32_t edt_step(const int32_t *counts, int32_t *outputs) {
    if (edt_network::max_bins != 0 && bin >= edt_network::max_bins) {
        return 1;
    }
    const int inputs = edt_network::bins * edt_network::channels;
    const int results = edt_network::bins * edt_network::outputs;
    static input_t in[inputs];
    static result_t out[results];
    for (int i = 0; i < inputs; i++) {
        in[i] = counts[i];
    }
    if (edt_network::call(in, bin == 0, out) != 0) {
        return 2;
    }
    for (int i = 0; i < results; i++) {
        outputs[i] = int32_t(edt::code(out[i]));
    }
    if (!edt_network::streams) {
        bin = 0;
    } else if (bin != INT32_MAX) { // without a last bin it may stand still, but never comes back to 0
        bin++;
    }
    return 0;
}

// The words of a load packet: 0 and the next bin is bin 0, 1 when it is refused, -1 where constants are of the build.
int32_t edt_load(const int32_t *words, int32_t n) {
    bin = 0;
    return edt_network::load(words, n);
}

#ifdef EDT_COUNT_BEATS
int64_t edt_beats(void) { return edt::beats / edt::beat; } // of all calls so far
#endif

// Keep the codes of every op from the next step on (1), or not (0).
void edt_trace(int32_t on) { trace.enable(on != 0); }

// codes: [rows * size of op], its codes in the last step.
void edt_traced(int32_t op, int32_t *codes) {
    for (int i = 0; i < edt_network::op[op].rows * edt_network::op[op].size; i++) {
        codes[i] = trace.code(op, i);
    }
}
}
