#include "cli/client.h"
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>

static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags}};

static int pair_cmp(const void *x, const void *y)
{
    const struct value_pair *a = x, *b = y;
    return str_cmp(a->key, b->key);
}

/* A map's pairs by key, in the arena. */
static struct value_pair *pairs_sorted(struct arena *a, const struct value *map)
{
    struct value_pair *pairs = ARENA_ARRAY(a, struct value_pair, map->map.n + 1);
    for (size_t i = 0; i < map->map.n; i++) {
        pairs[i] = map->map.v[i];
    }
    qsort(pairs, map->map.n, sizeof(*pairs), pair_cmp);
    return pairs;
}

static int info_print(struct client *c)
{
    struct arena *a = client_arena(c);
    struct err err = {0};
    struct client_request r;
    const struct value *self;
    client_request_init(&r, c, "GET", "/v1/agent/self");
    if (client_get(&r, &self, &err) < 0) {
        return cli_error("Error querying agent: %s", err_text(&err));
    }
    const struct value *stats = value_member(self, "Stats");
    if (stats == NULL || stats->kind != VALUE_MAP) {
        return cli_error("Agent response did not contain 'Stats' key");
    }
    const struct value_pair *sections = pairs_sorted(a, stats);
    for (size_t i = 0; i < stats->map.n; i++) {
        const struct value *section = &sections[i].value;
        printf("%.*s:\n", STRF(sections[i].key));
        if (section->kind != VALUE_MAP) {
            return cli_error("Got invalid subkey in stats: %.*s", STRF(sections[i].key));
        }
        const struct value_pair *pairs = pairs_sorted(a, section);
        for (size_t j = 0; j < section->map.n; j++) {
            struct str text = pairs[j].value.kind == VALUE_STR ? pairs[j].value.s : STR_NULL;
            printf("\t%.*s = %.*s\n", STRF(pairs[j].key), STRF(text));
        }
    }
    return 0;
}

static int info_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("info", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? info_print(c) : 1;
}

const struct cli_command cli_info_commands[] = {
    {.name = "info",
     .synopsis = "Print an agent's inner figures",
     .run = info_run,
     .help = "  Prints the agent's own view of its parts: consensus, gossip, runtime and so on."},
};
const size_t cli_info_commands_count = ARRAY_SIZE(cli_info_commands);
