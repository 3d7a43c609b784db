// SPDX-License-Identifier: BSD-3-Clause
/*
 * The debug shell: from characters to a command, and its output back. console.c gives characters
 * and takes output on any CPU; commands run in shell_run(), on the console's CPU, from its timer or
 * the UART's interrupt, so one at a time and never within somebody else's lock. Long output is made
 * in rows as room comes, so no guest waits for it. One leaf lock for the two rings.
 */
#include "hv/shell.h"
#include "acrn/version.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "config.h"

extern const struct shell_cmd __start_hv_shell_cmds[] __attribute__((visibility("hidden")));
extern const struct shell_cmd __stop_hv_shell_cmds[] __attribute__((visibility("hidden")));

#define PROMPT	  "ACRN:\\>"
#define OUT_SIZE  16384U
#define IN_SIZE	  256U
#define TEXT_MAX  200U
#define ROWS_ONCE 4U /* rows made in one go, so that the guest is not held up */
#define ROOM_ROWS 8192U /* and more than the longest has: all exits of a vCPU */
#define CTRL_C	  0x03U

static spinlock_t lock; /* of the two rings */
static char *out;
static uint32_t out_head, out_count;
static uint8_t in[IN_SIZE];
static uint32_t in_head, in_count;

static struct shell_line line;
static bool (*rows)(uint32_t i); /* what a command has left to say */
static uint32_t next_row;
static volatile bool enter_wanted, stop_wanted;
static bool away; /* a VM has the console */

/* Output that finds no room is cut: rows wait for theirs, and nothing else is that long. */
static void put(const char *s, uint32_t len)
{
	spin_lock(&lock);
	for (uint32_t i = 0U; i < len && out_count < OUT_SIZE; i++) {
		out[(out_head + out_count) % OUT_SIZE] = s[i];
		out_count++;
	}
	spin_unlock(&lock);
}

static void put_text(const char *s)
{
	put(s, (uint32_t)strlen(s));
}

int shell_take(void)
{
	int c = -1;

	spin_lock(&lock);
	if (out_count != 0U) {
		c = (uint8_t)out[out_head];
		out_head = (out_head + 1U) % OUT_SIZE;
		out_count--;
	}
	spin_unlock(&lock);
	return c;
}

/* Ctrl-C overtakes what was typed before it. */
bool shell_give(uint8_t c)
{
	bool room;

	spin_lock(&lock);
	if (c == CTRL_C) {
		in_count = 0U;
		stop_wanted = true;
	}
	room = in_count < IN_SIZE;
	if (room) {
		in[(in_head + in_count) % IN_SIZE] = c;
		in_count++;
	}
	spin_unlock(&lock);
	return room;
}

static int typed(void)
{
	int c = -1;

	spin_lock(&lock);
	if (in_count != 0U) {
		c = in[in_head];
		in_head = (in_head + 1U) % IN_SIZE;
		in_count--;
	}
	spin_unlock(&lock);
	return c;
}

void shell_print(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_text(text);
	put_text("\r\n");
}

void shell_rows(bool (*row)(uint32_t i))
{
	rows = row;
	next_row = 0U;
}

bool shell_number(const char *text, uint64_t max, uint64_t *val)
{
	const char *end;

	return string_to_u64(text, &end, val) == 0 && *end == '\0' && *val <= max;
}

bool shell_hex(const char *text, uint64_t max, uint64_t *val)
{
	char prefixed[20];

	if (strncmp(text, "0x", 2U) == 0 || strncmp(text, "0X", 2U) == 0) {
		text = &text[2];
	}
	return snprintf(prefixed, sizeof(prefixed), "0x%s", text) < (int)sizeof(prefixed) &&
	       shell_number(prefixed, max, val);
}

struct vm *shell_vm_lock(const char *text)
{
	struct vm *vm = NULL;
	uint64_t id;

	if (shell_number(text, UINT16_MAX, &id)) {
		vm = vm_by_id((uint16_t)id);
	}
	if (vm == NULL) {
		shell_print("%s is no VM: ids go from 0 to %u", text, CONFIG_MAX_VM_NUM - 1U);
		return NULL;
	}
	if (!spin_trylock(&vm->lock)) {
		shell_print("VM %u is being changed, try again", vm->id);
		return NULL;
	}
	if (!vm_is_live(vm)) {
		spin_unlock(&vm->lock);
		shell_print("there is no VM %u at the moment", vm->id);
		return NULL;
	}
	return vm;
}

static void run_command(char *text)
{
	char *argv[SHELL_MAX_ARGS];
	int argc = shell_line_split(text, argv);
	const struct shell_cmd *cmd = __start_hv_shell_cmds;

	if (argc == 0) {
		return;
	}
	if (argc < 0) {
		shell_print("too many words");
		return;
	}
	while (cmd < __stop_hv_shell_cmds && strcmp(cmd->name, argv[0]) != 0) {
		cmd++;
	}
	if (cmd == __stop_hv_shell_cmds) {
		shell_print("%s: no such command; help lists them", argv[0]);
	} else if (cmd->fn((uint32_t)argc, argv) != 0) {
		rows = NULL;
		shell_print("usage: %s %s", cmd->name, cmd->args);
	}
}

static void prompt_if_done(void)
{
	if (rows == NULL && !away) {
		put_text(PROMPT);
	}
}

static void take_key(uint8_t c)
{
	if (c == CTRL_C) {
		put_text("^C\r\n");
	} else if (!shell_line_key(&line, c, put)) {
		return;
	} else {
		run_command(line.text);
	}
	shell_line_next(&line);
	prompt_if_done();
}

static void make_rows(void)
{
	for (uint32_t i = 0U; i < ROWS_ONCE && rows != NULL; i++) {
		if (OUT_SIZE - out_count < ROOM_ROWS) {
			return;
		}
		if (!rows(next_row)) {
			rows = NULL;
			prompt_if_done();
		}
		next_row++;
	}
}

void shell_enter(void)
{
	enter_wanted = true;
}

void shell_leave(void)
{
	away = true;
}

/* One line of typing a round: who pastes a file of commands does not hold up a guest. */
void shell_run(void)
{
	bool more = true;
	int c;

	if (enter_wanted) {
		enter_wanted = false;
		away = false;
		put_text("\r\n\r\n----- Entering ACRN Shell -----\r\n");
		prompt_if_done();
		put(line.text, line.len);
		line.at = line.len;
	}
	if (stop_wanted) {
		stop_wanted = false;
		rows = NULL;
	}
	while (more && rows == NULL) {
		c = typed();
		more = c >= 0 && c != '\r' && c != '\n';
		if (c >= 0) {
			take_key((uint8_t)c);
		}
	}
	make_rows();
}

/* In the order of the alphabet: the one that `i` others come before. */
static bool help_row(uint32_t i)
{
	const struct shell_cmd *cmd = __start_hv_shell_cmds;
	uint32_t before = UINT32_MAX;

	for (; cmd < __stop_hv_shell_cmds && before != i; cmd++) {
		before = 0U;
		for (const struct shell_cmd *o = __start_hv_shell_cmds; o < __stop_hv_shell_cmds;
		     o++) {
			before += (strcmp(o->name, cmd->name) < 0) ? 1U : 0U;
		}
	}
	if (before == i) {
		shell_print("%-14s %-26s %s", cmd[-1].name, cmd[-1].args, cmd[-1].help);
	}
	return before == i;
}

static int help(uint32_t argc, char **argv)
{
	(void)argv;
	shell_rows(help_row);
	return (argc == 1U) ? 0 : -EINVAL;
}

static int version(uint32_t argc, char **argv)
{
	(void)argv;
	shell_print("HV: %s, debug build, board %s, scenario %s, hypercall API %u.%u, %s",
		    board_config.version, board_config.name, board_config.scenario, ACRN_API_MAJOR, ACRN_API_MINOR,
		    "compiler " __VERSION__);
	return (argc == 1U) ? 0 : -EINVAL;
}

static int shell_boot(void)
{
	out = boot_alloc(OUT_SIZE, 64U);
	return 0;
}

UNIT(shell) = {
	.name = "shell",
	.level = UNIT_CORE - 1U, /* before the console, which takes what is here */
	.boot = shell_boot,
};
SHELL_CMD("help", "", "this list", help);
SHELL_CMD("version", "", "what runs here", version);
