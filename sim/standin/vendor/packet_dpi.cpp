// What edgendt_axis.sv calls: the library named by $EDT_FIRMWARE, whose `packet` is one call of the top behind streams.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <vector>

namespace {

typedef int32_t (*packet_t)(const int32_t *, int32_t, int32_t *);

packet_t find() {
    const char *path = std::getenv("EDT_FIRMWARE");
    void *library = path == nullptr ? nullptr : dlopen(path, RTLD_NOW);
    const packet_t found = library == nullptr ? nullptr : reinterpret_cast<packet_t>(dlsym(library, "packet"));
    if (found == nullptr) {
        const char *why = dlerror();
        std::fprintf(stderr, "EDT_FIRMWARE=%s: %s\n", path == nullptr ? "(unset)" : path, why == nullptr ? "" : why);
        std::abort();
    }
    return found;
}

std::vector<int32_t> words, answer(1 << 20);

} // namespace

extern "C" {

int edt_dpi_word(int word, int last) {
    static const packet_t packet = find();
    words.push_back(word);
    if (last == 0) {
        return 0;
    }
    const int count = packet(words.data(), int32_t(words.size()), answer.data());
    words.clear();
    return count;
}

int edt_dpi_answer(int place) { return answer[place]; }
}
