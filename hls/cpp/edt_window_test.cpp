// C simulation and co-simulation of a network of tokens: every window of tb_data through the firmware; 1 at the first code
// that differs. tb_data/rows.dat holds a line per window, how many rows each axis has; tb_data/<input>.dat and
// tb_data/<layer>.dat hold those rows of all windows, one behind the other: the inputs and the Program's codes of each op.
// In C simulation every op is compared, with RTL_SIM (no trace hooks in RTL) the outputs. A top that takes networks gets
// two, and the same windows with each: see edt_vectors.h.
#include "firmware/edgendt.h"
#include "firmware/nnet_utils/edt_fixed.h"
#include "nnet_utils/nnet_helpers.h"

#include "edt_vectors.h"

using edt::equal;
using edt::read;

namespace {

edt::Trace trace;
int windows_equal = 0;

// Every window with the network that is there now, against the codes of the folder `vectors`.
bool passes(const char *vectors) {
    const int ops = edt_network::ops;
    const int last = ops - 1;
    const int inputs = edt_network::inputs;
    std::vector<int32_t> rows;
    std::vector<std::vector<int32_t> > given(inputs), golden(ops);
    bool complete = read("tb_data", "rows", rows);
    for (int i = 0; i < inputs; i++) {
        complete = complete && read("tb_data", edt_network::input[i].layer, given[i]);
    }
    for (int op = 0; op < ops; op++) {
        complete = complete && read(vectors, edt_network::op[op].layer, golden[op]);
    }
    if (!complete) {
        return false;
    }

    static result_t out[edt_network::results];
    std::vector<size_t> from_input(inputs, 0), from_op(ops, 0);
    const int windows = int(rows.size()) / edt_network::axes;
    for (int window = 0; window < windows; window++) {
        const int32_t *here = &rows[window * edt_network::axes];
        std::vector<const int32_t *> pointers(inputs);
        for (int i = 0; i < inputs; i++) {
            pointers[i] = &given[i][from_input[i]];
            from_input[i] += size_t(here[edt_network::input[i].axis]) * edt_network::input[i].size;
            if (from_input[i] > given[i].size()) {
                std::printf("FAIL: input %s has not the rows that rows.dat says\n", edt_network::input[i].layer);
                return false;
            }
        }
        if (edt_network::call(pointers.data(), here, out) != 0) {
            std::printf("FAIL: the top refused window %d\n", window);
            return false;
        }
        for (int op = 0; op < ops; op++) {
            const int axis = edt_network::op[op].axis;
            const int size = edt_network::op[op].size;
            const int codes = (axis < 0 ? edt_network::op[op].rows : here[axis]) * size;
            if (from_op[op] + codes > golden[op].size()) {
                std::printf("FAIL: op %s has not the rows that rows.dat says\n", edt_network::op[op].name);
                return false;
            }
            const int32_t *expected = &golden[op][from_op[op]];
            from_op[op] += codes;
            for (int i = 0; i < codes; i++) {
#ifndef RTL_SIM
                if (!equal(op, window, i / size, i % size, expected[i], trace.code(op, i))) {
                    return false;
                }
#endif
                if (op == last && !equal(op, window, i / size, i % size, expected[i], int(edt::code(out[i])))) {
                    return false;
                }
            }
        }
    }
    for (int i = 0; i < inputs; i++) {
        if (from_input[i] != given[i].size()) {
            std::printf("FAIL: input %s has more rows than rows.dat says\n", edt_network::input[i].layer);
            return false;
        }
    }
    for (int op = 0; op < ops; op++) {
        if (from_op[op] != golden[op].size()) {
            std::printf("FAIL: op %s has more rows than rows.dat says\n", edt_network::op[op].name);
            return false;
        }
    }
    windows_equal += windows;
    return true;
}

} // namespace

int main() { return edt::status(trace, passes, windows_equal, "windows"); }
