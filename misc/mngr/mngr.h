// SPDX-License-Identifier: BSD-3-Clause
/*
 * What acrnctl and acrnd share: where things are, which VMs run, and how to ask one something.
 * All paths are below the folder in the environment variable ACRN_ROOT, if it is set: for tests,
 * and for images of a Service VM that is not running.
 */
#ifndef MNGR_H
#define MNGR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#define MNGR_SOCKETS "/run/acrn/mngr"
#define MNGR_SCRIPTS "/usr/share/acrn/conf/add"
#define MNGR_TIMERS  "/usr/share/acrn/conf/timer_list"
#define MNGR_LOGS    "/var/log/acrn"

/* acrnd's socket lies among those of the VMs, under this name; no VM may have it. */
#define MNGR_DAEMON "acrnd"

#define MNGR_NAME_MAX 15U /* characters of a VM's name */

/* Somebody who answers requests: a VM's acrn-dm, or acrnd. */
struct mngr_peer {
	char name[MNGR_NAME_MAX + 1];
	int pid;
	char path[108]; /* of its socket */
};

/* 1 to MNGR_NAME_MAX characters, none of which is special in a path or a shell, and not acrnd's. */
bool mngr_name_valid(const char *name);

/* @path below ACRN_ROOT; the result lives as long as the program. */
const char *mngr_path(const char *path);

/* mkdir -p of MNGR_SCRIPTS and the like; mode for the last folder. Negative errno. */
int mngr_make_folder(const char *path, unsigned int mode);

/*
 * Who listens, in the order of names: an array for free(), its length in *count. Sockets that
 * killed programs left behind are removed. Negative errno; a folder that is not there is empty.
 */
int mngr_running(struct mngr_peer **peers, size_t *count);

/* 0, -ESRCH: nobody of that name listens, or another negative errno. */
int mngr_find(const char *name, struct mngr_peer *peer);

/* Does it still listen? */
bool mngr_alive(const struct mngr_peer *peer);

/*
 * Ask, and wait for the answer for so long. Returns the answer, for json_decref(), or NULL with a
 * negative errno in *err: -ETIMEDOUT, -EPROTO (no JSON object), those of connect(2).
 */
json_t *mngr_ask(const struct mngr_peer *peer, const char *command, const char *arguments,
		 int timeout_ms, int *err);

/* The script of an added VM; false when the name is not valid or the path too long. */
bool mngr_script(const char *name, char path[PATH_MAX]);

/* Names of added VMs, sorted: an array for free(). Negative errno. */
int mngr_added(char (**names)[MNGR_NAME_MAX + 1], size_t *count);

#endif
