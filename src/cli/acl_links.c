#include "cli/acl_links.h"

#include "base/gofmt.h"
#include "base/vec.h"

struct cli_list acl_policy_ids, acl_policy_names, acl_role_ids, acl_role_names;
struct cli_list acl_service_identities, acl_node_identities;

static struct cli_list *const all[] = {&acl_policy_ids,         &acl_policy_names,
                                       &acl_role_ids,           &acl_role_names,
                                       &acl_service_identities, &acl_node_identities};

bool acl_links_given(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i]->n > 0) {
            return true;
        }
    }
    return false;
}

void acl_links_deinit(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        cli_list_deinit(all[i]);
    }
}

/* A copy with one more, zeroed, at the end. */
static void *list_grow(struct arena *a, struct objlist *list, size_t size)
{
    char *v = arena_zalloc(a, (list->n + 1) * size);
    if (list->n > 0) {
        memcpy(v, list->v, list->n * size);
    }
    list->v = v;
    return v + size * list->n++;
}

/* --- policies and roles ---------------------------------------------------------------------- */

static void name_add(struct arena *a, struct objlist *links, struct str name)
{
    const struct api_link *v = links->v;
    for (size_t i = 0; i < links->n; i++) {
        if (str_eq(v[i].name, name)) {
            return;
        }
    }
    ((struct api_link *)list_grow(a, links, sizeof(struct api_link)))->name = name;
}

static void id_add(struct arena *a, struct objlist *links, struct str id)
{
    const struct api_link *v = links->v;
    for (size_t i = 0; i < links->n; i++) {
        if (str_eq(v[i].id, id)) {
            return;
        }
    }
    ((struct api_link *)list_grow(a, links, sizeof(struct api_link)))->id = id;
}

static int links_add(struct client *c, struct objlist *links, const struct cli_list *names,
                     const struct cli_list *ids, const char *noun,
                     int (*resolve)(struct client *, struct str, struct str *, struct err *))
{
    struct arena *a = client_arena(c);
    for (size_t i = 0; i < names->n; i++) {
        name_add(a, links, names->v[i]);
    }
    for (size_t i = 0; i < ids->n; i++) {
        struct str id;
        struct err err = {0};
        if (resolve(c, ids->v[i], &id, &err) < 0) {
            /* Scripts know it without the id between the blank and the colon. */
            return cli_error("Error resolving %s ID : %s", noun, err_text(&err));
        }
        id_add(a, links, id);
    }
    return 0;
}

int acl_policies_add(struct client *c, struct objlist *links)
{
    return links_add(c, links, &acl_policy_names, &acl_policy_ids, "policy", acl_policy_id);
}

int acl_roles_add(struct client *c, struct objlist *links)
{
    return links_add(c, links, &acl_role_names, &acl_role_ids, "role", acl_role_id);
}

/* --- identities ------------------------------------------------------------------------------ */

static struct strlist split(struct arena *a, struct str text)
{
    VEC(struct str) parts = {0};
    struct str part;
    while (str_split_next(&text, ',', &part)) {
        avec_push(a, &parts, part);
    }
    return (struct strlist){parts.v, parts.n};
}

static int malformed(struct arena *a, const char *flag, struct str text, struct err *err)
{
    return err_set(err, ERR_INVALID, "Malformed -%s argument: %.*s", flag,
                   STRF(go_quoted(a, text)));
}

static int services_parse(struct arena *a, struct objlist *services, struct err *err)
{
    for (size_t i = 0; i < acl_service_identities.n; i++) {
        struct str text = acl_service_identities.v[i], name, datacenters;
        bool has_datacenters = str_cut(text, ':', &name, &datacenters);
        if (str_find_byte(datacenters, ':') >= 0) {
            return malformed(a, "service-identity", text, err);
        }
        struct api_service_identity *s = list_grow(a, services, sizeof(*s));
        s->service_name = name;
        s->datacenters = has_datacenters ? split(a, datacenters) : (struct strlist){0};
    }
    return 0;
}

int acl_identities_parse(struct arena *a, struct objlist *ret_services, struct objlist *ret_nodes,
                         struct err *err)
{
    struct objlist services = {0}, nodes = {0};
    int rc = services_parse(a, &services, err);
    for (size_t i = 0; i < acl_node_identities.n && rc == 0; i++) {
        struct str text = acl_node_identities.v[i], name, datacenter;
        if (!str_cut(text, ':', &name, &datacenter) || str_find_byte(datacenter, ':') >= 0) {
            rc = malformed(a, "node-identity", text, err);
            break;
        }
        struct api_node_identity *n = list_grow(a, &nodes, sizeof(*n));
        *n = (struct api_node_identity){name, datacenter};
    }
    if (rc == 0) {
        *ret_services = services;
        *ret_nodes = nodes;
    }
    return rc;
}

void acl_services_merge(struct arena *a, struct objlist *to, struct objlist more)
{
    const struct api_service_identity *new = more.v;
    for (size_t i = 0; i < more.n; i++) {
        struct api_service_identity *old = to->v, *place = NULL;
        for (size_t o = 0; o < to->n && place == NULL; o++) {
            place = str_eq(old[o].service_name, new[i].service_name) ? &old[o] : NULL;
        }
        if (place == NULL) {
            place = list_grow(a, to, sizeof(*place));
        }
        *place = new[i];
    }
}

void acl_nodes_merge(struct arena *a, struct objlist *to, struct objlist more)
{
    const struct api_node_identity *new = more.v;
    for (size_t i = 0; i < more.n; i++) {
        const struct api_node_identity *old = to->v;
        bool has = false;
        for (size_t o = 0; o < to->n && !has; o++) {
            has = str_eq(old[o].node_name, new[i].node_name) &&
                  str_eq(old[o].datacenter, new[i].datacenter);
        }
        if (!has) {
            *(struct api_node_identity *)list_grow(a, to, sizeof(*new)) = new[i];
        }
    }
}
