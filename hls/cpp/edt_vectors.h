// What the test benches of a vendor project share: the numbers of tb_data, and the comparison of two codes.
#ifndef EDT_VECTORS_H_
#define EDT_VECTORS_H_

#include "edt_network.h"

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace edt {

// The numbers of tb_data/<stem>.dat; false, and said, where there are none.
inline bool read(const std::string &stem, std::vector<int32_t> &numbers) {
    const std::string path = "tb_data/" + stem + ".dat";
    std::ifstream file(path.c_str());
    int32_t number;
    while (file >> number) {
        numbers.push_back(number);
    }
    if (numbers.empty()) {
        std::printf("FAIL: %s holds no vectors\n", path.c_str());
    }
    return !numbers.empty();
}

// Whether an op's code is what it should be; where it is not, it is said. call: of the top, from 0; row: of that call.
inline bool equal(int op, int call, int row, int index, int expected, int got) {
    if (expected != got) {
        std::printf("FAIL: op %s, %s %d, ", edt_network::op[op].name, edt_network::each, call);
        if (edt_network::op[op].row != nullptr) {
            std::printf("%s %d, ", edt_network::op[op].row, row);
        }
        std::printf("index %d: expected %d, got %d\n", index, expected, got);
    }
    return expected == got;
}

} // namespace edt

#endif
