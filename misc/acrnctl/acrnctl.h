// SPDX-License-Identifier: BSD-3-Clause
/* The subcommands of acrnctl and what it exits with. */
#ifndef ACRNCTL_H
#define ACRNCTL_H

#include <stddef.h>

enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,    /* somebody said no, or did not answer */
	STATUS_USAGE = 2,     /* the command line is wrong */
	STATUS_NO_VM = 3,     /* there is no such VM */
	STATUS_STATE = 4,     /* the VM is not in the state this needs */
	STATUS_FORBIDDEN = 5, /* root may */
	STATUS_NO_DAEMON = 6, /* acrnd does not run */
};

/* argv[0] is the subcommand; the number of words is as its row says. */
struct subcommand {
	const char *name;
	const char *usage;
	int min_words, max_words; /* after the subcommand */
	enum status (*run)(int argc, char **argv);
};

/* A line on stderr, "acrnctl: ..."; returns @status. */
enum status fail(enum status status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* running.c, added.c, launch.c, version.c */
enum status do_list(int argc, char **argv);
enum status do_stop(int argc, char **argv);
enum status do_pause(int argc, char **argv);
enum status do_resume(int argc, char **argv);
enum status do_reset(int argc, char **argv);
enum status do_blkrescan(int argc, char **argv);
enum status do_start(int argc, char **argv);
enum status do_wake(int argc, char **argv);
enum status do_add(int argc, char **argv);
enum status do_del(int argc, char **argv);
enum status do_version(int argc, char **argv);

/* script.c: the VM's name in a launch script. NULL: not found, *why says what is there instead. */
const char *script_vm_name(char *text, const char **why);

#endif
