/* Whatever is taken for a certificate's URI has the parts of its kind. */
#include "base/arena.h"
#include "proto/cert_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct cert_uri uri = {0};
    if (cert_uri_parse(str_make(data, size), &a, &uri) == 0) {
        ASSERT((uri.kind == CERT_URI_SERVICE) == (uri.ns.n > 0));
        ASSERT((uri.kind == CERT_URI_SIGNING) == (uri.name.n == 0));
        ASSERT((uri.kind == CERT_URI_SIGNING) == (uri.datacenter.n == 0));
    }
    arena_deinit(&a);
    return 0;
}
