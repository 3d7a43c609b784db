// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which VM does a launch script make? Its text is looked at, it is not run, as it may create
 * bridges and unbind devices. The name is the last word of the acrn-dm command; a variable in its
 * place is looked up among the script's own plain assignments.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "acrnctl.h"
#include "mngr.h"

/* Words are cut out of the text in place, quotes removed. NULL at the end of the command. */
static char *next_word(char **at)
{
	char *in = *at + strspn(*at, " \t");
	char *word = in;
	char *out = in;
	char quote = '\0';

	if (*in == '\0' || strchr("\n#;&|<>()", *in))
		return NULL;
	for (; *in != '\0' && (quote || !strchr(" \t\n;&|<>()", *in)); in++) {
		if (*in == quote)
			quote = '\0';
		else if (!quote && (*in == '"' || *in == '\''))
			quote = *in;
		else
			*out++ = *in;
	}
	/* "2>file" is no word of the command. */
	if ((*in == '>' || *in == '<') && strspn(word, "0123456789") == (size_t)(in - word))
		return NULL;
	*at = *in == ' ' || *in == '\t' ? in + 1 : in;
	*out = '\0';
	return word;
}

/* Lines that a backslash continues become one. */
static void join_lines(char *text)
{
	for (char *at = strstr(text, "\\\n"); at; at = strstr(at, "\\\n"))
		memset(at, ' ', 2);
}

/* The command word itself, not a part of a path or of another name. */
static char *find_command(char *line)
{
	static const char name[] = "acrn-dm";
	const size_t len = sizeof(name) - 1;

	for (char *at = strstr(line, name); at; at = strstr(at + len, name)) {
		bool starts = at == line || strchr(" \t/;&|(`", at[-1]);

		if (starts && (at[len] == ' ' || at[len] == '\t'))
			return at + len;
	}
	return NULL;
}

/* The value of VARIABLE in a line "VARIABLE=value" of the copy; cuts it there. */
static const char *variable(char *copy, const char *word)
{
	size_t len;

	word += word[1] == '{' ? 2 : 1;
	for (len = 0; isalnum((unsigned char)word[len]) || word[len] == '_'; len++)
		;
	if (strcmp(word + len, "}") != 0 && word[len] != '\0')
		return NULL;
	for (char *line = copy; line; line = strchr(line, '\n')) {
		line += strspn(line, " \t\n");
		if (strncmp(line, "export ", 7) == 0)
			line += 7;
		if (strncmp(line, "local ", 6) == 0)
			line += 6;
		if (len > 0 && strncmp(line, word, len) == 0 && line[len] == '=') {
			char *value = line + len + 1;

			return next_word(&value);
		}
	}
	return NULL;
}

const char *script_vm_name(char *text, const char **why)
{
	const char *name = NULL;
	char *copy, *rest = NULL;

	*why = "no line of it runs acrn-dm";
	join_lines(text);
	copy = strdup(text);
	for (char *line = strtok_r(text, "\n", &rest); line && !name;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *at = line + strspn(line, " \t");
		char *word;

		at = *at == '#' ? NULL : find_command(at);
		while (at && (word = next_word(&at)) != NULL)
			name = word;
	}
	if (name && name[0] == '$' && copy) {
		const char *value = variable(copy, name);

		name = value ? strcpy(text, value) : name;
	}
	free(copy);
	if (!name || mngr_name_valid(name))
		return name;
	*why = name;
	return NULL;
}
