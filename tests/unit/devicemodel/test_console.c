// SPDX-License-Identifier: BSD-3-Clause
/*
 * Do bytes go both ways through the right port of a virtio console, does the driver learn of all
 * ports, and does nonsense from it harm nobody? The whole device model over a fake of the HSM;
 * ports end in sockets and files of the test's own.
 */
// links: devicemodel/virtio/doorbell.c devicemodel/virtio/console.c
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "log.h"
#include "virtio_driver.h"

#define W	   VRING_DESC_F_WRITE
#define MEMORY	   0x200000U
#define BUFFERS	   0x240000ULL
#define RX0	   0U
#define TX0	   1U
#define CONTROL_RX 2U
#define CONTROL_TX 3U
#define RX1	   4U
#define TX1	   5U
#define MULTIPORT  (1U << VIRTIO_CONSOLE_F_MULTIPORT)

static struct driver d;
static char folder[] = "/tmp/acrn-console.XXXXXX";
static char path0[64], path1[64], file[64];
static int peers[2];

static uint64_t buffer(unsigned int queue, unsigned int i)
{
	return BUFFERS + queue * 0x10000ULL + i * 0x100ULL;
}

static void give(unsigned int queue, uint16_t i, uint32_t len, uint16_t flags)
{
	ring_desc(&d.ring[queue], i, buffer(queue, i), len, flags, 0);
	ring_offer(&d.ring[queue], i);
}

static int connect_to(const char *path)
{
	struct sockaddr_un where = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(where.sun_path, path, strlen(path));
	assert_int_equal(connect(fd, (const struct sockaddr *)&where, sizeof(where)), 0);
	return fd;
}

static int set_up(void **state)
{
	char options[512];

	(void)state;
	log_set_level(0);
	fake_hsm_reset();
	assert_non_null(mkdtemp(folder));
	snprintf(path0, sizeof(path0), "%s/s0", folder);
	snprintf(path1, sizeof(path1), "%s/s1", folder);
	snprintf(file, sizeof(file), "%s/file", folder);
	snprintf(options, sizeof(options),
		 "-s 0,hostbridge -s 5,virtio-console,@socket:con=%s:server,socket:data=%s,"
		 "file:log=%s",
		 path0, path1, file);
	machine_create(options);
	peers[0] = connect_to(path0);
	peers[1] = connect_to(path1);
	driver_find(&d, 5, MEMORY);
	assert_int_equal(driver_cfg_read(&d, 0, 4), 0x10031AF4);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(peers[0]);
	close(peers[1]);
	machine_destroy();
	assert_int_equal(access(path0, F_OK), -1); /* the socket goes with its device */
	(void)unlink(file);
	assert_int_equal(rmdir(folder), 0);
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	return 0;
}

static void start_ports(void)
{
	driver_start(&d, MULTIPORT, 6);
	for (uint16_t i = 0; i < 16; i++)
		give(CONTROL_RX, i, 64, W);
}

static void say(uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control msg = {id, event, value};

	memcpy(guest_at(buffer(CONTROL_TX, 0), sizeof(msg)), &msg, sizeof(msg));
	give(CONTROL_TX, 0, sizeof(msg), 0);
	driver_ring_bell(&d, CONTROL_TX);
	(void)driver_wait(&d, CONTROL_TX);
}

/* The next message for the driver, in the order of its buffers. */
static void hear(unsigned int i, uint32_t id, uint16_t event, uint16_t value, const char *name)
{
	const struct virtio_console_control want = {id, event, value};
	uint32_t len = driver_wait(&d, CONTROL_RX);
	const char *got = guest_at(buffer(CONTROL_RX, i), 64);

	assert_int_equal(len, sizeof(want) + strlen(name));
	assert_memory_equal(got, &want, sizeof(want));
	assert_memory_equal(got + sizeof(want), name, strlen(name));
}

static void send_text(unsigned int queue, const char *text)
{
	memcpy(guest_at(buffer(queue, 0), 0x100), text, strlen(text));
	give(queue, 0, (uint32_t)strlen(text), 0);
	driver_ring_bell(&d, queue);
	assert_int_equal(driver_wait(&d, queue), 0);
}

/* What is sent before the connection was accepted is lost, and nothing else. */
static void wait_connected(unsigned int i)
{
	char c;

	for (int tries = 0; recv(peers[i], &c, 1, MSG_DONTWAIT) != 1; tries++) {
		assert_true(tries < 2000);
		send_text(i == 0 ? TX0 : TX1, ".");
		usleep(1000);
	}
	while (recv(peers[i], &c, 1, MSG_DONTWAIT) == 1)
		;
}

static void expect_peer(unsigned int i, const char *text)
{
	char got[64] = "";

	assert_int_equal(recv(peers[i], got, strlen(text), MSG_WAITALL), strlen(text));
	assert_string_equal(got, text);
}

/* Is the driver told of every port, its name, and which is a console? */
static void test_ports(void **state)
{
	(void)state;
	assert_int_equal(driver_get(d.config + 4, 4), 3);
	start_ports();
	say(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned int i = 0; i < 3; i++)
		hear(i, i, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	say(0, VIRTIO_CONSOLE_PORT_READY, 1);
	hear(3, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, "");
	hear(4, 0, VIRTIO_CONSOLE_PORT_NAME, 1, "con");
	hear(5, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
	say(2, VIRTIO_CONSOLE_PORT_READY, 1);
	hear(6, 2, VIRTIO_CONSOLE_PORT_NAME, 1, "log");
	hear(7, 2, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
}

/* Do both ports' bytes go where they belong, and wait while nobody in the guest reads? */
static void test_streams(void **state)
{
	uint32_t id, len;

	(void)state;
	start_ports();
	wait_connected(0);
	wait_connected(1);
	send_text(TX0, "to the console");
	send_text(TX1, "to the data port");
	expect_peer(0, "to the console");
	expect_peer(1, "to the data port");
	assert_int_equal(write(peers[0], "early", 5), 5);
	assert_int_equal(write(peers[1], "one", 3), 3);
	for (uint16_t i = 0; i < 4; i++) {
		give(RX0, i, 4, W);
		give(RX1, i, 64, W);
	}
	driver_ring_bell(&d, RX0);
	driver_ring_bell(&d, RX1);
	usleep(20000);
	assert_false(ring_take(&d.ring[RX0], &id, &len));
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(driver_wait(&d, RX1), 3);
	assert_memory_equal(guest_at(buffer(RX1, 0), 3), "one", 3);
	assert_false(ring_take(&d.ring[RX0], &id, &len));
	say(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(driver_wait(&d, RX0), 4);
	assert_int_equal(driver_wait(&d, RX0), 1);
	assert_memory_equal(guest_at(buffer(RX0, 0), 4), "earl", 4);
	assert_memory_equal(guest_at(buffer(RX0, 1), 1), "y", 1);
	/* closed again: it waits; and more than there are buffers for */
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_int_equal(write(peers[1], "two", 3), 3);
	usleep(20000);
	assert_false(ring_take(&d.ring[RX1], &id, &len));
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(driver_wait(&d, RX1), 3);
	assert_int_equal(write(peers[0], "abcdefghijklmnop", 16), 16);
	assert_int_equal(driver_wait(&d, RX0), 4);
	assert_int_equal(driver_wait(&d, RX0), 4);
	usleep(20000);
	give(RX0, 0, 100, W);
	driver_ring_bell(&d, RX0);
	assert_int_equal(driver_wait(&d, RX0), 8);
	assert_memory_equal(guest_at(buffer(RX0, 0), 8), "ijklmnop", 8);
}

/* What of a driver that knows of one port only? It has the first, at once. */
static void test_one_port(void **state)
{
	(void)state;
	driver_start(&d, 0, 2);
	give(RX0, 0, 64, W);
	driver_ring_bell(&d, RX0);
	assert_int_equal(write(peers[0], "hello", 5), 5);
	assert_int_equal(driver_wait(&d, RX0), 5);
	wait_connected(0);
	send_text(TX0, "and hello");
	expect_peer(0, "and hello");
}

/* What if nobody is connected, or comes and goes? The guest never waits. */
static void test_no_peer(void **state)
{
	(void)state;
	start_ports();
	close(peers[1]);
	usleep(200000);
	for (unsigned int i = 0; i < 300; i++)
		send_text(TX1, "nobody hears this, as nobody is there; but nobody waits either");
	peers[1] = connect_to(path1);
	wait_connected(1);
	send_text(TX1, "now");
	expect_peer(1, "now");
}

/* What if control messages are cut off, unknown, for no port, or have nowhere to go? */
static void test_nonsense(void **state)
{
	uint32_t id, len;

	(void)state;
	start_ports();
	for (uint16_t event = 0; event < 12; event++) {
		say(3, event, 1);
		say(UINT32_MAX, event, UINT16_MAX);
		say(1, event, 7);
	}
	while (ring_take(&d.ring[CONTROL_RX], &id, &len))
		;
	give(CONTROL_TX, 0, 7, 0);
	give(CONTROL_TX, 1, 8, W);
	driver_ring_bell(&d, CONTROL_TX);
	assert_int_equal(driver_wait(&d, CONTROL_TX), 0);
	assert_int_equal(driver_wait(&d, CONTROL_TX), 0);
	for (unsigned int i = 0; i < 20; i++) /* no buffers are left for the answers */
		say(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	/* a receive buffer that cannot be written to comes back, the next one is used */
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	give(RX1, 0, 64, 0);
	give(RX1, 1, 64, W);
	driver_ring_bell(&d, RX1);
	assert_int_equal(write(peers[1], "fine", 4), 4);
	assert_int_equal(driver_wait(&d, RX1), 0);
	assert_int_equal(driver_wait(&d, RX1), 4);
	/* queues of ports that are not there */
	for (unsigned int queue = 8; queue < 10; queue++) {
		struct ring r;

		ring_init(&r, MEMORY + queue * 0x3000, 16);
		driver_put(d.common + VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
		driver_put(d.common + VIRTIO_PCI_COMMON_Q_SIZE, 2, r.size);
		driver_put(d.common + VIRTIO_PCI_COMMON_Q_DESCLO, 8, r.desc);
		driver_put(d.common + VIRTIO_PCI_COMMON_Q_AVAILLO, 8, r.avail);
		driver_put(d.common + VIRTIO_PCI_COMMON_Q_USEDLO, 8, r.used);
		driver_put(d.common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		ring_desc(&r, 0, buffer(queue, 0), 64, queue % 2 ? 0 : W, 0);
		ring_offer(&r, 0);
		driver_ring_bell(&d, queue);
		assert_false(ring_take(&r, &id, &len));
	}
	for (unsigned int queue = 10; queue < 40; queue++)
		driver_ring_bell(&d, queue);
	assert_int_equal(driver_get(d.common + VIRTIO_PCI_COMMON_STATUS, 1) &
				 VIRTIO_CONFIG_S_NEEDS_RESET,
			 0);
}

/* What if the driver resets the device while bytes come? Nothing is written after that. */
static void test_reset_in_traffic(void **state)
{
	static const char flood[4000];

	(void)state;
	for (unsigned int round = 0; round < 300; round++) {
		start_ports();
		for (uint16_t i = 0; i < 8; i++)
			give(RX0, i, 64, W);
		driver_ring_bell(&d, RX0);
		say(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
		(void)send(peers[0], flood, sizeof(flood), MSG_DONTWAIT);
		usleep(round % 8 * 50);
		driver_put(d.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
		memset(guest_at(buffer(RX0, 0), 0x800), 0xDD, 0x800);
		usleep(200);
		for (unsigned int i = 0; i < 0x800; i += 16)
			assert_int_equal(*(uint8_t *)guest_at(buffer(RX0, 0) + i, 1), 0xDD);
	}
}

/* What if a buffer was taken for bytes that did not come? After a reset nobody writes to it. */
static void test_taken_buffer(void **state)
{
	(void)state;
	start_ports();
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	give(RX1, 0, 64, W);
	driver_ring_bell(&d, RX1);
	close(peers[1]); /* the end of the stream is read into it */
	usleep(200000);
	peers[1] = connect_to(path1);
	memset(guest_at(buffer(RX1, 0), 64), 0xDD, 64);
	start_ports();
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	give(RX1, 5, 64, W);
	driver_ring_bell(&d, RX1);
	assert_int_equal(write(peers[1], "new", 3), 3);
	assert_int_equal(driver_wait(&d, RX1), 3);
	assert_memory_equal(guest_at(buffer(RX1, 5), 3), "new", 3);
	assert_int_equal(*(uint8_t *)guest_at(buffer(RX1, 0), 1), 0xDD);
}

/* Which forms are there? Others are refused, and what was opened before is closed again. */
static void test_options(void **state)
{
	static const char *const wrong[] = {
		"",
		"@",
		"stdio",
		"stdio:",
		"@stdio:a=/path",
		"pty:a:server",
		"tty:a",
		"tty:a=ttyS0",
		"file:a",
		"file:a=relative",
		"file:a=/dev/null:server",
		"socket:a",
		"socket:a=/tmp/x:master",
		"nothing:a=/tmp/x",
		"client:a=/tmp/x:client",
		"pty:a,",
		"pty:a,pty",
		"pty:a-name-of-two-and-thirty-letters",
		"pty:a,pty:a,pty:a,pty:a,pty:a,pty:a,pty:a,pty:a,pty:a,pty:a,pty:a,pty:a,"
		"pty:a,pty:a,pty:a,pty:a,pty:a",
	};
	char options[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(options, sizeof(options), "-s 0,hostbridge -s 5,virtio-console,%s",
			 wrong[i]);
		if (machine_try(options) == 0)
			fail_msg("%s", wrong[i]);
	}
	machine_create("-s 0,hostbridge -s 5,virtio-console,pty:a,@pty:b,file:c=/dev/null");
	machine_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ports, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_streams, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_port, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_peer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reset_in_traffic, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_taken_buffer, set_up, tear_down),
		cmocka_unit_test(test_options),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
