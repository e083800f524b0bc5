/* ui.h - the web UI below its content path: the files of -ui-dir, or the page that is built in.
 *
 * Any path that is no file is answered with the page itself: its routes live in the browser. */
#pragma once
#include <stddef.h>

struct http_req;

#define UI_FILE_SIZE_MAX (32u * 1024u * 1024u)

/* The request's path is below the content path, or /robots.txt. */
void http_ui(struct http_req *req);

extern const char ui_index_html[];
extern const size_t ui_index_html_size;
