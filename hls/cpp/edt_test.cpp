// C simulation and co-simulation: every bin of tb_data through the firmware; 1 at the first code that differs.
// tb_data/counts.dat holds [bins x channels], tb_data/<layer>.dat the Program's codes [bins x size] of each op. In C
// simulation every op is compared, with RTL_SIM (no trace hooks in RTL) the outputs.
#include "firmware/edgendt.h"
#include "firmware/nnet_utils/edt_fixed.h"
#include "firmware/nnet_utils/nnet_helpers.h"

#include "edt_trace.h"

#include <cstdio>
#include <fstream>

namespace {

bool read(const std::string &stem, std::vector<int> &numbers) {
    const std::string path = "tb_data/" + stem + ".dat";
    std::ifstream file(path.c_str());
    int number;
    while (file >> number) {
        numbers.push_back(number);
    }
    if (numbers.empty()) {
        std::printf("FAIL: %s holds no vectors\n", path.c_str());
    }
    return !numbers.empty();
}

bool equal(int op, int bin, int index, int expected, int got) {
    if (expected != got) {
        std::printf("FAIL: op %s, bin %d, index %d: expected %d, got %d\n", edt_network::op[op].name, bin, index,
                    expected, got);
    }
    return expected == got;
}

} // namespace

int main() {
    const int channels = edt_network::channels;
    const int ops = edt_network::ops;
    const int last = ops - 1;
    std::vector<int> counts;
    std::vector<std::vector<int> > golden(ops);
    if (!read("counts", counts)) {
        return 1;
    }
    const int bins = int(counts.size()) / channels;
    for (int op = 0; op < ops; op++) {
        if (!read(edt_network::op[op].layer, golden[op]) || int(golden[op].size()) != bins * edt_network::op[op].size) {
            std::printf("FAIL: op %s has not %d bins of vectors\n", edt_network::op[op].name, bins);
            return 1;
        }
    }

    edt::Trace trace;
#ifdef RTL_SIM
    trace.enable(false);
#else
    trace.enable(true);
#endif
    for (int bin = 0; bin < bins; bin++) {
        input_t in[edt_network::channels];
        edt_network::reset_t reset[1];
        result_t out[edt_network::outputs];
        for (int i = 0; i < channels; i++) {
            in[i] = counts[bin * channels + i];
        }
        reset[0] = bin == 0 ? 1 : 0;
        edgendt(in, reset, out);
#ifndef RTL_SIM
        for (int op = 0; op < ops; op++) {
            for (int i = 0; i < edt_network::op[op].size; i++) {
                if (!equal(op, bin, i, golden[op][bin * edt_network::op[op].size + i], trace.code(op, i))) {
                    return 1;
                }
            }
        }
#endif
        for (int i = 0; i < edt_network::outputs; i++) {
            if (!equal(last, bin, i, golden[last][bin * edt_network::outputs + i], int(edt::code(out[i])))) {
                return 1;
            }
        }
    }
    std::printf("PASS: %d bins equal\n", bins);
    return 0;
}
