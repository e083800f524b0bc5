/* hash.h - a number for all that an object says: Consul's, to the bit.
 *
 * Clients compare the X-Consul-ContentHash of a service with one they were given by another agent
 * or worked out themselves, so it is what Go's hashstructure makes of the same struct: FNV-1 of
 * each leaf; members are mixed with their names and with the type's, in no order; lists are chained
 * in theirs. Zero members count. Nil is the integer 0, but a nil list or map is an empty one.
 *
 * Names are the table's, so a table that is hashed has all of Go's members, under Go's type name.
 * Splices, times and bytes have no hash (an ASSERT): no struct that Consul hashes has them.
 * Pure; any thread. */
#pragma once
#include "schema/field.h"

uint64_t schema_hash(const struct schema *schema, const void *object);
