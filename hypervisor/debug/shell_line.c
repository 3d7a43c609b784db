// SPDX-License-Identifier: BSD-3-Clause
/*
 * The shell's line editor: one line, the keys of a VT100 terminal, a history. Called by shell.c with
 * each character typed; knows no console: what the screen has to show goes to the caller's echo().
 * Takes no lock. Keys that mean nothing are dropped, a line that is full takes no more.
 */
#include "hv/shell.h"
#include "lib/errno.h"
#include "lib/string.h"

#define KEY_CTRL(c)   ((uint8_t)((c) - '@'))
#define KEY_ESCAPE    0x1BU
#define KEY_BACKSPACE 0x08U
#define KEY_DELETE    0x7FU

/* How far into ESC [ 3 ~: after ESC, after the bracket. */
#define IN_TEXT	  0U
#define AFTER_ESC 1U
#define IN_CSI	  2U

typedef void (*echo_fn)(const char *s, uint32_t len);

static void back(echo_fn echo, uint32_t count)
{
	for (uint32_t i = 0U; i < count; i++) {
		echo("\b", 1U);
	}
}

/* The screen from the cursor on, with `gone` characters less than it shows. */
static void redraw_tail(const struct shell_line *l, echo_fn echo, uint32_t gone)
{
	echo(&l->text[l->at], l->len - l->at);
	for (uint32_t i = 0U; i < gone; i++) {
		echo(" ", 1U);
	}
	back(echo, l->len - l->at + gone);
}

static void insert(struct shell_line *l, echo_fn echo, char c)
{
	if (l->len == SHELL_LINE) {
		return;
	}
	(void)memmove(&l->text[l->at + 1U], &l->text[l->at], l->len - l->at + 1U);
	l->text[l->at] = c;
	l->len++;
	echo(&l->text[l->at], 1U);
	l->at++;
	if (l->at != l->len) {
		redraw_tail(l, echo, 0U);
	}
}

static void remove_at_cursor(struct shell_line *l, echo_fn echo)
{
	if (l->at == l->len) {
		return;
	}
	(void)memmove(&l->text[l->at], &l->text[l->at + 1U], l->len - l->at);
	l->len--;
	redraw_tail(l, echo, 1U);
}

static void left(struct shell_line *l, echo_fn echo)
{
	if (l->at != 0U) {
		l->at--;
		back(echo, 1U);
	}
}

static void to_end(struct shell_line *l, echo_fn echo)
{
	echo(&l->text[l->at], l->len - l->at);
	l->at = l->len;
}

static void to_start(struct shell_line *l, echo_fn echo)
{
	back(echo, l->at);
	l->at = 0U;
}

/* Another text in place of the one on the screen. */
static void replace(struct shell_line *l, echo_fn echo, const char *text)
{
	uint32_t before = l->len;

	to_start(l, echo);
	(void)string_copy(l->text, text, sizeof(l->text));
	l->len = (uint32_t)strlen(l->text);
	redraw_tail(l, echo, (before > l->len) ? before - l->len : 0U);
	to_end(l, echo);
}

/* history[0] is the newest; shown counts from 1, and 0 is a new line. */
static void show_history(struct shell_line *l, echo_fn echo, bool older)
{
	if (older ? l->shown == l->saved : l->shown == 0U) {
		return;
	}
	l->shown = older ? l->shown + 1U : l->shown - 1U;
	replace(l, echo, (l->shown == 0U) ? "" : l->history[l->shown - 1U]);
}

static void remember(struct shell_line *l)
{
	if (l->len == 0U || (l->saved != 0U && strcmp(l->history[0], l->text) == 0)) {
		return;
	}
	(void)memmove(l->history[1], l->history[0], (SHELL_HISTORY - 1U) * sizeof(l->history[0]));
	(void)memcpy(l->history[0], l->text, sizeof(l->text));
	l->saved = MIN(l->saved + 1U, SHELL_HISTORY);
}

static void csi_key(struct shell_line *l, echo_fn echo, uint8_t c)
{
	switch (c) {
	case 'A':
		show_history(l, echo, true);
		break;
	case 'B':
		show_history(l, echo, false);
		break;
	case 'C':
		if (l->at != l->len) {
			echo(&l->text[l->at++], 1U);
		}
		break;
	case 'D':
		left(l, echo);
		break;
	case 'F':
		to_end(l, echo);
		break;
	case 'H':
		to_start(l, echo);
		break;
	case '~':
		if (l->param == '3') {
			remove_at_cursor(l, echo);
		} else if (l->param == '1' || l->param == '7') {
			to_start(l, echo);
		} else if (l->param == '4' || l->param == '8') {
			to_end(l, echo);
		}
		break;
	default:
		break;
	}
}

/* True: the character was part of a key's sequence. */
static bool in_sequence(struct shell_line *l, echo_fn echo, uint8_t c)
{
	if (l->escape == AFTER_ESC && (c == '[' || c == 'O')) {
		l->escape = IN_CSI;
		l->param = 0U;
		return true;
	}
	if (l->escape == IN_CSI) {
		if (c >= '0' && c <= '?') {
			/* Only keys that nothing is done for, as F3, have more than one. */
			l->param = (l->param == 0U) ? c : (uint8_t)'?';
			return true;
		}
		l->escape = IN_TEXT;
		csi_key(l, echo, c);
		return true;
	}
	l->escape = (c == KEY_ESCAPE) ? AFTER_ESC : IN_TEXT;
	return c == KEY_ESCAPE;
}

bool shell_line_key(struct shell_line *l, uint8_t c, void (*echo)(const char *s, uint32_t len))
{
	if (in_sequence(l, echo, c)) {
		return false;
	}
	switch (c) {
	case '\r':
	case '\n':
		to_end(l, echo);
		echo("\r\n", 2U);
		remember(l);
		return true;
	case KEY_BACKSPACE:
	case KEY_DELETE:
		if (l->at != 0U) {
			left(l, echo);
			remove_at_cursor(l, echo);
		}
		break;
	case KEY_CTRL('A'):
		to_start(l, echo);
		break;
	case KEY_CTRL('E'):
		to_end(l, echo);
		break;
	case KEY_CTRL('U'):
		replace(l, echo, "");
		break;
	default:
		if (c >= ' ' && c < KEY_DELETE) {
			insert(l, echo, (char)c);
		}
		break;
	}
	return false;
}

void shell_line_next(struct shell_line *l)
{
	l->text[0] = '\0';
	l->len = 0U;
	l->at = 0U;
	l->shown = 0U;
	l->escape = IN_TEXT;
}

int shell_line_split(char *text, char *argv[SHELL_MAX_ARGS])
{
	uint32_t argc = 0U;
	bool in_word = false;

	for (char *p = text; *p != '\0'; p++) {
		if (*p == ' ' || *p == ',') {
			*p = '\0';
			in_word = false;
		} else if (!in_word) {
			if (argc == SHELL_MAX_ARGS) {
				return -E2BIG;
			}
			argv[argc++] = p;
			in_word = true;
		}
	}
	return (int)argc;
}
