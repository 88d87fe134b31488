// Constants of another network of the same structure, word by word out of a packet, and their CRC-32.
#ifndef EDT_LOAD_H_
#define EDT_LOAD_H_

#include "edt_axis.h"

namespace edt {

// The CRC-32 of zlib, over words, their least significant byte first.
struct Crc32 {
    ap_uint<32> state;
    Crc32() : state(0xFFFFFFFFu) {}
    void add(const ap_int<32> &bits) {
#pragma HLS INLINE
        ap_uint<32> next = state ^ ap_uint<32>(bits);
    EDT_LABEL(Bits)
        for (int i = 0; i < 32; i++) {
#pragma HLS UNROLL
            next = next[0] != 0 ? ap_uint<32>((next >> 1) ^ ap_uint<32>(0xEDB88320u)) : ap_uint<32>(next >> 1);
        }
        state = next;
    }
    bool equals(const ap_int<32> &bits) const { return ~state == ap_uint<32>(bits); }
};

// constants: [SIZE], a word each. A word that is no code spoils the packet.
template <int SIZE, class T> void load(Stream &in, Packet &packet, Crc32 &crc, T constants[SIZE]) {
#pragma HLS INLINE OFF
    static_assert(SIZE > 0, "constants are loaded from one on");
    static_assert(sint<T>::bits <= 32, "a word must hold every constant");
EDT_LABEL(Load)
    for (int i = 0; i < SIZE; i++) {
#pragma HLS PIPELINE
        EDT_BEAT(1);
        const ap_int<32> bits = word(in, packet);
        crc.add(bits);
        constants[i] = value<T>(typename format<T>::code_t(bits));
        packet.good = packet.good && integer(constants[i]) == bits;
    }
}

} // namespace edt

#endif
