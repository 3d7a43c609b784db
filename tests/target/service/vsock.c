// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sockets between VMs: "vsock serve PORT" sends back to one peer what it sends; "vsock send CID
 * PORT" sends its input there and prints what comes back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

static void die(const char *what)
{
	fprintf(stderr, "vsock: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void copy(int from, int to)
{
	static char bytes[65536];
	ssize_t n;

	while ((n = read(from, bytes, sizeof(bytes))) > 0)
		for (ssize_t done = 0, put; done < n; done += put)
			if ((put = write(to, bytes + done, (size_t)(n - done))) < 0)
				die("write");
	if (n < 0)
		die("read");
}

int main(int argc, char **argv)
{
	struct sockaddr_vm at = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0), peer;

	if (fd < 0)
		die("socket");
	if (argc == 3 && strcmp(argv[1], "serve") == 0) {
		at.svm_port = (unsigned int)atoi(argv[2]);
		if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 1) < 0)
			die("bind");
		peer = accept(fd, NULL, NULL);
		if (peer < 0)
			die("accept");
		copy(peer, peer);
	} else if (argc == 4 && strcmp(argv[1], "send") == 0) {
		at.svm_cid = (unsigned int)atoi(argv[2]);
		at.svm_port = (unsigned int)atoi(argv[3]);
		if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
			die("connect");
		/* The other side cannot take all before it has given some back. */
		if (fork() == 0) {
			copy(0, fd);
			shutdown(fd, SHUT_WR);
			return 0;
		}
		copy(fd, 1);
	}
	return 0;
}
