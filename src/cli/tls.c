#include "cli/tls.h"

#include "cli/command.h"
#include "cli/file.h"

#include <stdio.h>

#define FILE_MODE 0666 /* before the umask, as Consul has it */

int tls_pair_save(struct str cert_path, struct str key_path, const struct tls_pair *pair)
{
    struct err err = {0};
    if (cli_file_replace(cert_path, pair->cert, FILE_MODE, &err) < 0) {
        return cli_error("%s", err_text(&err));
    }
    printf("==> Saved %.*s\n", STRF(cert_path));
    if (cli_file_replace(key_path, pair->key, FILE_MODE, &err) < 0) {
        return cli_error("%s", err_text(&err));
    }
    printf("==> Saved %.*s\n", STRF(key_path));
    return 0;
}

/* The groups; the commands are in tls_ca.c and tls_cert.c. */
const struct cli_command cli_tls_commands[] = {
    {.name = "tls",
     .synopsis = "Certificates for agents",
     .usage = "<subcommand> <subcommand> [options]",
     .help = "  Makes the certificates that agents and clients of their API talk TLS with:\n\n"
             "      $ consul tls ca create\n"
             "      $ consul tls cert create -server"},
    {.name = "tls ca",
     .synopsis = "The authority",
     .help = "  The authority that signs the certificates of agents."},
    {.name = "tls cert",
     .synopsis = "What the authority signs",
     .help = "  Certificates of servers, clients and the command line."},
};
const size_t cli_tls_commands_count = ARRAY_SIZE(cli_tls_commands);
