// What firmware_shell.sv calls: the library named by $EDT_FIRMWARE, opened at the first call.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

namespace {

struct Firmware {
    int32_t (*channels)(void);
    int32_t (*outputs)(void);
    int32_t (*max_bins)(void);
    int32_t (*bin)(void);
    void (*reset)(void);
    int32_t (*step)(const int32_t *, int32_t *);
    bool loaded;
};

template <class F> bool find(void *library, const char *name, F &function) {
    function = reinterpret_cast<F>(dlsym(library, name));
    return function != nullptr;
}

Firmware open() {
    Firmware fw = {};
    const char *path = std::getenv("EDT_FIRMWARE");
    void *library = path == nullptr ? nullptr : dlopen(path, RTLD_NOW);
    fw.loaded = library != nullptr && find(library, "edt_channels", fw.channels) &&
                find(library, "edt_outputs", fw.outputs) && find(library, "edt_max_bins", fw.max_bins) &&
                find(library, "edt_bin", fw.bin) && find(library, "edt_reset", fw.reset) &&
                find(library, "edt_step", fw.step);
    if (!fw.loaded) {
        const char *why = dlerror();
        std::fprintf(stderr, "EDT_FIRMWARE=%s: %s\n", path == nullptr ? "(unset)" : path, why == nullptr ? "" : why);
    }
    return fw;
}

const Firmware &firmware() {
    static const Firmware fw = open();
    return fw;
}

} // namespace

extern "C" {

int edt_dpi_step(const unsigned char *counts, short *outputs) {
    const Firmware &fw = firmware();
    if (!fw.loaded) {
        return 2;
    }
    int32_t in[256], out[256];
    for (int i = 0; i < fw.channels(); i++) {
        in[i] = counts[i];
    }
    const int32_t refused = fw.step(in, out);
    for (int i = 0; refused == 0 && i < fw.outputs(); i++) {
        outputs[i] = static_cast<short>(out[i]);
    }
    return refused;
}

int edt_dpi_refuse(void) {
    const Firmware &fw = firmware();
    return fw.loaded && fw.max_bins() != 0 && fw.bin() >= fw.max_bins();
}

void edt_dpi_reset(void) {
    if (firmware().loaded) {
        firmware().reset();
    }
}
}
