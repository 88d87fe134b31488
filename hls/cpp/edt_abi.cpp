// The firmware as a shared library: one call per bin, a reset, and the codes of every op. Used by ctypes and by DPI.
// Built inside a project folder: the network's source and edt_network.h are generated there. Never synthesised.
#include "firmware/edgendt.cpp"

#include "edt_trace.h"

namespace {
int bin = 0;
edt::Trace trace;
} // namespace

extern "C" {

int32_t edt_channels(void) { return edt_network::channels; }
int32_t edt_outputs(void) { return edt_network::outputs; }
int32_t edt_max_bins(void) { return edt_network::max_bins; } // 0: no limit
int32_t edt_bin(void) { return bin; }                        // the bin the next step computes

// The next bin is bin 0.
void edt_reset(void) { bin = 0; }

// counts: [channels], within the input format; outputs: [outputs] codes. 0: done; 1: past the last position row, and
// nothing was computed.
int32_t edt_step(const int32_t *counts, int32_t *outputs) {
    if (edt_network::max_bins != 0 && bin >= edt_network::max_bins) {
        return 1;
    }
    input_t in[edt_network::channels];
    edt_network::reset_t reset[1];
    result_t out[edt_network::outputs];
    for (int i = 0; i < edt_network::channels; i++) {
        in[i] = counts[i];
    }
    reset[0] = bin == 0 ? 1 : 0;
    edgendt(in, reset, out);
    for (int i = 0; i < edt_network::outputs; i++) {
        outputs[i] = int32_t(edt::code(out[i]));
    }
    bin++;
    return 0;
}

// Keep the codes of every op from the next step on (1), or not (0).
void edt_trace(int32_t on) { trace.enable(on != 0); }

// codes: [size of op], its codes in the last step.
void edt_traced(int32_t op, int32_t *codes) {
    for (int i = 0; i < edt_network::op[op].size; i++) {
        codes[i] = trace.code(op, i);
    }
}
}
