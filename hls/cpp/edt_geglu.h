// GEGLU: y = narrow(a * GELU(gate)), GELU from a table of 256 entries. Reference: edgendt/ops/geglu.py.
#ifndef EDT_GEGLU_H_
#define EDT_GEGLU_H_

#include "edt_fixed.h"

namespace edt {

// CONFIG_T: size; unroll; gelu_t (integer codes). gelu: of every code of gate, -128 first, 8 fraction bits more than gate.
template <class a_T, class gate_T, class y_T, class CONFIG_T>
void geglu(a_T a[CONFIG_T::size], gate_T gate[CONFIG_T::size], y_T y[CONFIG_T::size],
           const typename CONFIG_T::gelu_t gelu[256]) {
#pragma HLS INLINE OFF
    static_assert(CONFIG_T::size > 0, "size must be positive");
    static_assert(CONFIG_T::unroll > 0 && CONFIG_T::size % CONFIG_T::unroll == 0, "unroll must be positive and divide size");
    static_assert(format<gate_T>::bits == 8 && format<gate_T>::is_signed, "gate's 8 bits address the table");
    typedef format<typename CONFIG_T::gelu_t> entry;
    static_assert(entry::bits == 16 && entry::frac == 0 && entry::is_signed, "a table entry is a signed whole number of 16 bits");
    const int shift = format<a_T>::frac + format<gate_T>::frac + 8 - format<y_T>::frac;
EDT_LABEL(Elements)
    for (int i = 0; i < int(CONFIG_T::size); i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
        EDT_BEAT(CONFIG_T::unroll);
        const ap_int<sint<a_T>::bits + 16> product = integer(a[i]) * gelu[int(code(gate[i])) + 128];
        y[i] = narrow<shift, y_T>(product);
    }
}

} // namespace edt

#endif
