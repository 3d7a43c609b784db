// SPDX-License-Identifier: BSD-3-Clause
/*
 * Subcommands about VMs that acrnctl keeps: their launch scripts are copies in MNGR_SCRIPTS, so
 * that what starts at the next boot does not depend on a file somebody may move.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acrnctl.h"
#include "mngr.h"

#define SCRIPT_MAX (256U << 10)

static enum status fail_file(int err, const char *path)
{
	return fail(err == EACCES || err == EPERM ? STATUS_FORBIDDEN : STATUS_FAILED, "%s: %s",
		    path, strerror(err));
}

/* The whole file with a 0 behind it, for free(). */
static enum status read_script(const char *path, char **text, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum status status = STATUS_OK;
	struct stat st;
	ssize_t n = 0;

	*text = NULL;
	*len = 0;
	if (fd < 0)
		return fail_file(errno, path);
	if (fstat(fd, &st) < 0)
		status = fail_file(errno, path);
	else if (!S_ISREG(st.st_mode) || st.st_size > SCRIPT_MAX)
		status = fail(STATUS_FAILED, "%s is no script", path);
	else if ((*text = calloc(1, (size_t)st.st_size + 1)) == NULL)
		status = fail(STATUS_FAILED, "no memory");
	while (status == STATUS_OK && *len < (size_t)st.st_size &&
	       (n = read(fd, *text + *len, (size_t)st.st_size - *len)) > 0)
		*len += (size_t)n;
	if (n < 0)
		status = fail_file(errno, path);
	else if (status == STATUS_OK && *text && memchr(*text, '\0', *len))
		status = fail(STATUS_FAILED, "%s is no script", path);
	close(fd);
	return status;
}

/* Whole or not at all: acrnd may be reading the folder. */
static enum status write_script(const char *path, const char *text, size_t len)
{
	char other[PATH_MAX + 8];
	enum status status = STATUS_OK;
	int fd;

	snprintf(other, sizeof(other), "%s.XXXXXX", path);
	fd = mkostemp(other, O_CLOEXEC);
	if (fd < 0)
		return fail_file(errno, path);
	if (write(fd, text, len) != (ssize_t)len || fchmod(fd, 0700) < 0 || fsync(fd) < 0 ||
	    rename(other, path) < 0) {
		status = fail_file(errno ? errno : ENOSPC, path);
		(void)unlink(other);
	}
	close(fd);
	return status;
}

static enum status add(const char *name, const char *text, size_t len)
{
	char path[PATH_MAX];
	enum status status;
	int err;

	if (!mngr_script(name, path))
		return fail(STATUS_USAGE,
			    "\"%s\" cannot be a name: 1 to %u letters, digits, and _-.:+", name,
			    MNGR_NAME_MAX);
	if (access(path, F_OK) == 0)
		return fail(STATUS_STATE, "%s is there already; acrnctl del %s takes it away", name,
			    name);
	err = mngr_make_folder(mngr_path(MNGR_SCRIPTS), 0755);
	if (err)
		return fail_file(-err, mngr_path(MNGR_SCRIPTS));
	status = write_script(path, text, len);
	if (status == STATUS_OK)
		printf("%s added\n", name);
	return status;
}

enum status do_add(int argc, char **argv)
{
	const char *words[2] = {NULL, NULL}; /* script, name */
	size_t count = 0;
	char *text, *copy;
	const char *why;
	enum status status;
	size_t len;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-C") == 0)
			return fail(STATUS_USAGE, "-C: VMs do not run in containers here");
		if (argv[i][0] == '-' || count == 2)
			return fail(STATUS_USAGE, "the form is acrnctl add SCRIPT [NAME]");
		words[count++] = argv[i];
	}
	if (!words[0])
		return fail(STATUS_USAGE, "the form is acrnctl add SCRIPT [NAME]");
	status = read_script(words[0], &text, &len);
	copy = text ? strdup(text) : NULL;
	if (status == STATUS_OK && !words[1] && copy) {
		words[1] = script_vm_name(copy, &why);
		if (!words[1])
			status = fail(STATUS_USAGE,
				      "%s: which VM it launches is not clear (%s); write the name "
				      "behind the script",
				      words[0], why);
	}
	if (status == STATUS_OK)
		status = words[1] && text ? add(words[1], text, len)
					  : fail(STATUS_FAILED, "no memory");
	free(copy);
	free(text);
	return status;
}

enum status do_del(int argc, char **argv)
{
	struct mngr_peer vm;
	char path[PATH_MAX];

	(void)argc;
	if (!mngr_script(argv[1], path) || access(path, F_OK) < 0)
		return fail(STATUS_NO_VM, "there is no VM \"%s\" that was added", argv[1]);
	if (mngr_find(argv[1], &vm) == 0)
		return fail(STATUS_STATE, "%s runs; stop it first", argv[1]);
	if (unlink(path) < 0)
		return fail_file(errno, path);
	printf("%s deleted\n", argv[1]);
	return STATUS_OK;
}
