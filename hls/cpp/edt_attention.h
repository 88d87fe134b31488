// Causal attention of one bin over a window of cached keys and values, divided once. Reference: edgendt/ops/attention.py.
#ifndef EDT_ATTENTION_H_
#define EDT_ATTENTION_H_

#include "edt_fixed.h"

namespace edt {

// CONFIG_T: size; heads; window (keys); c and shift (scores to exponents); unroll (channels of a head per cycle);
// exp_t, recip_t (integer codes).
// q, k, v, y: [size]; reset: 1 says that this call is bin 0; exp_table: [256]; recip: entries 512..1023 of the reference.
// The key order inside the ring does not matter: maximum and sums are exact.
template <class q_T, class k_T, class v_T, class reset_T, class y_T, class CONFIG_T>
void attention(q_T q[CONFIG_T::size], k_T k[CONFIG_T::size], v_T v[CONFIG_T::size], reset_T reset[1],
               y_T y[CONFIG_T::size], typename CONFIG_T::exp_t exp_table[256], typename CONFIG_T::recip_t recip[512]) {
#pragma HLS INLINE OFF
    const int size = CONFIG_T::size;
    const int heads = CONFIG_T::heads;
    const int window = CONFIG_T::window;
    const int width = size / heads; // channels per head
    static_assert(heads > 0 && size > 0 && window > 0, "sizes must be positive");
    static_assert(size % heads == 0, "heads must divide size");
    static_assert(CONFIG_T::c > 0 && CONFIG_T::c < (1 << 15), "c must be 1..32767");
    static_assert(width % CONFIG_T::unroll == 0, "unroll must divide the channels of a head");
    static_assert(CONFIG_T::shift >= 0, "shift must not be negative");
    static_assert(format<typename CONFIG_T::exp_t>::bits >= 16 && format<typename CONFIG_T::recip_t>::bits >= 15,
                  "a table entry needs 16 and 15 bits");

    typedef typename sint<k_T>::type key_T;
    typedef typename sint<v_T>::type value_T;
    const int score_bits = sint<q_T>::bits + sint<k_T>::bits + bit_length(width);
    const int gap_bits = score_bits + 1;
    const int u_bits = gap_bits + 16;
    const int d_bits = 9 + bit_length(window);                                // sum of exponentials 0..255, and a sign
    const int a_bits = 9 + sint<v_T>::bits + bit_length(window) + 1;
    const int out_bits = a_bits + 16;
    const int min_shift = 14 + format<v_T>::frac - format<y_T>::frac;

    static key_T keys[window][size];
    static value_T values[window][size];
#pragma HLS ARRAY_PARTITION variable=keys cyclic factor=CONFIG_T::unroll dim=2
#pragma HLS ARRAY_PARTITION variable=values cyclic factor=CONFIG_T::unroll dim=2
    static ap_uint<index_bits(window)> next = 0;
    static ap_uint<bit_length(window)> held = 0;
#pragma HLS RESET variable=next
#pragma HLS RESET variable=held
    const unsigned slot = reset[0] != 0 ? 0u : unsigned(next);
    const unsigned before = reset[0] != 0 ? 0u : unsigned(held);
    const int count = before < unsigned(window) ? int(before) + 1 : window;

EDT_LABEL(Store)
    for (int i = 0; i < size; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
        keys[slot][i] = integer(k[i]);
        values[slot][i] = integer(v[i]);
    }
    next = slot + 1 < unsigned(window) ? slot + 1 : 0u;
    held = count;

EDT_LABEL(Heads)
    for (int head = 0; head < heads; head++) {
        ap_int<score_bits> scores[window];
        ap_int<score_bits> best = 0;
    EDT_LABEL(Scores)
        for (int j = 0; j < window; j++) {
            if (j < count) {
                ap_int<score_bits> score = 0;
            EDT_LABEL(Dot)
                for (int i = 0; i < width; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
                    score += integer(q[head * width + i]) * keys[j][head * width + i];
                }
                scores[j] = score;
                best = j == 0 || score > best ? score : best;
            }
        }

        ap_int<d_bits> total = 0;
        ap_int<a_bits> sums[width];
#pragma HLS ARRAY_PARTITION variable=sums cyclic factor=CONFIG_T::unroll
    EDT_LABEL(Clear)
        for (int i = 0; i < width; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
            sums[i] = 0;
        }
    EDT_LABEL(Weigh)
        for (int j = 0; j < window; j++) {
            if (j < count) {
                const ap_int<gap_bits> gap = best - scores[j];
                const ap_int<u_bits> u = ap_int<u_bits>(gap * ap_int<16>(CONFIG_T::c)) >> CONFIG_T::shift;
                ap_int<9> weight = 0;
                if (u < 4096) {
                    const ap_int<17> entry = exp_table[int(u) & 255];
                    weight = rne_by<8, 23, 17>(entry, 8 + (int(u) >> 8));
                }
                total += weight;
            EDT_LABEL(Accumulate)
                for (int i = 0; i < width; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
                    sums[i] += weight * values[j][head * width + i];
                }
            }
        }

        int length = 0; // at least 8: the best key's weight is 255
    EDT_LABEL(Length)
        for (int i = 0; i < d_bits; i++) {
#pragma HLS UNROLL
            if (total[i]) {
                length = i + 1;
            }
        }
        const ap_int<larger(d_bits, 12)> wide = total;
        const ap_uint<10> index = ap_uint<10>(length >= 10 ? wide >> (length - 10) : wide << (10 - length));
        const ap_int<16> g = recip[int(index) - 512];
    EDT_LABEL(Divide)
        for (int i = 0; i < width; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
            const ap_int<out_bits> product = sums[i] * g;
            y[head * width + i] = saturate<y_T>(
                rne_by<min_shift, min_shift + d_bits, out_bits>(product, min_shift + length));
        }
    }
}

} // namespace edt

#endif
