/* Filters and regular expressions: any text compiles or is refused with a reason, and what
 * compiles runs. */
#include "base/err.h"
#include "schema/filter.h"
#include "schema/regexp.h"

#include "../schema/every.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct err err = {0};
    struct str text = str_make(data, size);
    struct filter *f;
    if (filter_compile(&a, text, &every_schema, &f, &err) == 0) {
        struct every full = every_full(&a);
        struct every zero;
        schema_zero(&every_schema, &zero);
        (void)!filter_match(f, &full, &err);
        (void)!filter_match(f, &zero, &err);
    } else {
        ASSERT(err.text[0] != '\0');
    }
    struct regexp *re;
    if (size < 256 && regexp_compile(&a, text, &re, &err) == 0) {
        (void)!regexp_match(re, STR("10.0.0.1 foo_bar \xc3\xa9\n"));
    }
    arena_deinit(&a);
    return 0;
}
