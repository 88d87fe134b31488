// The codes of every op, through hls4ml's trace hooks: for the shared library and the test bench, never synthesised.
#ifndef EDT_TRACE_H_
#define EDT_TRACE_H_

#include "edt_network.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace nnet { // what hls4ml's hooks write to
bool trace_enabled = false;
std::map<std::string, void *> *trace_outputs = nullptr;
size_t trace_type_size = sizeof(double);
} // namespace nnet

namespace edt {

class Trace {
  public:
    // Keep every op's codes from the next call on, or not.
    void enable(bool on) {
        if (on && values_.empty()) {
            for (int i = 0; i < edt_network::ops; i++) {
                values_.push_back(std::vector<double>(edt_network::op[i].rows * edt_network::op[i].size));
            }
            for (int i = 0; i < edt_network::ops; i++) {
                storage_[edt_network::op[i].layer] = values_[i].data();
            }
        }
        nnet::trace_outputs = &storage_;
        nnet::trace_enabled = on;
    }

    // hls4ml traces values: code = value * 2^frac, exactly.
    int32_t code(int op, int index) const {
        return int32_t(std::ldexp(values_[op][index], edt_network::op[op].frac));
    }

  private:
    std::map<std::string, void *> storage_;
    std::vector<std::vector<double> > values_;
};

} // namespace edt

#endif
