/* Templates of prepared queries: any text parses and evaluates, or is refused with a reason; what
 * a template that was accepted gives for another name is bounded. The first line is the regular
 * expression, the second the name that is asked for, the rest the text. */
#include "base/err.h"
#include "schema/hil.h"
#include "store/query_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct err err = {0};
    struct str regexp, rest, name, text;
    (void)str_cut(str_make(data, size), '\n', &regexp, &rest);
    (void)str_cut(rest, '\n', &name, &text);
    struct str tags[] = {text, STR("x"), STR("")};
    struct strpair meta = {STR("k"), text};
    struct prepared_query query = {
        .name = str_first(name, name.n / 2),
        .template_ = {QUERY_TEMPLATE_NAME_PREFIX_MATCH, str_first(regexp, 256), true},
        .service = {.service = text, .tags = {tags, 3}, .node_meta = {&meta, 1}},
    };
    const struct prepared_query *rendered;
    if (query_template_check(&a, &query, &err) < 0) {
        ASSERT(err.text[0] != '\0');
    } else if (query_template_render(&a, &query, name, STR("s"), &rendered, &err) == 0) {
        ASSERT(rendered->service.service.n <= HIL_SIZE_MAX);
        ASSERT(rendered->service.tags.n >= 1 && rendered->service.tags.n <= 2);
    } else {
        ASSERT(err.text[0] != '\0');
    }
    arena_deinit(&a);
    return 0;
}
