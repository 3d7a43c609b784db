// SPDX-License-Identifier: BSD-3-Clause
/*
 * acrnsh: the hypervisor's shell from the Service VM, on a machine without a serial port. Keys are
 * written to a register, what the console says is read from a ring (doc/abi/rings.md). With -c the
 * answer is what comes between the echo of the command and the next prompt. One thread; a signal
 * only sets a flag. One acrnsh at a time: two that type would get each other's answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "rings.h"

#define PROMPT	     "ACRN:\\>"
#define COMMAND_MAX  100U /* the shell's line */
#define KEY_TO_SHELL 0x00 /* Ctrl-Space: from a VM's console */
#define KEY_BREAK    0x03 /* Ctrl-C: drops half a line, ends a long answer */
#define KEY_LEAVE    0x1D /* Ctrl-], for this program */
#define PATIENCE_MS  3000
#define QUIET_MS     1000 /* after the end of the input */
#define LOOK_MS	     10

static const char usage[] =
	"usage: acrnsh [options]\n"
	"  the hypervisor's shell, on a machine without a serial port; Ctrl-] leaves\n"
	"  -c COMMAND  run one command, print its answer, and end\n"
	"  -d FOLDER   the hypervisor's PCI function in sysfs, if it is not to be searched for\n"
	"  -h          this text\n";

static struct {
	const char *command, *device;
} opt;

static struct rings rings;
static struct ring_reader reader;
static int lock_fd; /* held until the end */
static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static long now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
	const struct timespec t = {.tv_nsec = ms * 1000000};

	(void)nanosleep(&t, NULL);
}

static bool has_room(void)
{
	return (rings_reg(&rings, RINGS_REG_KEY) & RINGS_KEY) == 0;
}

static bool type(uint8_t key)
{
	long start = now_ms();

	while (!has_room()) {
		if (stopped || now_ms() - start > PATIENCE_MS) {
			fputs("acrnsh: the hypervisor takes no keys\n", stderr);
			return false;
		}
		pause_ms(1);
	}
	rings_set_reg(&rings, RINGS_REG_KEY, RINGS_KEY | key);
	return true;
}

/* To the shell's prompt, whoever has the console and whatever was typed before. */
static bool type_to_shell(void)
{
	return type(KEY_TO_SHELL) && type(KEY_BREAK);
}

/*
 * The next line of output, as far as it goes, without its end: a prompt has none. False: nothing
 * came for long.
 */
static bool next_line(char *line, size_t size)
{
	long last = now_ms();
	size_t len = 0;
	char c;

	while (!stopped) {
		if (!ring_reader_take(&reader, &c)) {
			if (now_ms() - last > PATIENCE_MS)
				return false;
			pause_ms(1);
			continue;
		}
		last = now_ms();
		if (c != '\r' && c != '\n' && len + 1 < size)
			line[len++] = c;
		line[len] = '\0';
		if (c == '\n' || strcmp(line, PROMPT) == 0)
			return true;
	}
	return false;
}

static bool wait_for_prompt(void)
{
	bool broken = false;
	char line[512];

	while (next_line(line, sizeof(line))) {
		size_t len = strlen(line);

		if (broken && strcmp(line, PROMPT) == 0)
			return true;
		broken = len >= 2 && strcmp(&line[len - 2], "^C") == 0;
	}
	fputs("acrnsh: the hypervisor's shell does not answer\n", stderr);
	return false;
}

static int run_command(void)
{
	char line[512];

	if (!type_to_shell() || !wait_for_prompt())
		return 1;
	for (const char *p = opt.command; *p != '\0'; p++) {
		if (!type((uint8_t)*p))
			return 1;
	}
	if (!type('\r') || !next_line(line, sizeof(line))) /* the echo */
		return 1;
	while (next_line(line, sizeof(line))) {
		if (strcmp(line, PROMPT) == 0) {
			if (reader.lost != 0)
				fprintf(stderr, "acrnsh: %llu characters came too fast\n",
					(unsigned long long)reader.lost);
			return fflush(stdout) == 0 && reader.lost == 0 ? 0 : 1;
		}
		(void)puts(line);
	}
	(void)fflush(stdout);
	fputs("acrnsh: no prompt came back\n", stderr);
	return 1;
}

/* False: nothing came, or nobody takes it. */
static bool show(void)
{
	char text[512];
	size_t len = 0;

	while (len < sizeof(text) && ring_reader_take(&reader, &text[len]))
		len++;
	for (size_t done = 0; done < len;) {
		ssize_t n = write(STDOUT_FILENO, &text[done], len - done);

		if (n < 0 && errno != EINTR && errno != EAGAIN) {
			stopped = 1;
			return false;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	return len != 0;
}

/* False: the input has ended, or the user leaves. */
static bool pass_keys(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	bool room = has_room();
	uint8_t key;
	ssize_t n;

	if (poll(&in, room ? 1 : 0, LOOK_MS) <= 0)
		return true;
	for (n = 1; n == 1 && room; room = has_room()) {
		if (poll(&in, 1, 0) <= 0)
			return true;
		n = read(STDIN_FILENO, &key, 1);
		if (n == 1 && key == KEY_LEAVE) {
			stopped = 1;
			return false;
		}
		if (n == 1)
			rings_set_reg(&rings, RINGS_REG_KEY, RINGS_KEY | key);
	}
	return n == 1 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

static int run_terminal(void)
{
	struct termios before, raw;
	bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	bool typing, started;
	long last;

	if (terminal) {
		fputs("the hypervisor's shell; Ctrl-] leaves\n", stderr);
		raw = before;
		cfmakeraw(&raw);
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	started = type_to_shell();
	typing = started;
	while (typing && !stopped) {
		typing = pass_keys();
		(void)show();
	}
	for (last = now_ms(); !stopped && now_ms() - last < QUIET_MS;) {
		if (show())
			last = now_ms();
		pause_ms(LOOK_MS);
	}
	if (terminal)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	return started ? 0 : 1;
}

static bool is_command(const char *text)
{
	size_t len = strlen(text);

	for (const char *p = text; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~')
			len = 0;
	}
	if (len == 0 || len > COMMAND_MAX)
		fprintf(stderr, "acrnsh: a command is 1 to %u printable characters\n", COMMAND_MAX);
	return len != 0 && len <= COMMAND_MAX;
}

static int parse(int argc, char **argv)
{
	bool ok = true;
	int c;

	while (ok && (c = getopt(argc, argv, "c:d:h")) != -1) {
		switch (c) {
		case 'c':
			opt.command = optarg;
			ok = is_command(optarg);
			break;
		case 'd':
			opt.device = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		default:
			ok = false;
		}
	}
	if (ok && optind < argc) {
		fprintf(stderr, "acrnsh: \"%s\" is not expected here\n", argv[optind]);
		ok = false;
	}
	if (!ok)
		fputs(usage, stderr);
	return ok ? 0 : 2;
}

/* Held until the program ends. */
static bool lock_console(void)
{
	lock_fd = open(rings.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock_fd < 0 || flock(lock_fd, LOCK_EX | LOCK_NB) != 0) {
		fprintf(stderr, "acrnsh: %s: %s\n", rings.folder,
			errno == EWOULDBLOCK ? "another acrnsh has the console" : strerror(errno));
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	const struct sigaction on_signal = {.sa_handler = stop};
	int status = parse(argc, argv);

	if (status != 0)
		return status - 1;
	if (!rings_open(&rings, opt.device) || !rings_open_console(&rings, &reader) ||
	    !lock_console())
		return 1;
	(void)sigaction(SIGINT, &on_signal, NULL);
	(void)sigaction(SIGTERM, &on_signal, NULL);
	(void)sigaction(SIGHUP, &on_signal, NULL);
	return opt.command ? run_command() : run_terminal();
}
