// Between the memory of a card and the streams of edgendt_axis, which stays as it is: two kernels that v++ links to it.
// memory: packets one behind the other, each a word that says how many words it has and then those.
#include "edt_axis.h"

static_assert(edt::format<decltype(edt::Beat::data)>::bits == edt::format<ap_int<32> >::bits && sizeof(int) == 4,
              "memory, streams and counts must have words of 32 bits");

extern "C" {

// From memory to the network: TLAST at the last word of each packet, which has one word at least.
void edt_send(const ap_int<32> *memory, int count, edt::Stream &packets) {
#pragma HLS INTERFACE m_axi port=memory offset=slave bundle=gmem
#pragma HLS INTERFACE axis port=packets
    int at = 0;
EDT_LABEL(Packets)
    for (int packet = 0; packet < count; packet++) {
        const int words = int(memory[at]);
    EDT_LABEL(Words)
        for (int i = 1; i <= words; i++) {
#pragma HLS PIPELINE II=1
            edt::put(packets, memory[at + i], i == words);
        }
        at += words + 1;
    }
}

// From the network to memory: the answers to so many packets.
void edt_receive(edt::Stream &answers, ap_int<32> *memory, int count) {
#pragma HLS INTERFACE axis port=answers
#pragma HLS INTERFACE m_axi port=memory offset=slave bundle=gmem
    int at = 0;
EDT_LABEL(Answers)
    for (int answer = 0; answer < count; answer++) {
        edt::Packet packet;
        int words = 0;
    EDT_LABEL(Words)
        while (!packet.over) {
#pragma HLS PIPELINE II=1
            words++;
            memory[at + words] = edt::word(answers, packet);
        }
        memory[at] = words;
        at += words + 1;
    }
}
}
