// The types of AMD's tools: ap_int, ap_fixed. Sibling: edt_ac.h.
#ifndef EDT_AP_H_
#define EDT_AP_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace edt {

using ::ap_int;
using ::ap_uint;

// format<T>: bits, frac, sign and code type of a type; value = code * 2^-frac.
template <class T> struct format;

template <int W> struct format<ap_int<W> > {
    static const int bits = W;
    static const int frac = 0;
    static const bool is_signed = true;
    typedef ap_int<W> code_t;
};

template <int W> struct format<ap_uint<W> > {
    static const int bits = W;
    static const int frac = 0;
    static const bool is_signed = false;
    typedef ap_uint<W> code_t;
};

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct format<ap_fixed<W, I, Q, O, N> > {
    static const int bits = W;
    static const int frac = W - I;
    static const bool is_signed = true;
    static const bool ties_to_even = Q == AP_RND_CONV;
    static const bool saturates = O == AP_SAT;
    typedef ap_int<W> code_t;
};

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct format<ap_ufixed<W, I, Q, O, N> > {
    static const int bits = W;
    static const int frac = W - I;
    static const bool is_signed = false;
    static const bool ties_to_even = Q == AP_RND_CONV;
    static const bool saturates = O == AP_SAT;
    typedef ap_uint<W> code_t;
};

// The code of a value: the same bits, read as an integer.
template <class T> typename format<T>::code_t code(const T &value) {
#pragma HLS INLINE
    typename format<T>::code_t bits;
#ifdef EDT_FAST
    bits.V = value.V; // emulation's storage, without the reference that range() makes
#else
    bits.range() = value.range();
#endif
    return bits;
}

// The value of a code: the same bits, read in format T.
template <class T> T value(const typename format<T>::code_t &bits) {
#pragma HLS INLINE
    T out;
#ifdef EDT_FAST
    out.V = bits.V;
#else
    out.range() = bits.range();
#endif
    return out;
}

// The type of an Int(bits, frac): the cast to it is narrow.
template <int BITS, int FRAC, bool SIGNED> struct narrowed {
    typedef ap_fixed<BITS, BITS - FRAC, AP_RND_CONV, AP_SAT> type;
};
template <int BITS, int FRAC> struct narrowed<BITS, FRAC, false> {
    typedef ap_ufixed<BITS, BITS - FRAC, AP_RND_CONV, AP_SAT> type;
};

} // namespace edt

#endif
