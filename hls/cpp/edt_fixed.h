// Integer codes of the vendors' types, and the one narrowing rule: ties to even, then saturate. Reference: edgendt/fixed.py.
#ifndef EDT_FIXED_H_
#define EDT_FIXED_H_

#ifdef __AC_FIXED_H // hls4ml's defines.h has taken Algorithmic C types: the backends Quartus and Catapult
#include "edt_ac.h"
#else
#include "edt_ap.h"
#endif

// A loop's name in the vendor's reports; g++ calls a label that nothing jumps to unused.
#ifdef __SYNTHESIS__
#define EDT_LABEL(name) name:
#else
#define EDT_LABEL(name)
#endif

// One beat of a pipelined loop that is unrolled so far: counted where a test asks for it, nothing elsewhere.
#ifdef EDT_COUNT_BEATS
namespace edt {
const long long beat = 720720; // divided by every unroll up to 16
static long long beats = 0;
} // namespace edt
#define EDT_BEAT(unroll) edt::beats += edt::beat / (unroll)
#else
#define EDT_BEAT(unroll)
#endif

namespace edt {

// Bits needed to write v, below 2^4 and below 2^16; 0 for 0.
constexpr int bit_length4(unsigned long long v) { return v >= 8 ? 4 : v >= 4 ? 3 : v >= 2 ? 2 : int(v); }
constexpr int bit_length16(unsigned long long v) {
    return v >> 12 ? 12 + bit_length4(v >> 12)
                   : v >> 8 ? 8 + bit_length4(v >> 8) : v >> 4 ? 4 + bit_length4(v >> 4) : bit_length4(v);
}

// Bits needed to write v; 0 for 0. No recursion, for the rule holds for constants too; C++11 knows no loop here.
constexpr int bit_length(unsigned long long v) {
    return v >> 48 ? 48 + bit_length16(v >> 48)
                   : v >> 32 ? 32 + bit_length16(v >> 32) : v >> 16 ? 16 + bit_length16(v >> 16) : bit_length16(v);
}

// Bits of an index 0..n-1; at least one, since ap_uint<0> does not exist.
constexpr int index_bits(unsigned long long n) { return n <= 2 ? 1 : bit_length(n - 1); }

constexpr int larger(int a, int b) { return a > b ? a : b; }

// A code as a signed integer: an unsigned format needs one bit more.
template <class T> struct sint {
    static const int bits = format<T>::bits + (format<T>::is_signed ? 0 : 1);
    typedef ap_int<bits> type;
};

template <class T> typename sint<T>::type integer(const T &value) {
#pragma HLS INLINE
    return typename sint<T>::type(code(value));
}

// Saturate an integer to the codes of y_T.
template <class y_T, int W> y_T saturate(const ap_int<W> &a) {
#pragma HLS INLINE
    typedef typename format<y_T>::code_t code_t;
    const int bits = format<y_T>::bits;
    const int wide = larger(W, bits + 2);
    static_assert(bits < 63, "the largest code must fit 64 bits");
    const long long largest = (1LL << (format<y_T>::is_signed ? bits - 1 : bits)) - 1;
    const ap_int<wide> hi = largest;
    const ap_int<wide> lo = format<y_T>::is_signed ? -largest - 1 : 0;
    const ap_int<wide> in = a;
    return value<y_T>(code_t(in > hi ? hi : in < lo ? lo : in));
}

// a * 2^-shift to the nearest integer, ties to even, for a shift known only when running: min..max, either may be < 0.
template <int MIN_SHIFT, int MAX_SHIFT, int W>
ap_int<larger(W, MAX_SHIFT) + larger(-MIN_SHIFT, 0) + 2> rne_by(const ap_int<W> &a, int shift) {
#pragma HLS INLINE
    static_assert(MIN_SHIFT <= MAX_SHIFT, "an empty range of shifts");
    const int wide = larger(W, MAX_SHIFT) + larger(-MIN_SHIFT, 0) + 2; // neither the shift nor the rounding overflows
    ap_int<wide> sum = a;
    if (shift <= 0) {
        sum <<= -shift;
    } else {
        const ap_int<wide> below = (ap_int<wide>(1) << (shift - 1)) - 1;
        const ap_uint<1> odd = ap_uint<1>(sum >> shift);
        sum += below; // half a step, less the last bit: a tie goes up only when the code is odd
        sum += odd;
        sum >>= shift;
    }
    return sum;
}

// a * 2^-SHIFT to the nearest integer, ties to even.
template <int SHIFT, int W> ap_int<larger(W, SHIFT) + larger(-SHIFT, 0) + 2> rne(const ap_int<W> &a) {
#pragma HLS INLINE
    return rne_by<SHIFT, SHIFT, W>(a, SHIFT);
}

// narrow(a, SHIFT, Y) of SEMANTICS.
template <int SHIFT, class y_T, int W> y_T narrow(const ap_int<W> &a) {
#pragma HLS INLINE
    return saturate<y_T>(rne<SHIFT>(a));
}

} // namespace edt

#endif
