// Packets on AXI4-Streams: a word per code, TLAST at the last. Used by the top and, the other way, by what talks to it.
#ifndef EDT_AXIS_H_
#define EDT_AXIS_H_

#include "ap_axi_sdata.h"
#include "edt_fixed.h"
#include "hls_stream.h"

namespace edt {

#ifdef EDT_SIDE_CHANNELS // vivado_hls has no beat without user, id and dest
typedef ap_axiu<32, 1, 1, 1> Beat;
#else
typedef ap_axiu<32, 0, 0, 0> Beat;
#endif
typedef hls::stream<Beat> Stream;
static_assert(format<decltype(Beat::data)>::bits == 32, "a word of a packet has 32 bits");

// The first word of an answer.
const int answered = 0;
const int malformed = 1; // too short, too long, or a word that is no code: nothing was computed
const int ended = 2;     // past the last position row: nothing was computed
const int empty = 3;     // a load did not come whole: nothing is computed before one does

// A packet that is being read.
struct Packet {
    bool over; // its last word has been read
    bool good; // so far
    Packet() : over(false), good(true) {}
};

// The next word. A packet that is over has none, and was too short.
inline ap_int<32> word(Stream &in, Packet &packet) {
#pragma HLS INLINE
    ap_int<32> bits = 0;
    if (packet.over) {
        packet.good = false;
    } else {
        const Beat beat = in.read();
        bits = beat.data;
        packet.over = beat.last != 0;
    }
    return bits;
}

// The next `count` words as codes, at most SIZE.
template <int SIZE, class T> void take(Stream &in, Packet &packet, T codes[SIZE], int count = SIZE) {
#pragma HLS INLINE OFF
    static_assert(SIZE > 0, "codes are taken from one on");
    static_assert(sint<T>::bits <= 32, "a word must hold every code taken");
EDT_LABEL(Take)
    for (int i = 0; i < SIZE; i++) {
#pragma HLS PIPELINE II=1
        EDT_BEAT(1);
        if (i < count) {
            const ap_int<32> bits = word(in, packet);
            codes[i] = value<T>(typename format<T>::code_t(bits));
            packet.good = packet.good && integer(codes[i]) == bits;
        }
    }
}

// Everything has been read: what is left made the packet too long, and is dropped.
inline void close(Stream &in, Packet &packet) {
#pragma HLS INLINE OFF
EDT_LABEL(Drop)
    while (!packet.over) {
#pragma HLS PIPELINE II=1
        EDT_BEAT(1);
        packet.good = false;
        word(in, packet);
    }
}

inline void put(Stream &out, const ap_int<32> &bits, bool last) {
#pragma HLS INLINE
    Beat beat;
    beat.data = ap_uint<32>(bits);
    beat.keep = -1;
    beat.strb = -1;
    beat.last = last;
#ifdef EDT_SIDE_CHANNELS
    beat.user = 0;
    beat.id = 0;
    beat.dest = 0;
#endif
    out.write(beat);
}

// A packet, or its end: a word, and `count` codes behind it, at most SIZE.
template <int SIZE, class T> void give(Stream &out, int first, const T codes[SIZE], int count = SIZE) {
#pragma HLS INLINE OFF
    static_assert(SIZE > 0, "codes are given from one on");
    static_assert(sint<T>::bits <= 32, "a word must hold every code given");
    put(out, first, count == 0);
EDT_LABEL(Give)
    for (int i = 0; i < SIZE; i++) {
#pragma HLS PIPELINE II=1
        EDT_BEAT(1);
        if (i < count) {
            put(out, integer(codes[i]), i == count - 1);
        }
    }
}

} // namespace edt

#endif
