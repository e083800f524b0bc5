#include "schema/config_intentions.h"

#include "schema/config_fields.h"

/* clang-format off */
static const struct field intention_http_permission_fields[] = {
    F_STR(struct intention_http_permission, path_exact, "PathExact", F_OMITEMPTY),
    F_STR(struct intention_http_permission, path_prefix, "PathPrefix", F_OMITEMPTY),
    F_STR(struct intention_http_permission, path_regex, "PathRegex", F_OMITEMPTY),
    F_OBJLIST(struct intention_http_permission, header, "Header", F_OMITEMPTY,
              &http_match_header_schema),
    F_STRLIST(struct intention_http_permission, methods, "Methods", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema intention_http_permission_schema =
    SCHEMA("IntentionHTTPPermission", struct intention_http_permission,
           intention_http_permission_fields);

static const struct field intention_permission_fields[] = {
    F_STR(struct intention_permission, action, "Action", 0),
    F_PTR(struct intention_permission, http, struct intention_http_permission, "HTTP", F_OMITEMPTY,
          &intention_http_permission_schema),
    FIELDS_END,
};
const struct schema intention_permission_schema =
    SCHEMA("IntentionPermission", struct intention_permission, intention_permission_fields);

static const struct field source_intention_fields[] = {
    F_STR(struct source_intention, name, "Name", 0),
    F_STR(struct source_intention, action, "Action", F_OMITEMPTY),
    F_PTRLIST(struct source_intention, permissions, "Permissions", F_OMITEMPTY,
              &intention_permission_schema),
    F_INT(struct source_intention, precedence, "Precedence", 0),
    F_STR(struct source_intention, legacy_id, "LegacyID", F_OMITEMPTY),
    F_STR(struct source_intention, type, "Type", 0),
    F_STR(struct source_intention, description, "Description", F_OMITEMPTY),
    F_STRMAP(struct source_intention, legacy_meta, "LegacyMeta", F_OMITEMPTY),
    F_TIME(struct source_intention, legacy_create_time, "LegacyCreateTime",
           F_OMITEMPTY | F_NULLABLE),
    F_TIME(struct source_intention, legacy_update_time, "LegacyUpdateTime",
           F_OMITEMPTY | F_NULLABLE),
    FIELDS_END,
};
const struct schema source_intention_schema =
    SCHEMA("SourceIntention", struct source_intention, source_intention_fields);

static const struct field service_intentions_fields[] = {
    F_CONFIG_HEAD(struct service_intentions),
    F_PTRLIST(struct service_intentions, sources, "Sources", 0, &source_intention_schema),
    F_CONFIG_TAIL(struct service_intentions),
};
const struct schema service_intentions_schema =
    SCHEMA("ServiceIntentionsConfigEntry", struct service_intentions, service_intentions_fields);
/* clang-format on */
