/* config_template.h - what the two files of address templates share: values, and the functions that
 * config_template_functions.c has for the language of config_template.c.
 *
 * Internal to src/agent/config*.c. Everything lives in the template's arena. */
#pragma once
#include "agent/config_build.h"

#define TEMPLATE_ARGS_MAX 4u
#define TEMPLATE_CALLS_MAX 32u

struct tvalue {
    bool is_list;
    struct str text;
    struct iface_list list;
};

struct template
{
    struct arena *a;
    struct iface_list all;
    struct err *err;
    bool is_malformed; /* an error is one of reading the template, not of carrying it out */
};

typedef int (*template_fn)(struct template *t, const struct str *args, struct iface_list in,
                           struct tvalue *ret_value);

struct template_function {
    const char *name;
    unsigned arg_count; /* texts, not counting the list */
    bool takes_list;
    template_fn fn;
};

/* NULL: no such function. */
const struct template_function *template_function_find(struct str name);
/* printf, the one function with any number of arguments; args[0] is the format. */
NODISCARD int template_printf(struct template *t, const struct str *args, size_t count,
                              struct tvalue *ret_value);
