// SPDX-License-Identifier: BSD-3-Clause
/*
 * A stream of bytes to somewhere in the Service VM: the back of a serial port, or of a console.
 *
 *   stdio       this program's terminal, in raw mode
 *   pty         a new pseudo terminal, its name is logged
 *   /dev/...    a terminal device
 *   tcp:port    listens on 127.0.0.1, one client at a time
 *   socket:/... listens on a UNIX socket, made here, the same
 *   connect:/...  a UNIX socket that somebody else listens on
 *   file:/...   what is sent is added to the end of this file
 */
#ifndef DM_CHARDEV_H
#define DM_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chardev;
struct mevent_loop;

/* Who reads the stream; both run on the loop's thread. */
struct chardev_ops {
	size_t (*room)(void *arg); /* bytes that can be taken now */
	void (*receive)(void *arg, const uint8_t *data, size_t len); /* len <= room */
};

/* NULL and one line in the log when the backend cannot be opened. name is for the log. */
struct chardev *chardev_open(struct mevent_loop *loop, const char *name, const char *spec,
			     const struct chardev_ops *ops, void *arg);
/* Restores the terminal. No callback runs afterwards. NULL is fine. */
void chardev_close(struct chardev *dev);

/*
 * Send; what the other side cannot take now is kept in a bounded buffer, and
 * dropped beyond it, so that nobody's absence stops the guest. Any thread.
 */
void chardev_write(struct chardev *dev, const uint8_t *data, size_t len);

/* The receiver, which had no room, has some again. Any thread. */
void chardev_rx_ready(struct chardev *dev);

/* Is spec of one of the forms above? Opens nothing. */
bool chardev_spec_valid(const char *spec);

#endif
