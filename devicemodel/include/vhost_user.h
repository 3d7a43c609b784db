// SPDX-License-Identifier: BSD-3-Clause
/*
 * The front end of vhost-user: a process behind a UNIX socket serves the queues of a virtio device.
 * It gets the guest's memory, and is asked and told in messages; each exchange has a time limit.
 * What it answers is hostile: a wrong answer ends the connection. One thread at a time.
 */
#ifndef DM_VHOST_USER_H
#define DM_VHOST_USER_H

#include <stddef.h>
#include <stdint.h>

struct queue;
struct vm;

#define VHOST_USER_CONFIG_MAX 256U

/* What a back end says of its device. */
struct vhost_user_info {
	uint64_t features;
	uint8_t config[VHOST_USER_CONFIG_MAX];
};

/*
 * Connect to the back end at @path, and ask what its device has: @config_len bytes of configuration
 * space. The descriptor of the connection or a negative errno; -EPROTO: not as agreed.
 */
int vhost_user_connect(const char *path, struct vhost_user_info *info, size_t config_len);

/* Let the back end serve @q, live, with its doorbell and its interrupt. A negative errno. */
int vhost_user_start(int fd, const struct queue *q, uint64_t features, int kick, int call);

/* On return the back end serves @q no more, or an errno tells that it may. */
int vhost_user_stop(int fd, const struct queue *q);

#endif
