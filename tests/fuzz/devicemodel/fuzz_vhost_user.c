// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/virtio/vhost_user.c devicemodel/virtio/vhost_user_blk.c
// links: devicemodel/virtio/queue.c devicemodel/virtio/chain.c devicemodel/core/mevent.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/virtio/virtio.c
// links: tests/unit/devicemodel/fake_pci.c devicemodel/core/log.c
// links: tests/unit/devicemodel/fake_guest.c tests/unit/devicemodel/driver_ring.c
// options: -max_len=1024
/*
 * Any answers of a back end, and any driver: does nothing break, and is the next back end served?
 * A thread gives each connection all answers and then has no more, so that no time limit is waited
 * for. Input: how many bytes of answers, whether they come after a greeting as it should be, the
 * answers, then the ring's options and steps of ring_steps.h.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gmem.h"
#include "log.h"
#include "mevent.h"
#include "ring_steps.h"
#include "vm.h"

#define PATH	  "/tmp/fuzz_vhost_user.%d"
#define SPACE_LEN 60U

unsigned int gmem_pieces(const struct vm *vm, struct gmem_piece pieces[GMEM_PIECES])
{
	(void)vm;
	pieces[0] = (struct gmem_piece) {0, GUEST_LOW, guest_at(0, 1), 0};
	return 1;
}

static uint8_t answers[1024];
static size_t answers_len;

static void *serve(void *arg)
{
	const int *listener = arg;
	int fd;

	while ((fd = accept(*listener, NULL, NULL)) >= 0) {
		uint8_t bytes[256];

		(void)!send(fd, answers, answers_len, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		while (recv(fd, bytes, sizeof(bytes), 0) > 0)
			;
		close(fd);
	}
	return NULL;
}

static void add_answer(uint32_t request, const void *body, uint32_t size)
{
	const uint32_t header[3] = {request, 5, size};

	memcpy(answers + answers_len, header, sizeof(header));
	memcpy(answers + answers_len + sizeof(header), body, size);
	answers_len += sizeof(header) + size;
}

static void add_greeting(void)
{
	const uint64_t features = 1ULL << 32 | 7U << 28, protocol = 1U << 9;
	const uint32_t config[3 + SPACE_LEN / 4] = {0, SPACE_LEN};

	add_answer(1, &features, sizeof(features));
	add_answer(15, &protocol, sizeof(protocol));
	add_answer(24, config, sizeof(config));
}

static void drive(struct fuzz *in, const char *path)
{
	if (fake_pci_create(&fake, "vhost-user-blk", path) != 0)
		return;
	start(1, (uint8_t)fuzz_take(in, 1), 0);
	while (in->left != 0)
		step(in, 1, 0);
	fake_pci_destroy(&fake);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	struct fuzz in = {data, size};
	size_t len = (size_t)fuzz_take(&in, 2) & 511;
	struct vm vm = {.loop = mevent_loop_create()};
	pthread_t thread;

	log_set_level(0);
	guest_create();
	answers_len = 0;
	if ((fuzz_take(&in, 1) & 1) != 0)
		add_greeting();
	len = len < in.left ? len : in.left;
	memcpy(answers + answers_len, in.data, len);
	answers_len += len;
	in.data += len;
	in.left -= len;

	snprintf(address.sun_path, sizeof(address.sun_path), PATH, getpid());
	unlink(address.sun_path);
	assert(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	assert(listen(listener, 8) == 0);
	assert(pthread_create(&thread, NULL, serve, &listener) == 0);
	memset(&fake, 0, sizeof(fake));
	fake.pci.vm = &vm;
	drive(&in, address.sun_path);
	/* The next one is all right. */
	answers_len = 0;
	add_greeting();
	fake.pci.vm = &vm;
	assert(fake_pci_create(&fake, "vhost-user-blk", address.sun_path) == 0);
	fake_pci_destroy(&fake);

	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
	unlink(address.sun_path);
	mevent_loop_destroy(vm.loop);
	guest_destroy();
	return 0;
}
