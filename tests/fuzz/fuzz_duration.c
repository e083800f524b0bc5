/* Whatever duration_parse() accepts must print to something that reads back as the same value. */
#include "base/arena.h"
#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ns, back;
    if (duration_parse(str_make(data, size), &ns) == 0) {
        struct arena a = {0};
        ASSERT(duration_parse(duration_format(&a, ns), &back) == 0 && back == ns);
        arena_deinit(&a);
    }
    return 0;
}
