// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reads the hypervisor's rings from a program: finds its PCI function by sysfs, maps the registers
 * and the rings, follows a ring. For acrnlog, acrntrace and acrnsh. One thread. What is read twice is
 * `written` of a ring, by which a reader sees that an entry was written over while it was copied.
 */
#include "rings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"
#define PATH	RINGS_PATH

static bool read_hex(const char *folder, const char *file, unsigned long *value)
{
	char path[PATH], text[32];
	FILE *f;
	bool ok;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, file);
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fgets(text, sizeof(text), f) != NULL;
	(void)fclose(f);
	*value = ok ? strtoul(text, NULL, 16) : 0UL;
	return ok;
}

static bool is_ours(const char *folder)
{
	unsigned long vendor, device;

	return read_hex(folder, "vendor", &vendor) && read_hex(folder, "device", &device) &&
	       vendor == RINGS_VENDOR && device == RINGS_DEVICE;
}

static bool search(char folder[PATH])
{
	DIR *dir = opendir(DEVICES);
	const struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)) != NULL) {
		(void)snprintf(folder, PATH, DEVICES "/%s", entry->d_name);
		found = is_ours(folder);
	}
	if (dir)
		(void)closedir(dir);
	if (!found)
		fprintf(stderr, "no log and trace of a hypervisor here: PCI function %04x:%04x is "
				"missing (is this the Service VM, the hypervisor a debug build?)\n",
			RINGS_VENDOR, RINGS_DEVICE);
	return found;
}

/* No driver enables the function, so that nothing is decoded until somebody asks for it. */
static void enable(const char *folder)
{
	char path[PATH + 8];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/enable", folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	(void)close(fd);
}

static void *map(const char *folder, uint32_t bar, int protection, size_t *size)
{
	char path[PATH + 16];
	struct stat st;
	void *at = MAP_FAILED;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/resource%u", folder, bar);
	fd = open(path, ((protection & PROT_WRITE) != 0 ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		*size = (size_t)st.st_size;
		at = mmap(NULL, *size, protection, MAP_SHARED, fd, 0);
	}
	if (at == MAP_FAILED)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return at == MAP_FAILED ? NULL : at;
}

bool rings_open(struct rings *r, const char *folder)
{
	size_t size = 0;

	if (!folder) {
		if (!search(r->folder))
			return false;
		folder = r->folder;
	} else {
		(void)snprintf(r->folder, sizeof(r->folder), "%s", folder);
	}
	enable(folder);
	r->regs = map(folder, RINGS_BAR_REGS, PROT_READ | PROT_WRITE, &size);
	if (!r->regs)
		return false;
	if (size < 4096 || rings_reg(r, RINGS_REG_MAGIC) != RINGS_MAGIC ||
	    rings_reg(r, RINGS_REG_VERSION) != RINGS_VERSION) {
		fprintf(stderr, "%s: not the registers of this program's hypervisor (version %u "
				"is wanted)\n", folder, RINGS_VERSION);
		return false;
	}
	r->memory = map(folder, RINGS_BAR_MEMORY, PROT_READ, &r->size);
	r->cpus = rings_reg(r, RINGS_REG_CPUS);
	r->stride = rings_reg(r, RINGS_REG_STRIDE);
	return r->memory != NULL;
}

uint32_t rings_reg(const struct rings *r, uint32_t reg)
{
	return r->regs[reg / sizeof(uint32_t)];
}

void rings_set_reg(const struct rings *r, uint32_t reg, uint32_t value)
{
	r->regs[reg / sizeof(uint32_t)] = value;
}

static uint64_t written(const struct ring_reader *reader)
{
	return __atomic_load_n(&reader->header->written, __ATOMIC_ACQUIRE);
}

/* The ring at `at` of `size` bytes of memory. */
static bool reader_open(struct ring_reader *reader, const uint8_t *memory, uint64_t size,
			uint64_t at, uint32_t ele_size)
{
	const volatile struct sbuf_header *h;
	uint64_t bytes;

	if (at % sizeof(uint64_t) != 0 || at + sizeof(*h) > size)
		return false;
	h = (const volatile void *)&memory[at];
	reader->header = h;
	reader->ele_num = h->ele_num;
	reader->ele_size = h->ele_size;
	bytes = (uint64_t)reader->ele_num * ele_size;
	if (h->magic != SBUF_MAGIC || reader->ele_size != ele_size || reader->ele_num < 2 ||
	    at + sizeof(*h) + bytes > size)
		return false;
	reader->next = 0;
	reader->lost = 0;
	if (written(reader) >= reader->ele_num)
		reader->next = written(reader) - reader->ele_num + 1;
	return true;
}

bool ring_reader_init(struct ring_reader *reader, const struct rings *r, uint32_t cpu,
		      uint32_t place, uint32_t ele_size)
{
	if (reader_open(reader, r->memory, r->size,
			(uint64_t)cpu * r->stride + rings_reg(r, place), ele_size))
		return true;
	fprintf(stderr, "CPU %u: there is no ring where the hypervisor says that one is\n", cpu);
	return false;
}

bool rings_open_console(const struct rings *r, struct ring_reader *reader)
{
	char path[PATH + 16];
	const uint8_t *memory;
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "%s/resource%u", r->folder, RINGS_BAR_CONSOLE);
	if (access(path, F_OK) != 0) {
		fputs("the hypervisor's console is the serial port: its shell is there\n", stderr);
		return false;
	}
	memory = map(r->folder, RINGS_BAR_CONSOLE, PROT_READ, &size);
	if (!memory)
		return false;
	if (!reader_open(reader, memory, size, 0, 1)) {
		fprintf(stderr, "%s: this is no ring of a console\n", path);
		return false;
	}
	ring_reader_skip(reader);
	return true;
}

void ring_reader_skip(struct ring_reader *reader)
{
	reader->next = written(reader);
}

/* Entry n is safe until the writer begins with entry n + ele_num. */
bool ring_reader_take(struct ring_reader *reader, void *entry)
{
	const uint8_t *data = (const uint8_t *)(uintptr_t)(reader->header + 1);

	for (;;) {
		uint64_t end = written(reader);

		if (end - reader->next >= reader->ele_num) {
			uint64_t oldest = end - reader->ele_num + 1;

			reader->lost += oldest - reader->next;
			reader->next = oldest;
		}
		if (reader->next == end)
			return false;
		memcpy(entry, &data[reader->next % reader->ele_num * reader->ele_size],
		       reader->ele_size);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (written(reader) - reader->next < reader->ele_num) {
			reader->next++;
			return true;
		}
	}
}

bool parse_number(const char *what, const char *text, unsigned long min, unsigned long max,
		  unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || *value < min ||
	    *value > max) {
		fprintf(stderr, "%s: \"%s\" is no number from %lu to %lu\n", what, text, min, max);
		return false;
	}
	return true;
}
