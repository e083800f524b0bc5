#include "cli/command.h"

#include "base/encode.h"
#include "base/rand.h"

#include <stdio.h>

#define KEY_SIZE 32u

static int keygen_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("keygen", argc, argv, NULL, 0, &args, &code)) {
        return code;
    }
    char key[KEY_SIZE];
    struct buf text = {0};
    random_bytes(key, sizeof(key));
    base64_encode(&text, str_make(key, sizeof(key)));
    printf("%.*s\n", STRF(buf_view(&text)));
    buf_deinit(&text);
    return 0;
}

const struct cli_command cli_keygen_commands[] = {
    {.name = "keygen",
     .synopsis = "Make a key for gossip",
     .run = keygen_run,
     .usage = "",
     .help = "  Prints a random key of 32 bytes for -encrypt, in base64."},
};
const size_t cli_keygen_commands_count = ARRAY_SIZE(cli_keygen_commands);
