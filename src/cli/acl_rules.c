#include "acl/translate.h"
#include "cli/acl.h"

#include <stdio.h>

static bool is_accessor, is_secret;

static const struct cli_flag flags[] = {
    {"token-accessor", CLI_BOOL, &is_accessor,
     "The argument is the accessor id of a token whose rules to translate."},
    {"token-secret", CLI_BOOL, &is_secret,
     "The argument is the secret id of a token whose rules to translate."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

static int argument_load(struct arena *a, const struct cli_args *args, struct str *ret_text,
                         struct err *err)
{
    if (args->argc == 0) {
        return err_set(err, ERR_INVALID, "Missing TRANSLATE argument");
    }
    if (args->argc > 1) {
        return err_set(err, ERR_INVALID, "Too many arguments: expected 1 got %d", args->argc);
    }
    return cli_data_read(a, str_from_cstr(args->argv[0]), ret_text, err);
}

/* The rules of the token that was named, in place of its name. The exit code. */
static int token_rules(struct arena *a, struct str *text)
{
    struct err err = {0};
    struct str rules;
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul Agent");
    if (c == NULL) {
        return 1;
    }
    if (acl_legacy_rules(c, str_trim(*text), is_secret, &rules, &err) < 0) {
        return cli_error("%s", err_text(&err));
    }
    *text = arena_str(a, rules);
    return 0;
}

static int translate(struct arena *a, const struct cli_args *args)
{
    struct err err = {0};
    struct str text, rules;
    if (is_secret && is_accessor) {
        return cli_error("Error - cannot specify both -token-secret and -token-accessor");
    }
    if (argument_load(a, args, &text, &err) < 0) {
        return cli_error("Error! %s", err_text(&err));
    }
    int code = is_secret || is_accessor ? token_rules(a, &text) : 0;
    if (code != 0) {
        return code;
    }
    if (acl_rules_translate(a, text, &rules, &err) < 0) {
        return cli_error("Error translating rules: %s", err_text(&err));
    }
    printf("%.*s\n", STRF(rules));
    return 0;
}

static int acl_translate_rules_run(int argc, char **argv)
{
    struct cli_args args;
    struct arena a = {0};
    int code;
    if (cli_parse("acl translate-rules", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        code = translate(&a, &args);
    }
    arena_deinit(&a);
    return code;
}

const struct cli_command cli_acl_rules_commands[] = {
    {.name = "acl translate-rules",
     .synopsis = "Put legacy rules into today's syntax",
     .run = acl_translate_rules_run,
     .usage = "[options] TRANSLATE",
     .help = "  Prints rules of a legacy token in today's syntax. They are the argument itself, a "
             "file's with\n  @ and its path, standard input's with -, or those of a token:\n\n"
             "      $ consul acl translate-rules @old.hcl\n"
             "      $ consul acl translate-rules -token-secret 3f1e2d4c-90ab-4cde-8f01-2345678"
             "9abcd"},
};
const size_t cli_acl_rules_commands_count = ARRAY_SIZE(cli_acl_rules_commands);
