#include "cli/kv.h"

#include "base/encode.h"
#include "base/vec.h"
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

struct str kv_key_join(struct arena *a, struct str x, struct str y)
{
    struct str rest = x.n > 0 && y.n > 0 ? arena_printf(a, "%.*s/%.*s", STRF(x), STRF(y))
                      : x.n > 0          ? x
                                         : y;
    bool is_rooted = rest.n > 0 && rest.p[0] == '/';
    VEC(struct str) parts = {0};
    struct str part;
    while (str_split_next(&rest, '/', &part)) {
        if (part.n == 0 || str_eq_lit(part, ".")) {
            continue;
        }
        if (str_eq_lit(part, "..") && parts.n > 0 && !str_eq_lit(parts.v[parts.n - 1], "..")) {
            parts.n--;
        } else if (!str_eq_lit(part, "..") || !is_rooted) {
            avec_push(a, &parts, part);
        }
    }
    struct str joined = is_rooted ? STR("/") : STR("");
    for (size_t i = 0; i < parts.n; i++) {
        joined = arena_printf(a, "%.*s%s%.*s", STRF(joined), i > 0 ? "/" : "", STRF(parts.v[i]));
    }
    return joined;
}

const struct cli_command cli_kv_commands[] = {
    {.name = "kv",
     .synopsis = "The key-value store",
     .help = "  Reads and writes the key-value store:\n\n"
             "      $ consul kv put app/limit 5\n"
             "      $ consul kv get app/limit\n"
             "      $ consul kv get -recurse app/\n"
             "      $ consul kv delete app/limit"},
};
const size_t cli_kv_commands_count = ARRAY_SIZE(cli_kv_commands);
