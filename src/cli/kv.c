#include "cli/kv.h"

#include "base/encode.h"
#include "schema/json.h"

bool kv_key_argument(const struct cli_args *args, struct str *ret_key)
{
    if (args->argc > 1) {
        cli_error("Too many arguments (expected 1, got %d)", args->argc);
        return false;
    }
    struct str key = args->argc == 1 ? str_from_cstr(args->argv[0]) : STR("");
    *ret_key = str_from(key, key.n > 0 && key.p[0] == '/' ? 1 : 0);
    return true;
}

int kv_read(struct client_request *r, const struct value **ret_value, struct err *err)
{
    struct client_response response;
    struct value *value = NULL;
    int rc = client_send(r, &response, err);
    if (rc < 0) {
        return rc;
    }
    if (response.status == 404) {
        *ret_value = NULL;
        return 0;
    }
    if (response.status != 200) {
        return err_set(err, ERR_FAILED, "Unexpected response code: %d", response.status);
    }
    rc = json_parse_next(client_arena(r->client), &response.body, &value, err);
    *ret_value = value;
    return rc;
}

int kv_write(struct client_request *r, bool *ret_done, struct err *err)
{
    struct client_response response;
    int rc = client_send_ok(r, &response, err);
    if (rc == 0) {
        *ret_done = str_contains(response.body, STR("true"));
    }
    return rc;
}

struct str kv_value(struct arena *a, const struct value *entry)
{
    struct str value = STR("");
    return base64_decode(a, value_member_str(entry, "Value"), &value) < 0 ? STR("") : value;
}

const struct cli_command cli_kv_commands[] = {
    {.name = "kv",
     .synopsis = "Interact with the key-value store",
     .help = "  Reads and writes the key-value store:\n\n"
             "      $ consul kv put app/limit 5\n"
             "      $ consul kv get app/limit\n"
             "      $ consul kv get -recurse app/\n"
             "      $ consul kv delete app/limit"},
};
const size_t cli_kv_commands_count = ARRAY_SIZE(cli_kv_commands);
