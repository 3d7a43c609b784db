// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the client that asked for events hear of what the guest does, and nobody wait for a client?
 * The monitor on its own thread, under the whole device model. What acrn-dm as a program does with
 * its sockets is in tests/devicemodel/test_monitor.py.
 */
// links: @machine
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "acpi.h"
#include "dm_machine.h"
#include "fake_hsm.h"
#include "ioreq.h"
#include "monitor.h"

static char base[] = "/tmp/test_monitor.XXXXXX";
static char folder[64], path[108];

static int make_base(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(base));
	snprintf(folder, sizeof(folder), "%s/run/mngr", base);
	snprintf(path, sizeof(path), "%s/vm1.%d.socket", folder, (int)getpid());
	return 0;
}

static int remove_base(void **state)
{
	char parent[64];

	(void)state;
	snprintf(parent, sizeof(parent), "%s/run", base);
	assert_int_equal(rmdir(folder), 0); /* so nothing is left in it */
	assert_int_equal(rmdir(parent), 0);
	return rmdir(base);
}

static int set_up(void **state)
{
	(void)state;
	fake_hsm_reset();
	machine_create("-s 0,hostbridge");
	assert_int_equal(monitor_create(&machine), 0);
	assert_int_equal(monitor_start(&machine, folder), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ioreq_close_calls(&machine);
	monitor_destroy(&machine);
	machine_destroy();
	return 0;
}

static int connect_client(void)
{
	const struct timeval patience = {.tv_sec = 20};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(addr.sun_path, path, sizeof(path));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

/* One line; NULL when the other side hung up. */
static json_t *read_line(int fd)
{
	char line[4096];
	size_t len = 0;

	while (len < sizeof(line) && recv(fd, line + len, 1, 0) == 1 && line[len] != '\n')
		len++;
	return len > 0 ? json_loadb(line, len, 0, NULL) : NULL;
}

static json_int_t number(const json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

static void ask(int fd, const char *command, json_int_t ack)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "{\"command\":\"%s\"}", command);
	json_t *answer;

	assert_int_equal(send(fd, text, (size_t)len, 0), len);
	answer = read_line(fd);
	assert_int_equal(number(answer, "ack"), ack);
	json_decref(answer);
}

static void write_rtc(uint8_t reg, uint8_t value)
{
	machine_out(0x70, 1, reg);
	machine_out(0x71, 1, value);
}

/* The guest sets the year, as Linux does it: clock stopped, all written, clock on. */
static void set_year(uint8_t century, uint8_t year)
{
	write_rtc(0x0b, 0x82);
	write_rtc(9, year);
	write_rtc(0x32, century);
	write_rtc(0x0b, 0x02);
}

/* Is a changed clock told, with what it was and by how much it moved? And an unchanged one not? */
static void test_clock(void **state)
{
	int fd = connect_client();
	json_int_t first, second;
	json_t *event;

	(void)state;
	set_year(0x20, 0x30); /* nobody listens yet */
	ask(fd, "register_vm_event_client", 0);
	set_year(0x20, 0x31);
	event = read_line(fd);
	assert_int_equal(number(event, "vm_event"), 0);
	first = number(event, "last_time");
	assert_int_equal(number(event, "delta_time"), 365 * 86400);
	json_decref(event);
	set_year(0x20, 0x30);
	event = read_line(fd);
	second = number(event, "last_time");
	assert_in_range(second - first, 365 * 86400, 365 * 86400 + 60);
	assert_int_equal(number(event, "delta_time"), -365 * 86400);
	json_decref(event);
	close(fd);
}

/* Is the guest's power-off told, to the last client that asked and to no other? */
static void test_poweroff(void **state)
{
	int old = connect_client(), fd = connect_client();
	json_t *event;

	(void)state;
	ask(old, "register_vm_event_client", 0);
	ask(fd, "register_vm_event_client", 0);
	machine_out(ACPI_PM1_CONTROL_PORT, 2, 1 << 13 | ACPI_S5_TYPE << 10);
	event = read_line(fd);
	assert_int_equal(number(event, "vm_event"), 1);
	json_decref(event);
	ask(old, "fly", -1); /* the next line it gets is this answer */
	close(fd);
	close(old);
}

/* What if the client does not read, or is gone: does the guest go on, at once? */
static void test_deaf(void **state)
{
	int fd = connect_client();

	(void)state;
	ask(fd, "register_vm_event_client", 0);
	for (unsigned int i = 0; i < 20000; i++)
		set_year(0x20, i & 1 ? 0x30 : 0x31);
	close(fd);
	fd = connect_client();
	ask(fd, "query", 0);
	set_year(0x20, 0x32);
	ask(fd, "query", 0); /* no event came in between */
	close(fd);
}

/* Are folder and socket root's alone? What if the VM's name leads elsewhere, or nothing can be
 * made? */
static void test_folder(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	monitor_destroy(&machine);
	assert_int_equal(stat(path, &st), -1);
	machine.cfg.name = "../vm1";
	assert_int_equal(monitor_create(&machine), 0);
	assert_int_equal(monitor_start(&machine, folder), 0);
	monitor_destroy(&machine);
	machine.cfg.name = "vm1";
	assert_int_equal(monitor_create(&machine), 0);
	assert_int_equal(monitor_start(&machine, "/dev/null/x"), 0);
	monitor_destroy(&machine);
	machine.cfg.cmd_monitor = "/dev/null/x";
	assert_int_equal(monitor_create(&machine), -ENOTDIR);
	assert_null(machine.monitor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_clock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_poweroff, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deaf, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_folder, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, make_base, remove_base);
}
