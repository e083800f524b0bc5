/* Any text as a piece of configuration, through decoding, merging and every check. No file is read:
 * the fragments are HCL, or JSON when they begin with a brace. */
#include "agent/config.h"
#include "base/buf.h"
#include "base/err.h"
#include "schema/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make(data, size);
    if (str_contains(text, STR("{{"))) { /* templates ask the machine for its addresses */
        return 0;
    }
    struct str texts[] = {text, text}; /* twice: the second is merged into the first */
    struct config_sources sources = {
        .hcl = {texts, 2}, .is_dev = true, .hostname = STR("fuzz"), .addresses_given = true};
    struct arena a = {0};
    struct agent_config *config = NULL;
    struct strlist warnings;
    struct err err = {0};
    if (config_load(&sources, &a, &config, &warnings, &err) == 0) {
        struct buf out = {0};
        struct value *v = NULL;
        struct json_writer w = json_writer_make(&out, false);
        config_write_debug(&w, config, STR(""));
        ASSERT(json_parse(&a, buf_view(&out), &v, NULL) == 0);
        ASSERT(config_diff_nonreloadable(&a, config, config).n == 0);
        buf_deinit(&out);
    } else {
        ASSERT(err.code != 0 && config == NULL);
    }
    config_unref(config);
    arena_deinit(&a);
    return 0;
}
