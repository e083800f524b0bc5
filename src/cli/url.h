/* url.h - URLs as Go's net/url writes them: escapes and the order of parameters show in the
 * client's error texts. Pure. The path's escapes are http1_escape_path(). */
#pragma once
#include "base/buf.h"

struct client_param;

/* url.QueryEscape: a blank is '+'. */
void url_query_escape(struct buf *to, struct str s);
/* The host part of a URL. */
void url_host_escape(struct buf *to, struct str host);
/* url.Values.Encode: sorted by key, those of one key in their order. `params` is sorted in place.
 */
void url_params_encode(struct buf *to, struct client_param *params, size_t count);
/* "host:port", "[::1]:port", "host": the host without brackets; the port empty when there is none.
 * False when it is none of these. */
bool url_host_port_split(struct str address, struct str *ret_host, struct str *ret_port);
/* The same of a URL's authority, where everything is one: what stands behind the last colon is a
 * port if it is digits, else all of it is a host's name. */
void url_authority_split(struct str authority, struct str *ret_host, struct str *ret_port);
