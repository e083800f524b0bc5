/* Any text through the HCL reader and the layout. */
#include "base/err.h"
#include "schema/hcl.h"
#include "schema/hcl_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct err err = {0};
    struct value *v = NULL;
    if (hcl_parse(&a, str_make(data, size), &v, &err) == 0) {
        ASSERT(v->kind == VALUE_MAP || v->kind == VALUE_LIST || v->kind <= VALUE_STR);
    } else {
        ASSERT(err.code != 0);
    }
    struct str text = str_trim(str_make(data, size)), laid_out;
    bool is_hcl = err.code == 0 && !str_has_prefix(text, STR("{"));
    int rc = hcl_format(&a, str_make(data, size), NULL, &laid_out, &err);
    ASSERT((rc == 0) == is_hcl); /* both readers agree */
    arena_deinit(&a);
    return 0;
}
