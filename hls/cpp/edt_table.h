// Table: y = table[x], an entry for every code of x. Reference: edgendt/ops/table.py.
#ifndef EDT_TABLE_H_
#define EDT_TABLE_H_

#include "edt_fixed.h"

namespace edt {

// CONFIG_T: size; unroll; table_t (integer codes of y's format). table: the lowest code's entry first.
template <class x_T, class y_T, class CONFIG_T>
void table(x_T x[CONFIG_T::size], y_T y[CONFIG_T::size],
           const typename CONFIG_T::table_t table[1 << format<x_T>::bits]) {
#pragma HLS INLINE OFF
    static_assert(CONFIG_T::size > 0, "size must be positive");
    static_assert(CONFIG_T::unroll > 0 && CONFIG_T::size % CONFIG_T::unroll == 0, "unroll must be positive and divide size");
    static_assert(format<x_T>::bits <= 8, "at most 8 bits address the table");
    typedef typename CONFIG_T::table_t table_T;
    static_assert(format<table_T>::bits == format<y_T>::bits && format<table_T>::frac == 0 &&
                      format<table_T>::is_signed == format<y_T>::is_signed,
                  "an entry of the table is a code of y");
    const int lowest = format<x_T>::is_signed ? -(1 << (format<x_T>::bits - 1)) : 0;
EDT_LABEL(Elements)
    for (int i = 0; i < int(CONFIG_T::size); i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
        EDT_BEAT(CONFIG_T::unroll);
        y[i] = value<y_T>(typename format<y_T>::code_t(table[int(code(x[i])) - lowest]));
    }
}

} // namespace edt

#endif
