// Cross-attention: queries of one sequence over the keys of another, of either so many rows as a window happens to have.
// Reference: edgendt/ops/cross_attention.py.
#ifndef EDT_CROSS_ATTENTION_H_
#define EDT_CROSS_ATTENTION_H_

#include "edt_attention.h"

namespace edt {

// CONFIG_T: as for attend, `window` being the most keys; queries (the most). q, y: [queries * size]; k, v: [window * size].
// asked, count: rows of q and of k and v that there are, at least one each. The rows behind them are padding: they are not
// looked at, and of y not written.
template <class q_T, class k_T, class v_T, class y_T, class CONFIG_T>
void cross_attention(q_T q[CONFIG_T::queries * CONFIG_T::size], k_T k[CONFIG_T::window * CONFIG_T::size],
                     v_T v[CONFIG_T::window * CONFIG_T::size], y_T y[CONFIG_T::queries * CONFIG_T::size], int asked,
                     int count, const typename CONFIG_T::exp_t exp_table[256], const typename CONFIG_T::recip_t recip[512]) {
#pragma HLS INLINE OFF
    const int size = CONFIG_T::size;
    const int window = CONFIG_T::window;
    const int queries = CONFIG_T::queries;
    static_assert(queries > 0 && window > 0, "there must be room for a query and a key");
    static_assert(CONFIG_T::unroll > 0 && size % CONFIG_T::unroll == 0,
                  "unroll must be positive and divide the channels of keys and values");
    typename sint<k_T>::type keys[window][size];
    typename sint<v_T>::type values[window][size];
#pragma HLS ARRAY_PARTITION variable=keys cyclic factor=CONFIG_T::unroll dim=2
#pragma HLS ARRAY_PARTITION variable=values cyclic factor=CONFIG_T::unroll dim=2
EDT_LABEL(Store)
    for (int row = 0; row < window; row++) {
        if (row < count) {
            for (int i = 0; i < size; i++) {
#pragma HLS PIPELINE II=1
                EDT_BEAT(1);
                keys[row][i] = integer(k[row * size + i]);
                values[row][i] = integer(v[row * size + i]);
            }
        }
    }
EDT_LABEL(Queries)
    for (int row = 0; row < queries; row++) {
        if (row < asked) {
            q_T query[size];
            y_T attended[size];
#pragma HLS ARRAY_PARTITION variable=query cyclic factor=CONFIG_T::unroll
#pragma HLS ARRAY_PARTITION variable=attended cyclic factor=CONFIG_T::unroll
            take_row<queries, size>(q, row, query);
            attend<q_T, k_T, v_T, y_T, CONFIG_T>(query, keys, values, 0, count, attended, exp_table, recip);
            put_row<queries, size>(attended, row, y);
        }
    }
}

} // namespace edt

#endif
