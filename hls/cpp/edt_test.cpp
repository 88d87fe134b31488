// C simulation and co-simulation: every bin of tb_data through the firmware; 1 at the first code that differs.
// tb_data/counts.dat holds [bins x channels], tb_data/<layer>.dat the Program's codes [rows x size] of each op: a row per
// bin, but behind a transpose one per channel. A call takes one bin, or a whole window. In C
// simulation every op is compared, with RTL_SIM (no trace hooks in RTL) the outputs. A top that takes networks gets two,
// and the same bins with each: see edt_vectors.h.
#include "firmware/edgendt.h"
#include "firmware/nnet_utils/edt_fixed.h"
#include "nnet_utils/nnet_helpers.h"

#include "edt_vectors.h"

using edt::equal;
using edt::read;

namespace {

edt::Trace trace;
int bins_equal = 0;

// Every bin with the network that is there now, against the codes of the folder `vectors`.
bool passes(const char *vectors) {
    const int channels = edt_network::channels;
    const int ops = edt_network::ops;
    const int last = ops - 1;
    std::vector<int32_t> counts;
    std::vector<std::vector<int32_t> > golden(ops);
    if (!read("tb_data", "counts", counts)) {
        return false;
    }
    const int bins = int(counts.size()) / channels;
    const int calls = bins / edt_network::bins;
    if (int(counts.size()) != calls * edt_network::bins * channels) {
        std::printf("FAIL: counts.dat holds no whole %ss\n", edt_network::each);
        return false;
    }
    for (int op = 0; op < ops; op++) {
        const int codes = calls * edt_network::op[op].rows * edt_network::op[op].size;
        if (!read(vectors, edt_network::op[op].layer, golden[op]) || int(golden[op].size()) != codes) {
            std::printf("FAIL: op %s has not %d calls of vectors\n", edt_network::op[op].name, calls);
            return false;
        }
    }

    const int inputs = edt_network::bins * channels;
    const int results = edt_network::bins * edt_network::outputs;
    static input_t in[inputs];
    static result_t out[results];
    for (int call = 0; call < calls; call++) {
        for (int i = 0; i < inputs; i++) {
            in[i] = counts[call * inputs + i];
        }
        if (edt_network::call(in, call == 0, out) != 0) {
            std::printf("FAIL: the top refused call %d\n", call);
            return false;
        }
#ifndef RTL_SIM
        for (int op = 0; op < ops; op++) {
            const int size = edt_network::op[op].size;
            const int rows = edt_network::op[op].rows;
            for (int i = 0; i < rows * size; i++) {
                const int expected = golden[op][call * rows * size + i];
                if (!equal(op, call, i / size, i % size, expected, trace.code(op, i))) {
                    return false;
                }
            }
        }
#endif
        for (int i = 0; i < results; i++) {
            const int row = i / edt_network::outputs, index = i % edt_network::outputs;
            if (!equal(last, call, row, index, golden[last][call * results + i], int(edt::code(out[i])))) {
                return false;
            }
        }
    }
    bins_equal += bins;
    return true;
}

} // namespace

int main() { return edt::status(trace, passes, bins_equal, "bins"); }
