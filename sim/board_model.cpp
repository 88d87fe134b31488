// The verilated board top behind a C ABI: bytes through its UART pins, its button and LEDs, and a pump between the pins
// and a file descriptor. Driven by edgendt/sim/emulator.py through ctypes. EDT_BIT: clock cycles per bit of the UART.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>

#include "Vedt_top_uart.h"
#include "verilated.h"

namespace {

constexpr int64_t Quiet = 4096;     // cycles without a sign of life after which the board only waits: > one packet's words
constexpr int64_t Slice = 64;       // cycles between two looks at the file descriptor
constexpr size_t Ahead = 64;        // bytes taken from the descriptor ahead of the wire; the rest waits in its own buffer
constexpr size_t Untaken = 4096;     // bytes that a host may leave unread before they are lost, as in a UART adapter
constexpr int64_t Failed = -3;      // an assertion of the RTL failed

struct Board {
  VerilatedContext context;
  Vedt_top_uart top{&context};
  std::deque<uint8_t> in, out;    // not yet on the pin; seen on the pin, not yet taken
  uint32_t send = 0, seen = 0;    // bits of the byte under way
  int send_bits = 0, send_left = 0, seen_bits = 0, seen_left = 0;
  int64_t cycles = 0, quiet = 0, lost = 0, framing = 0;

  void cycle() {
    if (send_left == 0 && send_bits == 0 && !in.empty()) {
      send = (uint32_t{in.front()} << 1) | 0x200;  // start bit 0, eight bits, stop bit 1
      in.pop_front();
      send_bits = 10;
    }
    if (send_left == 0 && send_bits) {
      top.rx_i = send & 1;
      send >>= 1;
      --send_bits;
      send_left = EDT_BIT;
    }
    if (send_left) --send_left;
    top.osc_i = 1;
    top.eval();
    top.osc_i = 0;
    top.eval();
    ++cycles;
    listen();
    quiet = (send_left || send_bits || !in.empty() || seen_bits || (top.led_o & 2)) ? 0 : quiet + 1;
  }

  // The host's receiver: a start bit's edge, then the middle of each of nine bits.
  void listen() {
    if (seen_bits == 0) {
      if (top.tx_o) return;
      seen_bits = 9;
      seen_left = EDT_BIT + EDT_BIT / 2;
      seen = 0;
      return;
    }
    if (--seen_left) return;
    seen_left = EDT_BIT;
    seen |= uint32_t{top.tx_o} << (9 - seen_bits);
    if (--seen_bits) return;
    if (!(seen & 0x100)) ++framing;
    else if (out.size() < Untaken) out.push_back(static_cast<uint8_t>(seen));
    else ++lost;
  }

  bool waits() const { return quiet > Quiet; }

  int64_t take(uint8_t* data, int64_t size) {
    const int64_t count = std::min<int64_t>(size, static_cast<int64_t>(out.size()));
    std::copy_n(out.begin(), count, data);
    out.erase(out.begin(), out.begin() + count);
    return count;
  }
};

}  // namespace

extern "C" {

void edt_board_button(Board* board, int pressed) { board->top.button_n_i = !pressed; }

int edt_board_leds(Board* board) { return board->top.led_o & 0xFF; }

int64_t edt_board_cycles(Board* board) { return board->cycles; }

int64_t edt_board_lost(Board* board) { return board->lost + board->framing; }

int64_t edt_board_waiting(Board* board) { return static_cast<int64_t>(board->out.size()); }

void edt_board_send(Board* board, const uint8_t* data, int64_t size) {
  board->in.insert(board->in.end(), data, data + size);
  board->quiet = 0;
}

int64_t edt_board_take(Board* board, uint8_t* data, int64_t size) { return board->take(data, size); }

// At most `cycles`; ends early when the board only waits, and with `listen` when a byte was received.
int64_t edt_board_run(Board* board, int64_t cycles, int listen) {
  int64_t done = 0;
  while (done < cycles && !(listen && (board->waits() || !board->out.empty()))) {
    board->cycle();
    ++done;
    if (board->context.gotError()) return Failed;
  }
  return done;
}

Board* edt_board_new() {
  auto* board = new Board;
  board->context.fatalOnError(false);  // a failed assertion is a result, not the end of the process
  board->top.rx_i = 1;
  edt_board_button(board, 1);
  edt_board_run(board, 16, 0);
  edt_board_button(board, 0);
  edt_board_run(board, 16, 0);
  return board;
}

void edt_board_free(Board* board) { delete board; }

// Bytes between a non-blocking descriptor and the pins for `milliseconds`; sleeps while the board only waits.
int64_t edt_board_pump(Board* board, int fd, int milliseconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(milliseconds);
  const int64_t begin = board->cycles;
  uint8_t data[1024];
  while (true) {
    if (board->in.size() < Ahead) {
      const ssize_t got = read(fd, data, sizeof data);
      if (got > 0) edt_board_send(board, data, got);
    }
    if (!board->out.empty()) {
      const int64_t count = std::min<int64_t>(sizeof data, static_cast<int64_t>(board->out.size()));
      std::copy_n(board->out.begin(), count, data);
      const ssize_t put = write(fd, data, static_cast<size_t>(count));  // a host that does not read: later
      if (put > 0) board->out.erase(board->out.begin(), board->out.begin() + put);
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return board->cycles - begin;
    if (board->waits()) {
      pollfd wait{fd, static_cast<short>(board->out.empty() ? POLLIN : POLLIN | POLLOUT), 0};
      poll(&wait, 1, static_cast<int>(left));
    } else if (edt_board_run(board, Slice, 0) == Failed) {
      return Failed;
    }
  }
}

}  // extern "C"
