/* hcl.h - HCL 1 (and JSON) configuration text to a tree of values.
 *
 * The form Consul's configuration files and ACL rules use: key = value, key { block }, key "label" {
 * block }, lists, here-documents, #, // and slash-star comments; ${…} is kept as text. A block or a label makes a
 * map inside a list of one element, repeated blocks add elements, as HCL 1's decoder sees it; who
 * reads the tree merges them (config and rules say how). Depth and size are bounded. */
#pragma once
#include "schema/value.h"

struct err;

#define HCL_DEPTH_MAX 64u

NODISCARD int hcl_parse(struct arena *a, struct str text, struct value **ret_value,
                        struct err *err);
