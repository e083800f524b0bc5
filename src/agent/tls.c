#include "agent/tls.h"

#include "agent/config.h"
#include "loop/tls_context.h"

int agent_tls_context(const struct agent_config *config, struct tls_context **ret_context,
                      struct err *err)
{
    const struct config_tls *tls = &config->tls;
    const struct tls_settings settings = {
        .ca_file = tls->ca_file,
        .ca_path = tls->ca_path,
        .cert_file = tls->cert_file,
        .key_file = tls->key_file,
        .min_version = tls->min_version,
        .cipher_suites = tls->cipher_suites,
        .prefer_server_cipher_suites = tls->prefer_server_cipher_suites,
        .verify_incoming_rpc = tls->verify_incoming || tls->verify_incoming_rpc,
        .verify_incoming_https = tls->verify_incoming || tls->verify_incoming_https,
        .verify_outgoing = tls->verify_outgoing,
        .verify_server_hostname = tls->verify_server_hostname,
        .datacenter = config->datacenter,
        .domain = config->dns.domain,
    };
    return tls_context_new(&settings, ret_context, err);
}
