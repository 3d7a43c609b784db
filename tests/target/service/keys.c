// SPDX-License-Identifier: BSD-3-Clause
/*
 * Makes a keyboard with a lamp out of nothing (uinput) and prints its path. Each line on standard
 * input presses its key and lets it go; what becomes of the lamp is printed.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/uinput.h>

static void emit(int fd, unsigned short type, unsigned short code, int value)
{
	const struct input_event e = {.type = type, .code = code, .value = value};

	if (write(fd, &e, sizeof(e)) != sizeof(e))
		exit(1);
}

int main(void)
{
	const struct uinput_setup setup = {.id = {.bustype = BUS_USB, .vendor = 0x1234, .product = 0x5678},
					   .name = "test keys"};
	int fd = open("/dev/uinput", O_RDWR);
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	struct input_event e;
	char name[64], line[64];

	if (ioctl(fd, UI_SET_EVBIT, EV_KEY) || ioctl(fd, UI_SET_KEYBIT, KEY_A) ||
	    ioctl(fd, UI_SET_EVBIT, EV_LED) || ioctl(fd, UI_SET_LEDBIT, LED_CAPSL) ||
	    ioctl(fd, UI_DEV_SETUP, &setup) || ioctl(fd, UI_DEV_CREATE) ||
	    ioctl(fd, UI_GET_SYSNAME(sizeof(name)), name) < 0)
		return 1;
	printf("%s\n", name);
	fflush(stdout);
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents && read(fd, &e, sizeof(e)) == sizeof(e) && e.type == EV_LED) {
			printf("lamp %d is %d\n", e.code, e.value);
			fflush(stdout);
		}
		if (!fds[1].revents)
			continue;
		if (read(0, line, sizeof(line)) <= 0)
			break;
		emit(fd, EV_KEY, KEY_A, 1);
		emit(fd, EV_SYN, SYN_REPORT, 0);
		emit(fd, EV_KEY, KEY_A, 0);
		emit(fd, EV_SYN, SYN_REPORT, 0);
	}
	return 0;
}
