// What the stand-in for the plain top calls: the library named by $EDT_FIRMWARE, whose top takes what is put into arrays.
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

namespace {

template <class F> F find(const char *name) {
    const char *path = std::getenv("EDT_FIRMWARE");
    void *library = path == nullptr ? nullptr : dlopen(path, RTLD_NOW);
    void *found = library == nullptr ? nullptr : dlsym(library, name);
    if (found == nullptr) {
        const char *why = dlerror();
        std::fprintf(stderr, "EDT_FIRMWARE=%s: %s\n", path == nullptr ? "(unset)" : path, why == nullptr ? "" : why);
        std::abort();
    }
    return reinterpret_cast<F>(found);
}

} // namespace

extern "C" {

void edt_dpi_put(int array, int place, int code) {
    static void (*const put)(int, int, int) = find<void (*)(int, int, int)>("put");
    put(array, place, code);
}

void edt_dpi_call(void) {
    static void (*const call)(void) = find<void (*)(void)>("call");
    call();
}

int edt_dpi_code(int place) {
    static int (*const code)(int) = find<int (*)(int)>("code");
    return code(place);
}
}
