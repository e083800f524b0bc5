/* Whatever time_parse_rfc3339() accepts must print to something that reads back as the same time.
 */
#include "base/arena.h"
#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ns, back;
    if (time_parse_rfc3339(str_make(data, size), &ns) == 0) {
        struct arena a = {0};
        ASSERT(time_parse_rfc3339(time_format_rfc3339(&a, ns), &back) == 0 && back == ns);
        arena_deinit(&a);
    }
    return 0;
}
