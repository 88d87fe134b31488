// Attention of one query over cached keys and values, divided once; causal with a ring of the past, or over a whole window.
// Reference: edgendt/ops/attention.py.
#ifndef EDT_ATTENTION_H_
#define EDT_ATTENTION_H_

#include "edt_fixed.h"
#include "edt_rows.h"

namespace edt {

// A weight 0..255 from how far a score is below the best. exp_table: [256].
template <long long C, long long SHIFT, class exp_t, int W>
ap_int<9> exponential(const ap_int<W> &gap, const exp_t exp_table[256]) {
#pragma HLS INLINE
    static_assert(C > 0 && C < (1 << 15), "c must be 1..32767");
    static_assert(SHIFT >= 0, "shift must not be negative");
    static_assert(format<exp_t>::bits >= 16 && format<exp_t>::frac == 0 && !format<exp_t>::is_signed,
                  "an exponential is an unsigned whole number of 16 bits");
    const ap_int<W + 16> u = ap_int<W + 16>(gap * ap_int<16>(C)) >> SHIFT;
    ap_int<9> weight = 0;
    if (u < 4096) {
        const ap_int<17> entry = exp_table[int(u) & 255];
        weight = rne_by<8, 23, 17>(entry, 8 + (int(u) >> 8));
    }
    return weight;
}

// 1 / total as g * 2^-(14 + length), and length. total is at least 255: the best key's weight. recip: [512].
template <class recip_t, int W> ap_int<16> reciprocal(const ap_int<W> &total, const recip_t recip[512], int &length) {
#pragma HLS INLINE
    static_assert(format<recip_t>::bits >= 15 && format<recip_t>::frac == 0 && !format<recip_t>::is_signed,
                  "a reciprocal is an unsigned whole number of 15 bits");
    length = 0;
EDT_LABEL(Length)
    for (int i = 0; i < W; i++) {
#pragma HLS UNROLL
        if (total[i]) {
            length = i + 1;
        }
    }
    const ap_int<larger(W, 12)> wide = total;
    const ap_uint<10> index = ap_uint<10>(length >= 10 ? wide >> (length - 10) : wide << (10 - length));
    return recip[int(index) - 512];
}

// CONFIG_T: size; heads; window (keys); c and shift (scores to exponents); unroll (channels of a head per cycle);
// exp_t, recip_t (integer codes).
// One query q over keys and values `first` to stop - 1, integer codes; y: [size]; exp_table: [256]; recip: entries 512..1023 of the
// reference.
template <class q_T, class k_T, class v_T, class y_T, class CONFIG_T>
void attend(q_T q[CONFIG_T::size], typename sint<k_T>::type keys[CONFIG_T::window][CONFIG_T::size],
            typename sint<v_T>::type values[CONFIG_T::window][CONFIG_T::size], int first, int stop, y_T y[CONFIG_T::size],
            const typename CONFIG_T::exp_t exp_table[256], const typename CONFIG_T::recip_t recip[512]) {
#pragma HLS INLINE
    const int size = CONFIG_T::size;
    const int heads = CONFIG_T::heads;
    const int window = CONFIG_T::window;
    const int width = size / heads; // channels per head
    static_assert(heads > 0 && size > 0 && window > 0, "sizes must be positive");
    static_assert(size % heads == 0, "heads must divide size");
    static_assert(CONFIG_T::unroll > 0 && width % CONFIG_T::unroll == 0,
                  "unroll must be positive and divide the channels of a head");

    const int score_bits = sint<q_T>::bits + sint<k_T>::bits + bit_length(width);
    const int gap_bits = score_bits + 1;
    const int d_bits = 9 + bit_length(window);                                // sum of exponentials 0..255, and a sign
    const int a_bits = 9 + sint<v_T>::bits + bit_length(window) + 1;
    const int out_bits = a_bits + 16;
    const int min_shift = 14 + format<v_T>::frac - format<y_T>::frac;

EDT_LABEL(Heads)
    for (int head = 0; head < heads; head++) {
        ap_int<score_bits> scores[window];
        ap_int<score_bits> best = 0;
    EDT_LABEL(Scores)
        for (int j = 0; j < window; j++) {
            if (j >= first && j < stop) {
                ap_int<score_bits> score = 0;
            EDT_LABEL(Dot)
                for (int i = 0; i < width; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
                    EDT_BEAT(CONFIG_T::unroll);
                    score += integer(q[head * width + i]) * keys[j][head * width + i];
                }
                scores[j] = score;
                best = j == first || score > best ? score : best;
            }
        }

        ap_int<d_bits> total = 0;
        ap_int<a_bits> sums[width];
#pragma HLS ARRAY_PARTITION variable=sums cyclic factor=CONFIG_T::unroll
    EDT_LABEL(Clear)
        for (int i = 0; i < width; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
            EDT_BEAT(CONFIG_T::unroll);
            sums[i] = 0;
        }
    EDT_LABEL(Weigh)
        for (int j = 0; j < window; j++) {
            if (j >= first && j < stop) {
                const ap_int<gap_bits> gap = best - scores[j];
                const ap_int<9> weight = exponential<CONFIG_T::c, CONFIG_T::shift>(gap, exp_table);
                total += weight;
            EDT_LABEL(Accumulate)
                for (int i = 0; i < width; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
                    EDT_BEAT(CONFIG_T::unroll);
                    sums[i] += weight * values[j][head * width + i];
                }
            }
        }

        int length = 0;
        const ap_int<16> g = reciprocal(total, recip, length);
    EDT_LABEL(Divide)
        for (int i = 0; i < width; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
            EDT_BEAT(CONFIG_T::unroll);
            const ap_int<out_bits> product = sums[i] * g;
            y[head * width + i] = saturate<y_T>(
                rne_by<min_shift, min_shift + d_bits, out_bits>(product, min_shift + length));
        }
    }
}

// One bin over its past: q, k, v, y: [size]; reset: 1 says that this call is bin 0.
// The key order inside the ring does not matter: maximum and sums are exact.
template <class q_T, class k_T, class v_T, class reset_T, class y_T, class CONFIG_T>
void attention(q_T q[CONFIG_T::size], k_T k[CONFIG_T::size], v_T v[CONFIG_T::size], reset_T reset[1],
               y_T y[CONFIG_T::size], const typename CONFIG_T::exp_t exp_table[256], const typename CONFIG_T::recip_t recip[512]) {
#pragma HLS INLINE OFF
    const int size = CONFIG_T::size;
    const int window = CONFIG_T::window;
    static typename sint<k_T>::type keys[window][size];
    static typename sint<v_T>::type values[window][size];
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
        EDT_BEAT(CONFIG_T::unroll);
        keys[slot][i] = integer(k[i]);
        values[slot][i] = integer(v[i]);
    }
    next = slot + 1 < unsigned(window) ? slot + 1 : 0u;
    held = count;
    attend<q_T, k_T, v_T, y_T, CONFIG_T>(q, keys, values, 0, count, y, exp_table, recip);
}

// Every bin over all bins: q, k, v, y: [window * size], bin after bin.
template <class q_T, class k_T, class v_T, class y_T, class CONFIG_T>
void attention_window(q_T q[CONFIG_T::window * CONFIG_T::size], k_T k[CONFIG_T::window * CONFIG_T::size],
                      v_T v[CONFIG_T::window * CONFIG_T::size], y_T y[CONFIG_T::window * CONFIG_T::size],
                      const typename CONFIG_T::exp_t exp_table[256], const typename CONFIG_T::recip_t recip[512]) {
#pragma HLS INLINE OFF
    const int size = CONFIG_T::size;
    const int window = CONFIG_T::window;
    typename sint<k_T>::type keys[window][size];
    typename sint<v_T>::type values[window][size];
#pragma HLS ARRAY_PARTITION variable=keys cyclic factor=CONFIG_T::unroll dim=2
#pragma HLS ARRAY_PARTITION variable=values cyclic factor=CONFIG_T::unroll dim=2
EDT_LABEL(Store)
    for (int row = 0; row < window; row++) {
        for (int i = 0; i < size; i++) {
#pragma HLS PIPELINE II=1
            EDT_BEAT(1);
            keys[row][i] = integer(k[row * size + i]);
            values[row][i] = integer(v[row * size + i]);
        }
    }
EDT_LABEL(Queries)
    for (int row = 0; row < window; row++) {
        q_T query[size];
        y_T attended[size];
#pragma HLS ARRAY_PARTITION variable=query cyclic factor=CONFIG_T::unroll
#pragma HLS ARRAY_PARTITION variable=attended cyclic factor=CONFIG_T::unroll
        take_row<window, size>(q, row, query);
        const int first = CONFIG_T::back < 0 || row < CONFIG_T::back ? 0 : row - int(CONFIG_T::back);
        const int stop = CONFIG_T::ahead < 0 || row + CONFIG_T::ahead >= window ? window : row + int(CONFIG_T::ahead) + 1;
        attend<q_T, k_T, v_T, y_T, CONFIG_T>(query, keys, values, first, stop, attended, exp_table, recip);
        put_row<window, size>(attended, row, y);
    }
}

} // namespace edt

#endif
