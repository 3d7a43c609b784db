// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is a network without set-up there when acrn-dm says so, are its troubles told, and does it end
 * with its device? The process is a shell script that the test writes; the whole device model over
 * a fake of the HSM. What the real one does is asked by tests/devicemodel/test_usernet.py.
 */
// links: devicemodel/virtio/doorbell.c devicemodel/backend/usernet.c devicemodel/backend/tap.c
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c devicemodel/virtio/net.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
// links: devicemodel/virtio/net_control.c devicemodel/virtio/net_config.c
// links: devicemodel/virtio/net_vhost.c devicemodel/virtio/vhost.c devicemodel/virtio/irqfd.c
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "log.h"
#include "usernet.h"
#include "virtio_driver.h"

#define RX     0U
#define TX     1U
#define HEADER 12U
#define BUFFER 1600U

static char folder[] = "/tmp/acrn-usernet.XXXXXX";
static char script[64], said[64];

/* What acrn-usernet is from now on; its words and process go to a file. */
static void install(const char *text)
{
	FILE *file;

	(void)unlink(said);
	(void)unlink(script);
	if (!text)
		return;
	file = fopen(script, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\necho $$ \"$@\" >%s\n%s\n", said, text);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(script, 0700), 0);
}

static pid_t heard(char *words, size_t size)
{
	FILE *file = fopen(said, "r");
	int pid = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d ", &pid), 1);
	words[0] = '\0';
	(void)!fgets(words, (int)size, file);
	(void)fclose(file);
	return pid;
}

static int prepare(void **state)
{
	char path[256];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(script, sizeof(script), "%s/acrn-usernet", folder);
	snprintf(said, sizeof(said), "%s/said", folder);
	snprintf(path, sizeof(path), "%s:/bin:/usr/bin", folder);
	log_set_level(0);
	return setenv("PATH", path, 1);
}

static int clean(void **state)
{
	(void)state;
	install(NULL);
	return rmdir(folder);
}

/* What if the program is not there, fails, or never says that it is ready? No network. */
static void test_no_network(void **state)
{
	char *none[1];
	char words[128];
	pid_t pid;

	(void)state;
	install(NULL);
	assert_int_equal(usernet_open(none, 0, "net", &pid), -ENOENT);
	install("exit 2");
	assert_int_equal(usernet_open(none, 0, "net", &pid), -EINVAL);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	install("kill -9 $$");
	assert_int_equal(usernet_open(none, 0, "net", &pid), -EINVAL);
	assert_int_equal(kill(heard(words, sizeof(words)), 0), -1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Do packets go there and come back, do its words arrive, does it end with the device? */
static void test_traffic(void **state)
{
	struct driver d;
	char words[128];
	pid_t pid;

	(void)state;
	install("printf R >&0; dd bs=2000 count=1 <&0 >&0 2>/dev/null; exec sleep 1000");
	fake_hsm_reset();
	machine_create("-s 0,hostbridge -s 5,virtio-net,user,hostfwd=tcp::80-:81,"
		       "mac=02:11:22:33:44:55,hostfwd=udp:127.0.0.1:5-10.0.2.15:6");
	pid = heard(words, sizeof(words));
	assert_string_equal(words, "hostfwd=tcp::80-:81 hostfwd=udp:127.0.0.1:5-10.0.2.15:6\n");
	driver_find(&d, 5, 0x200000);
	/* nobody there finishes checksums or cuts packets */
	driver_put(d.common, 4, 0);
	assert_int_equal(driver_get(d.common + 4, 4) & 0x00FFFFFF,
			 1U << VIRTIO_NET_F_MAC | 1U << VIRTIO_NET_F_STATUS |
				 1U << VIRTIO_NET_F_MRG_RXBUF | 1U << VIRTIO_NET_F_CTRL_VQ |
				 1U << VIRTIO_NET_F_CTRL_MAC_ADDR);
	driver_start(&d, 1U << VIRTIO_NET_F_MAC, 2);
	ring_desc(&d.ring[RX], 0, d.memory + 0x8000, BUFFER, VRING_DESC_F_WRITE, 0);
	ring_offer(&d.ring[RX], 0);
	driver_ring_bell(&d, RX);
	memcpy(guest_at(d.memory + 0x9000 + HEADER, 9), "and back!", 9);
	ring_desc(&d.ring[TX], 0, d.memory + 0x9000, HEADER + 9, 0, 0);
	ring_offer(&d.ring[TX], 0);
	driver_ring_bell(&d, TX);
	assert_int_equal(driver_wait(&d, RX), HEADER + 9);
	assert_memory_equal(guest_at(d.memory + 0x8000 + HEADER, 9), "and back!", 9);
	assert_int_equal(kill(pid, 0), 0);
	machine_destroy();
	assert_int_equal(kill(pid, 0), -1);
}

/* What if the process ends under a running VM? What the guest sends is lost, and that is all. */
static void test_process_ends(void **state)
{
	struct driver d;
	char words[16];
	pid_t pid;

	(void)state;
	install("printf R >&0; exec sleep 1000");
	fake_hsm_reset();
	machine_create("-s 0,hostbridge -s 5,virtio-net,user");
	pid = heard(words, sizeof(words));
	driver_find(&d, 5, 0x200000);
	driver_start(&d, 1U << VIRTIO_NET_F_MAC, 2);
	ring_desc(&d.ring[TX], 0, d.memory + 0x9000, HEADER + 60, 0, 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	for (unsigned int i = 0; i < 20; i++) {
		ring_offer(&d.ring[TX], 0);
		driver_ring_bell(&d, TX);
		assert_int_equal(driver_wait(&d, TX), 0);
		usleep(2000);
	}
	machine_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_network),
		cmocka_unit_test(test_traffic),
		cmocka_unit_test(test_process_ends),
	};

	return cmocka_run_group_tests(tests, prepare, clean);
}
