// SPDX-License-Identifier: BSD-3-Clause
/*
 * Can a guest that means harm hurt the device model as a whole? The real devices over fakes of HSM
 * and tap; what the guest does is in tests/target/guest/hostile_pour.c.
 */
// links: devicemodel/virtio/doorbell.c
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c devicemodel/virtio/net.c
// links: devicemodel/virtio/blk.c devicemodel/virtio/rnd.c devicemodel/virtio/console.c
// links: devicemodel/backend/block.c devicemodel/backend/block_uring.c
// links: devicemodel/backend/block_config.c
// links: tests/target/guest/hostile_pour.c tests/unit/devicemodel/pour_dm.c
// links: tests/unit/devicemodel/fake_tap.c
// links: devicemodel/virtio/net_control.c devicemodel/virtio/net_config.c
// links: devicemodel/virtio/net_vhost.c devicemodel/virtio/vhost.c devicemodel/virtio/irqfd.c
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "fake_tap.h"
#include "gmem.h"
#include "log.h"
#include "pour_dm.h"
#include "power.h"

#define ROUNDS 300U
#define ACTS   100U

static uint64_t seed;
static _Atomic bool stop;
static int disk;

uint64_t pour_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 11;
}

static int set_up(void **state)
{
	char options[256], path[64];

	(void)state;
	log_set_level(0);
	fake_hsm_reset();
	disk = memfd_create("disk", MFD_CLOEXEC);
	assert_int_equal(ftruncate(disk, 64 << 10), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", disk);
	snprintf(options, sizeof(options), POUR_OPTIONS, path);
	machine_create(options);
	pour_vm = &machine;
	atomic_store(&stop, false);
	pour_restore();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	machine_destroy();
	fake_tap_reset();
	shm_unlink("/pour");
	close(disk);
	return 0;
}

/* Another vCPU: it writes where the devices read, and knows no rules. */
static void *scribble(void *arg)
{
	uint64_t x = 88172645463325252ULL;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint64_t at = POUR_ARENA + (x >> 20) % 4 * 0x40000 + (x >> 32) % 0x9000 / 8 * 8;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* Small numbers are what indices, lengths and flags understand. */
		atomic_store_explicit((_Atomic uint64_t *)gmem_ptr(arg, at, 8),
				      x % 3 == 0   ? x
				      : x % 3 == 1 ? x & 0x000f000f00000fff
						   : 0,
				      memory_order_relaxed);
	}
	return NULL;
}

/* The wire: packets come all the time, and what the guest sends is swallowed. */
static void *wire(void *arg)
{
	const struct fake_tap *tap = arg;
	char packet[2048] = {0};

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		while (read(tap->peer, packet, sizeof(packet)) > 0)
			;
		(void)!write(tap->peer, packet, 12 + 60);
		usleep(50);
	}
	return NULL;
}

static void rounds(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		seed = 0x9E3779B97F4A7C15ULL * (i + 1);
		for (unsigned int n = 0; n < ACTS; n++)
			pour_act();
	}
}

/* What if a guest pours garbage at everything? After a reset by its driver each device works. */
static void test_garbage(void **state)
{
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, wire, fake_tap_find("pour"));
	assert_null(pour_broken());
	for (unsigned int i = 0; i < ROUNDS; i++) {
		const char *broken;

		seed = 0x9E3779B97F4A7C15ULL * (i + 1);
		for (unsigned int n = 0; n < ACTS; n++)
			pour_act();
		pour_restore();
		broken = pour_broken();
		if (broken != NULL)
			fail_msg("%s is broken after round %u", broken, i);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}

/* What if another vCPU rewrites the rings meanwhile? */
static void test_two_vcpus(void **state)
{
	pthread_t threads[2];

	(void)state;
	pthread_create(&threads[0], NULL, wire, fake_tap_find("pour"));
	pthread_create(&threads[1], NULL, scribble, &machine);
	rounds(ROUNDS);
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pour_restore();
	assert_null(pour_broken());
}

static const uint32_t values[] = {0, UINT32_MAX, 0x55555555, 0xAAAAAAAA};

#define VALUES (sizeof(values) / sizeof(values[0]))

static void sweep_ports(void)
{
	for (uint32_t port = 0; port <= UINT16_MAX; port++) {
		for (unsigned int size = 1; size <= 4; size *= 2) {
			(void)pour_in((uint16_t)port, size);
			for (unsigned int i = 0; i < VALUES; i++)
				pour_out((uint16_t)port, size, values[i]);
		}
	}
}

/* Ports that stand for more than themselves. */
static void sweep_clocks(void)
{
	for (uint32_t i = 0; i < 256 * VALUES; i++) {
		pour_out(0x70, 1, i / VALUES);
		(void)pour_in(0x71, 1);
		pour_out(0x71, 1, values[i % VALUES]);
	}
	for (uint32_t control = 0; control < 256; control++) {
		for (uint16_t channel = 0; channel < 3; channel++) {
			pour_out(0x43, 1, control);
			for (unsigned int i = 0; i < VALUES; i++) {
				pour_out(0x40 + channel, 1, values[i]);
				pour_out(0x61, 1, values[i]);
				(void)pour_in(0x40 + channel, 1);
				(void)pour_in(0x61, 1);
			}
		}
	}
}

static void sweep_config(void)
{
	for (uint32_t slot = 0; slot < 8; slot++) {
		for (uint32_t i = 0; i < 4096 * 3 * VALUES; i++) {
			uint32_t size = 1U << i / 4096 % 3, reg = i % 4096 & ~(size - 1);

			(void)pour_cfg_read(slot, reg, size);
			pour_cfg_write(slot, reg, size, values[i / (4096 * 3)]);
		}
	}
}

/* Where pour_restore() puts them: BAR 1 with MSI-X, BAR 4 with the registers. */
static void sweep_bars(void)
{
	for (uint64_t gpa = 0xC0000000; gpa < 0xC0030000; gpa++) {
		for (uint32_t size = 1; size <= 8; size *= 2) {
			(void)pour_load(gpa, size);
			for (unsigned int i = 0; i < VALUES; i++)
				pour_store(gpa, size, (uint64_t)values[i] << 32 | values[i]);
		}
	}
}

/* What if a guest tries every port, register and BAR with every size, one after the other? */
static void test_sweep(void **state)
{
	void (*const sweeps[])(void) = {sweep_ports, sweep_clocks, sweep_config, sweep_bars};

	(void)state;
	for (unsigned int i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
		const char *broken;

		sweeps[i]();
		pour_restore();
		broken = pour_broken();
		if (broken != NULL)
			fail_msg("%s is broken after sweep %u", broken, i);
	}
}

static unsigned int asked;
static bool endless;

static _Atomic uint16_t *avail_idx(void)
{
	return gmem_ptr(&machine, POUR_ARENA + 2 * 0x40000 + 0x1002, 2);
}

/* rnd.c's source. When endless, another vCPU offers the next buffer while this one is filled. */
ssize_t getrandom(void *buf, size_t len, unsigned int flags)
{
	if (endless) {
		(void)atomic_fetch_add(avail_idx(), 1);
		if (++asked == 1000)
			power_request(&machine, POWER_OFF, 0);
		assert_in_range(asked, 1, 1100);
	}
	return syscall(SYS_getrandom, buf, len, flags);
}

/* What if the driver makes requests as fast as they are served? A power-off is still heard. */
static void test_endless(void **state)
{
	(void)state;
	assert_null(pour_broken());
	endless = true;
	asked = 0;
	/* One buffer to begin with; past pour_out(), which would forget the power-off. */
	(void)atomic_fetch_add(avail_idx(), 1);
	machine_out(0x6200, 2, 0);
	endless = false;
	assert_int_equal(power_pending(&machine), POWER_OFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_garbage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_vcpus, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sweep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_endless, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
