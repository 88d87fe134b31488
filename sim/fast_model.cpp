// The verilated core behind a C ABI: load, run bins, collect tap events. Driven by edgendt/sim/fast.py through ctypes.
#include <cstdint>
#include <vector>

#ifdef EDT_SERIAL
#include "Vedt_serial.h"
using Core = Vedt_serial;
#else
#include "Vedt_core.h"
using Core = Vedt_core;
#endif
#include "verilated.h"

namespace {

struct Model {
  VerilatedContext context;
  Core core{&context};
  std::vector<int32_t> events;  // (instruction, position, code) each

  void tick() {
    core.clk_i = 0;
    core.eval();
    core.clk_i = 1;
    core.eval();
  }

  // Codes `width` bits apart in the packed tap word, sign-extended when `sign`.
  template <typename Word>
  void record(const Word& data, int pipe, int width, bool sign, int pc, int address) {
    const int at = pipe * width;
    int64_t code = 0;
    for (int bit = 0; bit < width; ++bit) code |= static_cast<int64_t>(get(data, at + bit)) << bit;
    if (sign && (code >> (width - 1))) code -= int64_t{1} << width;
    events.push_back(pc);
    events.push_back(address * EDT_PIPES + pipe);
    events.push_back(static_cast<int32_t>(code));
  }
  template <typename Scalar>
  static int get(const Scalar& data, int bit) { return static_cast<int>((static_cast<uint64_t>(data) >> bit) & 1); }
  template <std::size_t N>
  static int get(const VlWide<N>& data, int bit) { return static_cast<int>((data[bit / 32] >> (bit % 32)) & 1); }

  void tap() {
    if (core.tap_narrow_o)
      for (int p = 0; p < EDT_PIPES; ++p)
        record(core.tap_narrow_data_o, p, 18, true, core.tap_narrow_pc_o, core.tap_narrow_addr_o);
    if (core.tap_sfu_o)
      for (int p = 0; p < EDT_PIPES; ++p)
        if ((core.tap_sfu_o >> p) & 1)
          record(core.tap_sfu_data_o, p, 8, true, core.tap_sfu_pc_o, core.tap_sfu_addr_o);
  }
};

}  // namespace

extern "C" {

Model* edt_new() {
  auto* model = new Model;
  model->context.fatalOnError(false);  // a failed assertion is a result, not the end of the process
  auto& core = model->core;
  core.rst_i = 1;
  core.load_en_i = core.trial_reset_i = core.count_en_i = core.start_i = 0;
  for (int i = 0; i < 4; ++i) model->tick();
  core.rst_i = 0;
  for (int i = 0; i < 4; ++i) model->tick();
  return model;
}

void edt_free(Model* model) { delete model; }

void edt_load(Model* model, int memory, uint32_t start, const uint64_t* words, int64_t count) {
  auto& core = model->core;
  core.load_en_i = 1;
  core.load_mem_i = static_cast<uint8_t>(memory);
  for (int64_t i = 0; i < count; ++i) {
    core.load_addr_i = start + static_cast<uint32_t>(i);
    core.load_data_i = words[i];
    model->tick();
  }
  core.load_en_i = 0;
  for (int i = 0; i < 4; ++i) model->tick();
}

void edt_reset(Model* model) {
  model->core.trial_reset_i = 1;
  model->tick();
  model->core.trial_reset_i = 0;
  model->tick();
}

// One bin. Returns cycles, -1 when refused, -2 when it did not end within `limit` cycles, -3 on a failed assertion.
int64_t edt_bin(Model* model, const uint8_t* counts, int channels, int outputs, uint16_t* codes, int taps, int64_t limit) {
  auto& core = model->core;
  model->events.clear();
  if (core.refuse_o) return -1;
  core.count_en_i = 1;
  for (int i = 0; i < channels; ++i) {
    core.count_addr_i = static_cast<uint8_t>(i);
    core.count_data_i = counts[i];
    model->tick();
  }
  core.count_en_i = 0;
  core.start_i = 1;
  model->tick();
  core.start_i = 0;
  int64_t cycles = 1;
  while (!core.done_o) {
    if (taps) model->tap();
    model->tick();
    ++cycles;
    if (cycles > limit) return -2;
    if (model->context.gotError()) return -3;
  }
  for (int i = 0; i < outputs; ++i) {
    core.out_addr_i = static_cast<uint8_t>(i);
    model->tick();
    codes[i] = core.out_data_o;
  }
  return core.cycles_o == cycles ? cycles : -4;
}

int64_t edt_events(Model* model, const int32_t** events) {
  *events = model->events.data();
  return static_cast<int64_t>(model->events.size() / 3);
}

}  // extern "C"
