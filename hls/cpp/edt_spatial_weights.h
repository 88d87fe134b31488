// Attention weights between the channels of a whole window: softmax per head, heads averaged, rounded once.
// Reference: edgendt/ops/spatial_weights.py.
#ifndef EDT_SPATIAL_WEIGHTS_H_
#define EDT_SPATIAL_WEIGHTS_H_

#include "edt_attention.h"

namespace edt {

// CONFIG_T: size (channels); bins; heads; c and shift (scores to exponents); unroll (bins of a head per cycle); longest
// (bits of the largest sum of exponentials); mean_shift (sum over heads to a code); exp_t, recip_t (integer codes).
// q, k: [size * bins]; y: [size * size]; exp_table: [256]; recip: entries 512..1023 of the reference.
template <class q_T, class k_T, class y_T, class CONFIG_T>
void spatial_weights(q_T q[CONFIG_T::size * CONFIG_T::bins], k_T k[CONFIG_T::size * CONFIG_T::bins],
                     y_T y[CONFIG_T::size * CONFIG_T::size], const typename CONFIG_T::exp_t exp_table[256],
                     const typename CONFIG_T::recip_t recip[512]) {
#pragma HLS INLINE OFF
    const int size = CONFIG_T::size;
    const int bins = CONFIG_T::bins;
    const int heads = CONFIG_T::heads;
    const int width = bins / heads; // bins per head
    static_assert(size > 0 && bins > 0 && heads > 0, "sizes must be positive");
    static_assert(bins % heads == 0 && (heads & (heads - 1)) == 0, "heads must divide bins and be a power of two");
    static_assert(CONFIG_T::unroll > 0 && width % CONFIG_T::unroll == 0,
                  "unroll must be positive and divide the bins of a head");
    static_assert(!format<y_T>::is_signed, "weights are unsigned");
    static_assert(CONFIG_T::longest == bit_length(255ULL * size), "longest must be the bits of the largest sum");
    static_assert(CONFIG_T::mean_shift == 14 + CONFIG_T::longest + bit_length(heads) - 1 - format<y_T>::frac,
                  "mean_shift must lead from the sum over heads to a code of y");

    const int score_bits = sint<q_T>::bits + sint<k_T>::bits + bit_length(width);
    const int gap_bits = score_bits + 1;
    const int d_bits = CONFIG_T::longest + 1;
    const int most = CONFIG_T::longest - 8; // a sum has 8 bits at least
    const int share_bits = 9 + 16 + most;
    const int sum_bits = share_bits + bit_length(heads);

EDT_LABEL(Rows)
    for (int i = 0; i < size; i++) {
        ap_int<sum_bits> sums[size];
    EDT_LABEL(Clear)
        for (int j = 0; j < size; j++) {
#pragma HLS PIPELINE II=1
            EDT_BEAT(1);
            sums[j] = 0;
        }
    EDT_LABEL(Heads)
        for (int head = 0; head < heads; head++) {
            ap_int<score_bits> scores[size];
            ap_int<score_bits> best = 0;
        EDT_LABEL(Scores)
            for (int j = 0; j < size; j++) {
                ap_int<score_bits> score = 0;
            EDT_LABEL(Dot)
                for (int t = head * width; t < (head + 1) * width; t++) {
#pragma HLS PIPELINE II=1
#pragma HLS UNROLL factor=CONFIG_T::unroll
                    EDT_BEAT(CONFIG_T::unroll);
                    score += integer(q[i * bins + t]) * integer(k[j * bins + t]);
                }
                scores[j] = score;
                best = j == 0 || score > best ? score : best;
            }

            ap_int<9> weights[size];
            ap_int<d_bits> total = 0;
        EDT_LABEL(Exponentials)
            for (int j = 0; j < size; j++) {
#pragma HLS PIPELINE II=1
                EDT_BEAT(1);
                const ap_int<gap_bits> gap = best - scores[j];
                weights[j] = exponential<CONFIG_T::c, CONFIG_T::shift>(gap, exp_table);
                total += weights[j];
            }
            int length = 0;
            const ap_int<16> g = reciprocal(total, recip, length);
        EDT_LABEL(Shares)
            for (int j = 0; j < size; j++) {
#pragma HLS PIPELINE II=1
                EDT_BEAT(1);
                const ap_int<share_bits> share = weights[j] * g;
                sums[j] += ap_int<share_bits>(share << (CONFIG_T::longest - length));
            }
        }
    EDT_LABEL(Mean)
        for (int j = 0; j < size; j++) {
#pragma HLS PIPELINE II=1
            EDT_BEAT(1);
            y[i * size + j] = narrow<CONFIG_T::mean_shift, y_T>(sums[j]);
        }
    }
}

} // namespace edt

#endif
