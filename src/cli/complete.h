/* complete.h - completion of command lines in shells: what bash, zsh and fish ask this program, and
 * the lines in their files that make them ask. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "schema/field.h"

/* The words that may stand at `point` of a command line (COMP_LINE, COMP_POINT), by name: commands
 * below those already there, and at the top the program's own flags, once a '-' is there. */
struct strlist complete_line(struct arena *a, struct str line, size_t point);
/* What the shell asked, answered on stdout; false when it asked nothing. */
bool complete_answer(void);
/* -autocomplete-install and -autocomplete-uninstall: for every shell that has a file in the home
 * directory. Errors name the files. */
NODISCARD int complete_install(struct err *err);
NODISCARD int complete_uninstall(struct err *err);
