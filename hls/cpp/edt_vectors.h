// What the test benches of a vendor project share: the numbers of a folder of vectors, the comparison of two codes,
// networks that are loaded, and what main does.
#ifndef EDT_VECTORS_H_
#define EDT_VECTORS_H_

#include "edt_network.h"
#include "edt_trace.h"

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace edt {

// The numbers of <folder>/<stem>.dat; false, and said, where there are none.
inline bool read(const std::string &folder, const std::string &stem, std::vector<int32_t> &numbers) {
    const std::string path = folder + "/" + stem + ".dat";
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

// The network of a load packet in the place of the one that is there; false, and said, where it is refused. The words
// of the file have their least significant byte first.
inline bool load(const std::string &path) {
    std::ifstream file(path.c_str(), std::ios::binary);
    std::vector<int32_t> words;
    unsigned char bytes[4];
    while (file.read(reinterpret_cast<char *>(bytes), 4)) {
        words.push_back(int32_t(bytes[0] | uint32_t(bytes[1]) << 8 | uint32_t(bytes[2]) << 16 | uint32_t(bytes[3]) << 24));
    }
    const int status = words.empty() ? -1 : edt_network::load(words.data(), int(words.size()));
    if (words.empty()) {
        std::printf("FAIL: %s holds no load packet\n", path.c_str());
    } else if (status != 0) {
        std::printf("FAIL: the top refused the load packet of %s: it answered %d\n", path.c_str(), status);
    }
    return status == 0;
}

// Where the top takes networks: `passes` on the vectors of another one, then on those of the project's, each of which has
// come through the port before. What the build brought is gone by then, so it is not what passes.
template <class F> bool loaded_and_pass(F passes) {
    if (!edt_network::reloads) {
        return passes("tb_data");
    }
    if (!load("tb_other/load.bin")) {
        return false;
    }
    if (!passes("tb_other")) {
        std::printf("FAIL: that was the network of tb_other, which is loaded before the project's own\n");
        return false;
    }
    return load("load.bin") && passes("tb_data");
}

// Exit status of a bench. equal: what `passes` counted, so many of `what`. RTL has no hooks that trace an op.
template <class F> int status(Trace &trace, F passes, const int &equal, const char *what) {
#ifdef RTL_SIM
    trace.enable(false);
#else
    trace.enable(true);
#endif
    if (!loaded_and_pass(passes)) {
        return 1;
    }
    std::printf("PASS: %d %s equal\n", equal, what);
    return 0;
}

} // namespace edt

#endif
