// SPDX-License-Identifier: BSD-3-Clause
/*
 * A stream of bytes to somewhere in the Service VM: the back of a serial port.
 *
 *   stdio       this program's terminal, in raw mode
 *   pty         a new pseudo terminal, its name is logged
 *   /dev/...    a terminal device
 *   tcp:port    listens on 127.0.0.1, one client at a time
 */
#ifndef DM_CHARDEV_H
#define DM_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chardev;
struct mevent_loop;

/* Bytes arrived, on the loop's thread. Returns how many were taken. */
typedef size_t (*chardev_rx_fn)(void *arg, const uint8_t *data, size_t len);

/* NULL and one line in the log when the backend cannot be opened. */
struct chardev *chardev_open(struct mevent_loop *loop, const char *spec, chardev_rx_fn rx,
			     void *arg);
/* Restores the terminal. No rx runs afterwards. */
void chardev_close(struct chardev *dev);

/*
 * Send; what the other side cannot take now is kept in a bounded buffer, and
 * dropped beyond it, so that nobody's absence stops the guest. Any thread.
 */
void chardev_write(struct chardev *dev, const uint8_t *data, size_t len);

/* The receiver has room again (after it took less than it was given). Any thread. */
void chardev_rx_ready(struct chardev *dev);

/* Checks the grammar only: what chardev_open() would make of spec, or false. */
bool chardev_spec_valid(const char *spec);

#endif
