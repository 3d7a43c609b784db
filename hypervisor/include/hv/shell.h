/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_SHELL_H
#define HV_SHELL_H

#include "lib/types.h"

/*
 * The debug shell. A command runs on the console's CPU in root mode with interrupts off and no lock
 * held, between two exits of whatever guest runs there: it must be short. What is longer than a few
 * lines is given as rows, which go out as the line takes them.
 */
struct vm;

#define SHELL_MAX_ARGS 8U /* the command's name included */

struct shell_cmd {
	const char *name;
	const char *args; /* as the usage line shows them */
	const char *help;
	int (*fn)(uint32_t argc, char **argv); /* argv[0] is the name; -EINVAL: show the usage */
};

/* At the bottom of the file that implements it; `grep -rn '^SHELL_CMD('` prints the table. */
#define SHELL_CMD(name_, args_, help_, fn_)                                                        \
	static const struct shell_cmd shell_cmd_##fn_ __used __section("hv_shell_cmds")            \
		__aligned(8) = {.name = (name_), .args = (args_), .help = (help_), .fn = (fn_)}

/* One line of output, at most 199 characters; its end is added. */
void shell_print(const char *fmt, ...) __printf_fmt(1, 2);

/*
 * The rest of the command's output: row(0), row(1), ... until one returns false, each a few lines,
 * called when there is room for them. Ctrl-C ends it.
 */
void shell_rows(bool (*row)(uint32_t i));

/*
 * Arguments. Numbers of things (VMs, CPUs, bytes) are decimal, or hexadecimal with 0x; addresses,
 * registers and their values are hexadecimal with or without 0x, as in ACRN. False: no such number,
 * or above `max`.
 */
bool shell_number(const char *text, uint64_t max, uint64_t *val);
bool shell_hex(const char *text, uint64_t max, uint64_t *val);

/*
 * The live VM that `text` names, its lock held so that it stays, or NULL; then a line has been
 * printed. Somebody may have the lock for long: it is tried, not waited for.
 */
struct vm *shell_vm_lock(const char *text);

/* What the console asks of the shell. Any CPU; shell_run() on the console's CPU, no lock held. */
bool shell_give(uint8_t c); /* a character typed; false: no room, offer it again */
int shell_take(void);	    /* the next character of output, or -1 */
void shell_enter(void);	    /* the shell is on the console now */
void shell_run(void);
void shell_leave(void); /* from a command: there is no prompt any more */

/* The line editor: 100 characters, a history of 8 lines; no lock, no state but its own. */
#define SHELL_LINE    100U
#define SHELL_HISTORY 8U

struct shell_line {
	char text[SHELL_LINE + 1U];
	uint32_t len, at; /* the cursor is before text[at] */
	uint8_t escape;	  /* how far into a terminal's key sequence */
	uint8_t param;
	uint32_t saved, shown; /* lines in the history; how far back is the one on the screen */
	char history[SHELL_HISTORY][SHELL_LINE + 1U];
};

/*
 * A key, as a terminal sends it. What the screen must be told goes to echo(). True: the line was
 * ended, it is in l->text and in the history; call shell_line_next() when done with it.
 */
bool shell_line_key(struct shell_line *l, uint8_t c, void (*echo)(const char *s, uint32_t len));
void shell_line_next(struct shell_line *l);

/* Splits text in place at blanks and commas; more than SHELL_MAX_ARGS words are -E2BIG. */
int shell_line_split(char *text, char *argv[SHELL_MAX_ARGS]);

#endif
