/* main.c - the one program: agent, command line and web UI. */
#include <stdio.h>

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("consul: no command is built in yet\n", stderr);
    return 1;
}
