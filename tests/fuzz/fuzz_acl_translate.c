/* Rules of legacy tokens: what is translated can be translated again, and is then what it was: the
 * old names are gone. */
#include "acl/translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct err err = {0};
    struct str once, twice;
    if (acl_rules_translate(&a, str_make(data, size), &once, &err) == 0) {
        ASSERT(acl_rules_translate(&a, once, &twice, &err) == 0);
    } else {
        ASSERT(err.text[0] != '\0');
    }
    arena_deinit(&a);
    return 0;
}
