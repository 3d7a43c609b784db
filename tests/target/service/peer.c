// SPDX-License-Identifier: BSD-3-Clause
/*
 * One end of shared memory: finds the ivshmem function with a BAR of MB megabytes, and does with
 * the end OTHER (its VM id) what such ends do: each fills its half and reads the other's, then they
 * ring each other ROUNDS times and pass buffers to and fro. With "irq" the function belongs to VFIO
 * and its messages are eventfds; with "poll" its BARs are mapped through sysfs and nobody waits for
 * a message. Prints "peer: ..." lines, "WRONG" in one that should not be. Linked statically; runs as
 * root in the Service VM and in User VMs.
 *
 *   peer MB OTHER ROUNDS irq|poll|/dev/shm/NAME
 *
 * The last is a program of the Service VM at memory that acrn-dm provides: it is VM 0, and no function.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/vfio.h>

#define VECTORS	    8U
#define REG_ID	    2 /* in words */
#define REG_BELL    3
#define BUFFER	    (256U << 10)
#define BUFFERS	    16U
#define PATIENCE_MS 60000
#define BOOTS	    5 /* as long is the other end waited for, whose VM may not have started */
#define PCI	    "/sys/bus/pci/devices"

/* At the start of the memory, by VM id. */
struct slot {
	volatile uint32_t ready, written, rings;
	uint32_t pad[13];
};

static volatile uint32_t *regs;
static uint8_t *memory;
static uint32_t me, other;
static int event[VECTORS] = {-1};
static int bells; /* that this end has heard */

static void fail(const char *what)
{
	printf("peer %u: WRONG: %s\n", me, what);
	perror("peer");
	exit(1);
}

static struct slot *slot(uint32_t id)
{
	return (struct slot *)memory + id;
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path);
	close(fd);
}

static uint64_t resource_size(const char *name, unsigned int bar)
{
	unsigned long long first = 0, last = 0;
	char path[320], line[128] = "";
	FILE *f;

	snprintf(path, sizeof(path), PCI "/%s/resource", name);
	f = fopen(path, "r");
	for (unsigned int i = 0; f && i <= bar; i++) {
		if (!fgets(line, sizeof(line), f))
			break;
	}
	if (f)
		fclose(f);
	sscanf(line, "%llx %llx", &first, &last);
	return first ? last - first + 1 : 0;
}

static void find(uint64_t size, char *out, size_t len)
{
	DIR *dir = opendir(PCI);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		char path[320], id[16] = "";
		int fd;

		snprintf(path, sizeof(path), PCI "/%s/device", d->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		if (read(fd, id, sizeof(id) - 1) > 0 && strncmp(id, "0x1110", 6) == 0 &&
		    resource_size(d->d_name, 2) == size) {
			snprintf(out, len, "%s", d->d_name);
			return;
		}
		close(fd);
	}
	fail("no such function");
}

static void *map_file(const char *name, unsigned int bar, uint64_t size)
{
	char path[320];
	void *p;
	int fd;

	snprintf(path, sizeof(path), PCI "/%s/resource%u", name, bar);
	fd = open(path, O_RDWR | O_SYNC);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || p == MAP_FAILED)
		fail(path);
	return p;
}

static void open_sysfs(const char *name, uint64_t size)
{
	char path[320];

	snprintf(path, sizeof(path), PCI "/%s/enable", name);
	write_text(path, "1");
	regs = map_file(name, 0, 4096);
	memory = map_file(name, 2, size);
}

static void *map_vfio(int device, unsigned int bar, uint64_t size)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = bar};
	void *p = MAP_FAILED;

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0)
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset);
	if (p == MAP_FAILED)
		fail("map a BAR");
	return p;
}

static void open_vfio(const char *name, uint64_t size)
{
	char path[320], link[256] = "";
	int container = open("/dev/vfio/vfio", O_RDWR), group, device;
	struct {
		struct vfio_irq_set set;
		int fd[VECTORS];
	} irqs = {.set = {.argsz = sizeof(irqs),
			  .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			  .index = VFIO_PCI_MSIX_IRQ_INDEX,
			  .count = VECTORS}};

	write_text("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
	snprintf(path, sizeof(path), PCI "/%s/driver_override", name);
	write_text(path, "vfio-pci");
	write_text("/sys/bus/pci/drivers_probe", name);
	snprintf(path, sizeof(path), PCI "/%s/iommu_group", name);
	if (readlink(path, link, sizeof(link) - 1) < 0)
		fail(path);
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%.8s", strrchr(link, '/') + 1);
	group = open(path, O_RDWR);
	if (container < 0 || group < 0)
		fail(path);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU))
		fail("use VFIO without an IOMMU");
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name);
	if (device < 0)
		fail("open the device");
	regs = map_vfio(device, 0, 4096);
	memory = map_vfio(device, 2, size);
	for (unsigned int i = 0; i < VECTORS; i++)
		irqs.fd[i] = event[i] = eventfd(0, EFD_NONBLOCK);
	if (ioctl(device, VFIO_DEVICE_SET_IRQS, &irqs))
		fail("switch MSI-X on");
}

/* Every bell is counted in the memory as well, so that one that was lost is seen. */
static void ring(uint32_t vector)
{
	__atomic_add_fetch(&slot(other)->rings, 1, __ATOMIC_SEQ_CST);
	regs[REG_BELL] = other << 16 | vector;
}

static void hear_message(uint32_t vector)
{
	struct pollfd p = {.fd = event[vector], .events = POLLIN};
	uint64_t count = 0;

	if (poll(&p, 1, PATIENCE_MS) != 1 || read(event[vector], &count, sizeof(count)) < 0)
		fail("no message");
	if (count != 1)
		fail("more than one message");
}

static void hear(uint32_t vector)
{
	bells++;
	if (event[0] >= 0)
		hear_message(vector);
	for (int i = 0; slot(me)->rings < (uint32_t)bells; i++) {
		if (i == PATIENCE_MS)
			fail("the other end is silent");
		usleep(1000);
	}
	if (slot(me)->rings != (uint32_t)bells)
		fail("number of bells");
}

static uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static void await(volatile uint32_t *flag, int patience)
{
	for (int i = 0; !*flag; i++) {
		if (i == patience)
			fail("the other end does not come");
		usleep(1000);
	}
}

/* Halves behind the first 64 KB: the lower id has the first. */
static void halves(uint64_t size)
{
	uint64_t half = (size - 65536U) / 2U / 8U, wrong = 0;
	uint64_t *first = (uint64_t *)(memory + 65536U), *second = first + half;
	uint64_t *mine = me < other ? first : second, *theirs = me < other ? second : first;

	for (uint64_t i = 0; i < half; i++)
		mine[i] = (uint64_t)me << 56 | i * 0x9E3779B9U;
	slot(me)->written = 1;
	ring(0);
	await(&slot(other)->written, PATIENCE_MS);
	hear(0);
	for (uint64_t i = 0; i < half; i++)
		wrong += theirs[i] != ((uint64_t)other << 56 | i * 0x9E3779B9U);
	if (wrong)
		fail("the other half");
	printf("peer %u: %llu bytes from %u are right\n", me, (unsigned long long)half * 8U, other);
}

static void bells_both_ways(unsigned int rounds)
{
	uint64_t start = ticks();

	for (unsigned int i = 0; i < rounds; i++) {
		if (me < other)
			ring(1 + i % 7U);
		hear(1 + i % 7U);
		if (me > other)
			ring(1 + i % 7U);
	}
	printf("peer %u: %u bells to and fro, %llu ticks each\n", me, rounds,
	       (unsigned long long)(ticks() - start) / (rounds ? rounds : 1U));
}

/* Through the memory and out of it again: what a program that has its data elsewhere pays. */
static void buffers(void)
{
	static uint8_t own[BUFFER];
	uint64_t start = ticks();

	for (unsigned int i = 0; i < BUFFERS; i++) {
		if (me < other) {
			memset(own, (int)i, sizeof(own));
			memcpy(memory + 65536U, own, sizeof(own));
			ring(0);
			hear(0);
		} else {
			hear(0);
			memcpy(own, memory + 65536U, sizeof(own));
			if (own[0] != i || own[BUFFER - 1U] != i)
				fail("a buffer");
			ring(0);
		}
	}
	printf("peer %u: %u bytes through the memory, %llu ticks\n", me, BUFFERS * BUFFER,
	       (unsigned long long)(ticks() - start));
}

/* Who is not there, and vectors that do not exist: nothing happens, here least of all. */
static void wrong_numbers(void)
{
	static const uint32_t bad[] = {63U << 16, 0xFFFFU << 16, 0x40U << 16, UINT32_MAX};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		regs[REG_BELL] = bad[i];
	for (uint32_t vector = VECTORS; vector < 0x10000U; vector = vector * 3U + 1U)
		regs[REG_BELL] = other << 16 | vector;
}

static void open_file(const char *path, uint64_t size)
{
	static uint32_t nobody[1024]; /* id 0, and a bell that nobody hears */
	int fd = -1;

	for (int i = 0; fd < 0 && i < PATIENCE_MS; i++) {
		usleep(1000);
		fd = open(path, O_RDWR);
	}
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		fail(path);
	regs = nobody;
}

int main(int argc, char **argv)
{
	uint64_t size;
	char name[256];

	if (argc != 5)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	size = strtoull(argv[1], NULL, 10) << 20;
	other = (uint32_t)strtoul(argv[2], NULL, 10);
	if (argv[4][0] != '/')
		find(size, name, sizeof(name));
	if (strcmp(argv[4], "irq") == 0)
		open_vfio(name, size);
	else if (argv[4][0] == '/')
		open_file(strcpy(name, argv[4]), size);
	else
		open_sysfs(name, size);
	me = regs[REG_ID];
	printf("peer %u: %s, %llu MB shared with %u\n", me, name, (unsigned long long)size >> 20,
	       other);
	wrong_numbers();
	slot(me)->ready = 1;
	await(&slot(other)->ready, BOOTS * PATIENCE_MS);
	halves(size);
	bells_both_ways((unsigned int)strtoul(argv[3], NULL, 10));
	buffers();
	memset(slot(me), 0, sizeof(struct slot)); /* for whoever comes next */
	printf("peer %u: done\n", me);
	return 0;
}
