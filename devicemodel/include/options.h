// SPDX-License-Identifier: BSD-3-Clause
/*
 * The command line: a table of options that the files they belong to register
 * with OPTION(). The grammar is getopt_long's: "-m 1G", "-m1G", "--memsize 1G",
 * "--memsize=1G", the positional VM name anywhere.
 */
#ifndef DM_OPTIONS_H
#define DM_OPTIONS_H

#include "section.h"

struct vm_config;

struct option_def {
	int level;	       /* place in the help text, unique */
	char short_name;       /* or 0 */
	const char *long_name; /* or NULL */
	const char *arg;       /* what the help calls the argument; NULL: takes none */
	const char *help;      /* one line */
	/*
	 * arg is a string of main()'s argv: it lives as long as the program and
	 * must not be changed. A parser that refuses says why in one log line
	 * and returns a negative errno.
	 */
	int (*parse)(struct vm_config *cfg, const char *arg);
};

#define OPTION(object) SECTION_ADD(dm_options, struct option_def, object)

/* What options_parse() asks the caller to do. */
enum options_result {
	OPTIONS_RUN,   /* cfg is complete */
	OPTIONS_DONE,  /* -h or -v printed: exit 0 */
	OPTIONS_ERROR, /* the fault is logged: exit 2 */
};

enum options_result options_parse(int argc, char **argv, struct vm_config *cfg);

#endif
