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

int tap_offload(int fd, uint64_t offloads)
{
	static const struct {
		uint64_t bit;
		unsigned long flag;
	} kinds[] = {
		{1ULL << VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4},
		{1ULL << VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6},
		{1ULL << VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN},
	};
	const uint64_t tso = kinds[0].bit | kinds[1].bit;
	unsigned long flags = 0;

	/* The kernel refuses what cannot be: an uncut packet has an unfinished checksum. */
	if ((offloads & 1ULL << VIRTIO_NET_F_GUEST_CSUM) != 0) {
		flags = TUN_F_CSUM;
		for (unsigned int i = 0; i < 3 && (offloads & tso) != 0; i++)
			flags |= (offloads & kinds[i].bit) != 0 ? kinds[i].flag : 0;
	}
	return ioctl(fd, TUNSETOFFLOAD, flags) < 0 ? -errno : 0;
}

int tap_header(int fd, uint32_t size)
{
	int bytes = (int)size;

	return ioctl(fd, TUNSETVNETHDRSZ, &bytes) < 0 ? -errno : 0;
}

int tap_use(int fd, bool use)
{
	struct ifreq ifr = {.ifr_flags = use ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

	return ioctl(fd, TUNSETQUEUE, &ifr) < 0 ? -errno : 0;
}

int tap_filter(int fd, bool groups, const uint8_t (*addr)[ETH_ALEN], unsigned int count)
{
	union {
		struct tun_filter filter;
		uint8_t bytes[sizeof(struct tun_filter) + TAP_ADDRESSES * ETH_ALEN];
	} f = {.filter = {.flags = groups ? TUN_FLT_ALLMULTI : 0, .count = (uint16_t)count}};

	memcpy(f.bytes + sizeof(f.filter), addr, (size_t)count * ETH_ALEN);
	return ioctl(fd, TUNSETTXFILTER, &f) < 0 ? -errno : 0;
}

int tap_open(const char *name, const char *device, bool many)
{
	struct ifreq ifr = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
						 (many ? IFF_MULTI_QUEUE : 0))};
	int fd, ret;
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
			ret == -EBUSY	 ? " (another VM has it)"
			: ret != -EINVAL ? ""
			: many		 ? " (was it made without multi_queue?)"
			       : " (was it made with multi_queue? then queues= is wanted)");
		goto out;
	}
	ret = tap_header(fd, TAP_HEADER);
	if (ret == 0)
		ret = tap_offload(fd, 0);
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
