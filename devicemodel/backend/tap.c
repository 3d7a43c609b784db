// SPDX-License-Identifier: BSD-3-Clause
/*
 * Tap interfaces through /dev/net/tun. The interface itself, its bridge and its address belong
 * to the Service VM's network configuration; here it is opened, given the header format that
 * virtio-net uses, and set up. Called by virtio/net.c; keeps no state, takes no lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "log.h"
#include "tap.h"

/* IFF_UP, as "ip link set NAME up" does. */
static int set_up(const char *name)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0) {
		ret = -errno;
	} else if ((ifr.ifr_flags & IFF_UP) == 0) {
		ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
		if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
			ret = -errno;
	}
	close(fd);
	return ret;
}

int tap_partial_checksum(int fd, bool allowed)
{
	return ioctl(fd, TUNSETOFFLOAD, allowed ? (unsigned long)TUN_F_CSUM : 0UL) < 0 ? -errno : 0;
}

int tap_open(const char *name, const char *device)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd, ret, header = TAP_HEADER;
	bool there;

	if (strlen(name) >= sizeof(ifr.ifr_name)) {
		log_err("%s: tap name %s has more than %zu characters", device, name,
			sizeof(ifr.ifr_name) - 1);
		return -EINVAL;
	}
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		log_err("%s: cannot open /dev/net/tun: %s (is the tun module loaded?)", device,
			strerror(-ret));
		return ret;
	}
	memcpy(ifr.ifr_name, name, strlen(name));
	there = if_nametoindex(name) != 0;
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		ret = -errno;
		log_err("%s: cannot attach to tap %s: %s%s", device, name, strerror(-ret),
			ret == -EBUSY ? " (another VM has it)" : "");
		goto out;
	}
	ret = ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ? -errno : tap_partial_checksum(fd, false);
	if (ret == 0)
		ret = set_up(name);
	if (ret == 0 && !there)
		log_notice("%s: there was no tap %s; it is made for this VM, and on no bridge yet",
			   device, name);
	if (ret < 0) {
		log_err("%s: cannot set up tap %s: %s", device, name, strerror(-ret));
		goto out;
	}
	return fd;

out:
	close(fd);
	return ret;
}
