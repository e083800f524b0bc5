/* main.c - the one program: agent, command line and web UI. */
#include "cli/command.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
