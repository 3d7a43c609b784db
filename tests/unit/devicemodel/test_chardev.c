// SPDX-License-Identifier: BSD-3-Clause
/*
 * Do byte streams over a terminal leave it as they found it, and over files and pipes do what
 * their names promise?
 */
// links: devicemodel/core/chardev.c devicemodel/core/mevent.c devicemodel/core/iothread.c
// links: devicemodel/core/log.c tests/unit/devicemodel/free_port.c
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "chardev.h"
#include "free_port.h"
#include "iothread.h"
#include "mevent.h"

static struct iothread *thread;
static struct mevent_loop *loop;

static struct {
	pthread_mutex_t lock;
	char text[256];
	size_t len, limit;
} got = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t room(void *arg)
{
	size_t left;

	(void)arg;
	pthread_mutex_lock(&got.lock);
	left = got.limit - got.len;
	pthread_mutex_unlock(&got.lock);
	return left;
}

static void receive(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	pthread_mutex_lock(&got.lock);
	assert_true(len <= got.limit - got.len);
	memcpy(got.text + got.len, data, len);
	got.len += len;
	pthread_mutex_unlock(&got.lock);
}

static size_t length(void)
{
	size_t len;

	pthread_mutex_lock(&got.lock);
	len = got.len;
	pthread_mutex_unlock(&got.lock);
	return len;
}

static const struct chardev_ops ops = {.room = room, .receive = receive};

#define wait_for(condition)                                                                        \
	do {                                                                                       \
		for (int wait_i = 0; wait_i < 1000 && !(condition); wait_i++)                      \
			usleep(1000);                                                              \
		assert_true(condition);                                                            \
	} while (0)

static int setup(void **state)
{
	(void)state;
	thread = iothread_create("loop");
	assert_int_equal(iothread_start(thread), 0);
	loop = iothread_loop(thread);
	memset(got.text, 0, sizeof(got.text));
	got.len = 0;
	got.limit = sizeof(got.text) - 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	iothread_destroy(thread);
	return 0;
}

static int saved[2];

static void replace_stdio(int in, int out)
{
	fflush(stdout);
	for (int fd = 0; fd < 2; fd++)
		saved[fd] = dup(fd);
	dup2(in, 0);
	dup2(out, 1);
}

static void restore_stdio(void)
{
	for (int fd = 0; fd < 2; fd++) {
		dup2(saved[fd], fd);
		close(saved[fd]);
	}
}

/* A terminal: raw while in use, and exactly as before afterwards? */
static void test_stdio_terminal(void **state)
{
	struct termios before, during, after;
	struct chardev *dev, *second;
	int master, slave, flags;
	char text[3];

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	tcgetattr(slave, &before);
	flags = fcntl(slave, F_GETFL);
	replace_stdio(slave, slave);
	dev = chardev_open(loop, "com1", "stdio", &ops, NULL);
	second = chardev_open(loop, "com2", "stdio", &ops, NULL);
	tcgetattr(slave, &during);
	chardev_write(dev, (const uint8_t *)"\x03\r\n", 3);
	assert_int_equal(write(master, "\x03q", 2), 2);
	for (int i = 0; i < 1000 && length() < 2; i++)
		usleep(1000);
	chardev_close(dev);
	restore_stdio();
	assert_null(second);
	assert_int_equal(length(), 2);
	assert_memory_equal(got.text, "\x03q", 2);
	assert_int_equal(read(master, text, 3), 3);
	assert_memory_equal(text, "\x03\r\n", 3);
	assert_false(during.c_lflag & (ICANON | ECHO | ISIG));
	tcgetattr(slave, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(fcntl(slave, F_GETFL), flags);
	close(slave);
	close(master);
}

/* Standard input is /dev/null and output a file, as in a script: does output arrive? */
static void test_stdio_files(void **state)
{
	int null = open("/dev/null", O_RDONLY);
	int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	struct chardev *dev;
	char text[6] = "";

	(void)state;
	replace_stdio(null, file);
	dev = chardev_open(loop, "com1", "stdio", &ops, NULL);
	chardev_write(dev, (const uint8_t *)"hello", 5);
	chardev_close(dev);
	restore_stdio();
	assert_int_equal(pread(file, text, 5, 0), 5);
	assert_string_equal(text, "hello");
	close(null);
	close(file);
}

/* What if the disk is full under standard output? What fits the buffer comes when there is room. */
static void test_stdio_disk_full(void **state)
{
	int null = open("/dev/null", O_RDONLY);
	int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	struct rlimit old, limit;
	struct chardev *dev;
	char text[32] = "";

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = (struct rlimit) {.rlim_cur = 3, .rlim_max = old.rlim_max};
	replace_stdio(null, file);
	dev = chardev_open(loop, "com1", "stdio", &ops, NULL);
	setrlimit(RLIMIT_FSIZE, &limit);
	chardev_write(dev, (const uint8_t *)"hello ", 6);
	chardev_write(dev, (const uint8_t *)"from ", 5);
	setrlimit(RLIMIT_FSIZE, &old);
	chardev_write(dev, (const uint8_t *)"here", 4);
	assert_int_equal(pread(file, text, sizeof(text), 0), 15);
	chardev_close(dev);
	restore_stdio();
	assert_string_equal(text, "hello from here");
	close(null);
	close(file);
}

/* A pipe as input ends, and a full pipe as output: nothing blocks, nothing spins? */
static void test_stdio_pipes(void **state)
{
	static const uint8_t block[1024];
	int in[2], out[2];
	struct chardev *dev;
	size_t total = 0;
	ssize_t n;
	char text[4096];

	(void)state;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(write(in[1], "hey", 3), 3);
	close(in[1]);
	replace_stdio(in[0], out[1]);
	dev = chardev_open(loop, "com1", "stdio", &ops, NULL);
	for (int i = 0; i < 70; i++) /* 64 KB fit the pipe, the rest is buffered */
		chardev_write(dev, block, sizeof(block));
	for (int i = 0; i < 1000 && length() < 3; i++)
		usleep(1000);
	while (total < 70 * 1024) {
		n = read(out[0], text, sizeof(text));
		if (n <= 0)
			break;
		total += (size_t)n;
	}
	chardev_close(dev);
	restore_stdio();
	assert_memory_equal(got.text, "hey", 3);
	assert_int_equal(total, 70 * 1024);
	close(in[0]);
	close(out[0]);
	close(out[1]);
}

/* Does a receiver without room stop the stream, and get all of it later? */
static void test_flow(void **state)
{
	int in[2];
	int null = open("/dev/null", O_WRONLY);
	struct chardev *dev;

	(void)state;
	got.limit = 4;
	assert_int_equal(pipe(in), 0);
	replace_stdio(in[0], null);
	dev = chardev_open(loop, "com1", "stdio", &ops, NULL);
	assert_int_equal(write(in[1], "0123456789", 10), 10);
	for (int i = 0; i < 1000 && length() < 4; i++)
		usleep(1000);
	usleep(20000);
	pthread_mutex_lock(&got.lock);
	got.limit = 200;
	pthread_mutex_unlock(&got.lock);
	chardev_rx_ready(dev);
	for (int i = 0; i < 1000 && length() < 10; i++)
		usleep(1000);
	chardev_close(dev);
	restore_stdio();
	assert_string_equal(got.text, "0123456789");
	close(in[0]);
	close(in[1]);
	close(null);
}

/* A terminal device by path: raw in use, restored after; no terminal, no device. */
static void test_tty(void **state)
{
	struct termios before, after;
	struct chardev *dev;
	char path[64], text[2];
	int master, slave;

	(void)state;
	assert_int_equal(openpty(&master, &slave, path, NULL, NULL), 0);
	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	tcgetattr(slave, &before);
	dev = chardev_open(loop, "com1", path, &ops, NULL);
	assert_non_null(dev);
	chardev_write(dev, (const uint8_t *)"\n!", 2);
	assert_int_equal(read(master, text, 2), 2);
	assert_memory_equal(text, "\n!", 2);
	assert_int_equal(write(master, "in", 2), 2);
	wait_for(length() == 2);
	chardev_close(dev);
	tcgetattr(slave, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_null(chardev_open(loop, "com1", "/dev/null", &ops, NULL));
	assert_null(chardev_open(loop, "com1", "/nonexistent", &ops, NULL));
	close(slave);
	close(master);
}

/* What if a TCP port is taken? */
static void test_tcp_taken(void **state)
{
	struct chardev *dev;
	char spec[16];

	(void)state;
	snprintf(spec, sizeof(spec), "tcp:%u", free_port());
	dev = chardev_open(loop, "com1", spec, &ops, NULL);
	assert_non_null(dev);
	assert_null(chardev_open(loop, "com2", spec, &ops, NULL));
	chardev_close(dev);
	dev = chardev_open(loop, "com2", spec, &ops, NULL);
	assert_non_null(dev);
	chardev_close(dev);
	chardev_close(NULL);
}

static int fake_listener(const char *path)
{
	struct sockaddr_un where = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(where.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (const struct sockaddr *)&where, sizeof(where)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* A file: is what is sent added to it, and is a full disk no reason to wait? */
static void test_file(void **state)
{
	char path[] = "/tmp/acrn-chardev.XXXXXX", spec[64], text[16] = "";
	int fd = mkstemp(path);
	struct chardev *dev;

	(void)state;
	snprintf(spec, sizeof(spec), "file:%s", path);
	for (int i = 0; i < 2; i++) {
		dev = chardev_open(loop, "log", spec, &ops, NULL);
		assert_non_null(dev);
		chardev_write(dev, (const uint8_t *)(i ? "second" : "first "), 6);
		chardev_rx_ready(dev);
		chardev_close(dev);
	}
	assert_int_equal(read(fd, text, sizeof(text)), 12);
	assert_string_equal(text, "first second");
	close(fd);
	unlink(path);
	dev = chardev_open(loop, "log", "file:/dev/full", &ops, NULL);
	for (int i = 0; i < 5000; i++)
		chardev_write(dev, (const uint8_t *)"lost", 4);
	chardev_close(dev);
	assert_null(chardev_open(loop, "log", "file:/nowhere/file", &ops, NULL));
}

/*
 * A UNIX socket: do both ends find each other, is a name that is in use left alone, and one that
 * nobody listens on taken?
 */
static void test_socket(void **state)
{
	struct chardev *server, *client;
	char here[64], there[80], longer[160] = "socket:/";
	const char *path = here + 7;

	(void)state;
	snprintf(here, sizeof(here), "socket:/tmp/acrn-chardev.%d", (int)getpid());
	snprintf(there, sizeof(there), "connect:%s", path);
	assert_null(chardev_open(loop, "client", there, &ops, NULL));
	server = chardev_open(loop, "server", here, &ops, NULL);
	assert_non_null(server);
	assert_null(chardev_open(loop, "second", here, &ops, NULL));
	assert_int_equal(access(path, F_OK), 0);
	usleep(20000); /* it looked whether anybody answers, and was a client for a moment */
	client = chardev_open(loop, "client", there, &ops, NULL);
	assert_non_null(client);
	chardev_write(client, (const uint8_t *)"there", 5);
	wait_for(length() == 5);
	chardev_write(server, (const uint8_t *)" and back", 9);
	wait_for(length() == 14);
	assert_string_equal(got.text, "there and back");
	chardev_close(client);
	chardev_close(server);
	assert_int_equal(access(path, F_OK), -1);
	/* left behind by somebody who was killed */
	assert_int_equal(close(fake_listener(path)), 0);
	server = chardev_open(loop, "server", here, &ops, NULL);
	assert_non_null(server);
	chardev_close(server);
	/* not a socket at all: not ours to remove */
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	assert_null(chardev_open(loop, "server", here, &ops, NULL));
	assert_int_equal(unlink(path), 0);
	memset(longer + 8, 'x', sizeof(longer) - 9);
	assert_null(chardev_open(loop, "server", longer, &ops, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stdio_terminal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stdio_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stdio_disk_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stdio_pipes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tcp_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
