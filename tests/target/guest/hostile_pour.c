// SPDX-License-Identifier: BSD-3-Clause
/*
 * See pour.h. Half of what it does is right, so that devices get deep enough to be hurt. Addresses
 * that devices may write to are the arena's or nobody's: the guest means harm to others only.
 * Called by one thread; the state is in the devices and in the arena.
 */
#include "pour.h"

#include <stddef.h>

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

#define PCI_COMMAND  0x04U
#define PCI_BAR(i)   (0x10U + 4U * (i))
#define PCI_CAP_LIST 0x34U
#define CAP_MSIX     0x11U
#define MSIX_FLAGS   2U
#define COMMAND_ON   7U

#define BAR_MSIX   1U
#define BAR_NOTIFY 2U
#define BAR_MODERN 4U

/* Common configuration of virtio over PCI. */
#define DRIVER_FEATURE_SELECT 0x08U
#define DRIVER_FEATURE	      0x0cU
#define STATUS		      0x14U
#define QUEUE_SELECT	      0x16U
#define QUEUE_SIZE	      0x18U
#define QUEUE_VECTOR	      0x1aU
#define QUEUE_ENABLE	      0x1cU
#define QUEUE_DESC	      0x20U
#define QUEUE_AVAIL	      0x28U
#define QUEUE_USED	      0x30U

#define DESC_NEXT     1U
#define DESC_WRITE    2U
#define DESC_INDIRECT 4U

#define BLK 0U
#define NET 1U
#define RND 2U
#define CON 3U

static const struct device {
	const char *name;
	uint32_t slot, queues;
} devices[] = {{"virtio-blk", 3U, 1U},
	       {"virtio-net", 4U, 3U},
	       {"virtio-rnd", 5U, 1U},
	       {"virtio-console", 6U, 4U}};

/* Memory that acrn-dm shares: registers in BAR 0, 2 MB in BAR 2. */
#define SHM_SLOT   7U
#define SHM_ID	   0x11101af4U
#define SHM_REGS   0xc0080000UL
#define SHM_MEMORY 0xd0000000UL

/* A device's part of the arena: rings, indirect tables, buffers. */
#define PART	    0x40000UL
#define RING(q)	    ((q)*0x3000UL)
#define RINGS	    4U
#define TABLES	    0xc000UL
#define BUFFERS	    0x10000UL
#define BUFFER_SIZE 0x20000UL
#define SIZE	    8U /* of an honest ring */

static uint16_t made[COUNT(devices)][RINGS];

static uint32_t below(uint32_t limit)
{
	return (uint32_t)pour_random() % limit;
}

static uint64_t part(uint32_t d)
{
	return POUR_ARENA + d * PART;
}

static uint64_t home(uint32_t d, uint32_t bar)
{
	return bar == BAR_NOTIFY ? 0x6000UL + d * 0x100UL
				 : 0xc0000000UL + d * 0x10000UL + bar * 0x1000UL;
}

static void put16(uint64_t gpa, uint16_t value)
{
	*(volatile uint16_t *)pour_ram(gpa) = value;
}

static uint16_t get16(uint64_t gpa)
{
	return *(volatile uint16_t *)pour_ram(gpa);
}

static void put_desc(uint64_t gpa, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	*(volatile uint64_t *)pour_ram(gpa) = addr;
	*(volatile uint64_t *)pour_ram(gpa + 8U) =
		(uint64_t)next << 48 | (uint64_t)flags << 32 | len;
}

/* --- restoring --- */

static uint32_t find_msix(uint32_t slot)
{
	uint32_t at = pour_cfg_read(slot, PCI_CAP_LIST, 1U);

	for (uint32_t n = 0U; at != 0U && n < 16U; n++) {
		if (pour_cfg_read(slot, at, 1U) == CAP_MSIX)
			return at;
		at = pour_cfg_read(slot, at + 1U, 1U);
	}
	return 0U;
}

void pour_restore(void)
{
	static const uint32_t bars[] = {BAR_MSIX, BAR_NOTIFY, BAR_MODERN};

	/* All off before any moves: one may sit where another belongs. */
	for (uint32_t d = 0U; d < COUNT(devices); d++)
		pour_cfg_write(devices[d].slot, PCI_COMMAND, 2U, 0U);
	pour_cfg_write(SHM_SLOT, PCI_COMMAND, 2U, 0U);
	pour_cfg_write(SHM_SLOT, PCI_BAR(0U), 4U, (uint32_t)SHM_REGS);
	pour_cfg_write(SHM_SLOT, PCI_BAR(2U), 4U, (uint32_t)SHM_MEMORY);
	pour_cfg_write(SHM_SLOT, PCI_BAR(3U), 4U, 0U);
	pour_cfg_write(SHM_SLOT, PCI_COMMAND, 2U, COMMAND_ON);
	for (uint32_t d = 0U; d < COUNT(devices); d++) {
		for (uint32_t b = 0U; b < COUNT(bars); b++)
			pour_cfg_write(devices[d].slot, PCI_BAR(bars[b]), 4U,
				       (uint32_t)home(d, bars[b]));
		pour_cfg_write(devices[d].slot, PCI_COMMAND, 2U, COMMAND_ON);
	}
	for (uint32_t d = 0U; d < COUNT(devices); d++)
		pour_cfg_write(devices[d].slot, find_msix(devices[d].slot) + MSIX_FLAGS, 2U, 0U);
	pour_out(0x70U, 1U, 0x0bU); /* RTC: running, 24 hours, no interrupts */
	pour_out(0x71U, 1U, 0x02U);
	pour_out(0x43U, 1U, 0x34U); /* PIT: channel 0 in mode 2 */
	pour_out(0x40U, 1U, 0xffU);
	pour_out(0x40U, 1U, 0xffU);
	pour_out(0x2fbU, 1U, 0U); /* com2: no divisor latch, no loopback, no interrupts */
	pour_out(0x2fcU, 1U, 0U);
	pour_out(0x2f9U, 1U, 0U);
}

/* --- a driver --- */

static void set(uint32_t d, uint32_t reg, uint32_t size, uint64_t value)
{
	pour_store(home(d, BAR_MODERN) + reg, size, value);
}

static void aim_queue(uint32_t d, uint32_t q, uint32_t size)
{
	uint64_t at = part(d) + RING(q);

	set(d, QUEUE_SELECT, 2U, q);
	set(d, QUEUE_SIZE, 2U, size);
	set(d, QUEUE_DESC, 8U, at);
	set(d, QUEUE_AVAIL, 8U, at + 0x1000U);
	set(d, QUEUE_USED, 8U, at + 0x2000U);
	put16(at + 0x1000U, 0U);
	put16(at + 0x1002U, 0U);
	put16(at + 0x2002U, 0U);
	made[d][q] = 0U;
}

/* From reset to DRIVER_OK. */
static void start(uint32_t d, uint32_t features, uint32_t size)
{
	set(d, STATUS, 1U, 0U);
	set(d, STATUS, 1U, 3U);
	set(d, DRIVER_FEATURE_SELECT, 4U, 0U);
	set(d, DRIVER_FEATURE, 4U, features);
	set(d, DRIVER_FEATURE_SELECT, 4U, 1U);
	set(d, DRIVER_FEATURE, 4U, 1U);
	set(d, STATUS, 1U, 11U);
	for (uint32_t q = 0U; q < devices[d].queues; q++) {
		aim_queue(d, q, size);
		set(d, QUEUE_VECTOR, 2U, q + 1U);
		set(d, QUEUE_ENABLE, 2U, 1U);
	}
	set(d, STATUS, 1U, 15U);
}

static void offer(uint32_t d, uint32_t q, uint16_t head, uint32_t size)
{
	uint64_t avail = part(d) + RING(q) + 0x1000U;

	put16(avail + 4U + 2U * (made[d][q] & (size - 1U)), head);
	__asm__ volatile("" : : : "memory");
	put16(avail + 2U, ++made[d][q]);
}

static void ring_bell(uint32_t d, uint32_t q)
{
	pour_out((uint16_t)(home(d, BAR_NOTIFY) + 4U * q), 2U, q);
}

/* Offers the chain at descriptor 0 and waits for it; false if it does not come back. */
static bool serve(uint32_t d, uint32_t q)
{
	offer(d, q, 0U, SIZE);
	ring_bell(d, q);
	for (uint32_t i = 0U; i < 100000U; i++) {
		if (get16(part(d) + RING(q) + 0x2002U) == made[d][q])
			return true;
		pour_pause();
	}
	return false;
}

static bool blk_works(uint32_t type)
{
	uint64_t ring = part(BLK), buffer = ring + BUFFERS;
	volatile uint64_t *data = pour_ram(buffer + 0x1000U);
	volatile uint8_t *status = pour_ram(buffer + 0x800U);

	*(volatile uint64_t *)pour_ram(buffer) = type;
	*(volatile uint64_t *)pour_ram(buffer + 8U) = 1U; /* sector */
	for (uint32_t i = 0U; i < 64U; i++)
		data[i] = type != 0U ? i * 0x0123456789abcdefUL : 0U;
	*status = 0xeeU;
	put_desc(ring, buffer, 16U, DESC_NEXT, 1U);
	put_desc(ring + 16U, buffer + 0x1000U, 512U, DESC_NEXT | (type != 0U ? 0U : DESC_WRITE),
		 2U);
	put_desc(ring + 32U, buffer + 0x800U, 1U, DESC_WRITE, 0U);
	if (!serve(BLK, 0U) || *status != 0U)
		return false;
	for (uint32_t i = 0U; i < 64U; i++) {
		if (data[i] != i * 0x0123456789abcdefUL)
			return false;
	}
	return true;
}

static bool net_works(void)
{
	put_desc(part(NET) + RING(1U), part(NET) + BUFFERS, 12U + 60U, 0U, 0U);
	for (uint32_t i = 0U; i < 9U; i++)
		((volatile uint64_t *)pour_ram(part(NET) + BUFFERS))[i] = 0U;
	return serve(NET, 1U);
}

static bool rnd_works(void)
{
	volatile uint64_t *data = pour_ram(part(RND) + BUFFERS);

	data[0] = data[1] = 0U;
	put_desc(part(RND), part(RND) + BUFFERS, 16U, DESC_WRITE, 0U);
	return serve(RND, 0U) && (data[0] | data[1]) != 0U;
}

/* What a console sends comes back, whether somebody reads it or not. */
static bool console_works(void)
{
	put_desc(part(CON) + RING(1U), part(CON) + BUFFERS, 16U, 0U, 0U);
	return serve(CON, 1U);
}

static bool memory_works(void)
{
	return pour_cfg_read(SHM_SLOT, 0U, 4U) == SHM_ID &&
	       pour_load(SHM_REGS + 8U, 4U) != UINT32_MAX;
}

static uint32_t pit_count(void)
{
	uint32_t low = pour_in(0x40U, 1U);

	return low | pour_in(0x40U, 1U) << 8;
}

static bool clocks_work(void)
{
	uint32_t first;

	pour_out(0x70U, 1U, 0x0dU);
	if (pour_in(0x71U, 1U) != 0x80U)
		return false;
	pour_out(0x70U, 1U, 0x40U);
	pour_out(0x71U, 1U, 0xa5U);
	if (pour_in(0x71U, 1U) != 0xa5U)
		return false;
	for (uint32_t i = 0U; i < 1000U; i++) {
		first = pit_count();
		pour_pause();
		if (first != pit_count())
			return true;
	}
	return false;
}

static bool uart_works(void)
{
	pour_out(0x2ffU, 1U, 0x5aU);
	return pour_in(0x2ffU, 1U) == 0x5aU && (pour_in(0x2fdU, 1U) & 0x60U) == 0x60U;
}

const char *pour_broken(void)
{
	for (uint32_t d = 0U; d < COUNT(devices); d++) {
		if (pour_cfg_read(devices[d].slot, 0U, 2U) != 0x1af4U)
			return devices[d].name;
		start(d, 0U, SIZE);
		if (pour_load(home(d, BAR_MODERN) + STATUS, 1U) != 15U)
			return devices[d].name;
	}
	if (!blk_works(1U) || !blk_works(0U))
		return devices[BLK].name;
	if (!net_works())
		return devices[NET].name;
	if (!rnd_works())
		return devices[RND].name;
	if (!console_works())
		return devices[CON].name;
	if (!memory_works())
		return "ivshmem";
	if (!clocks_work())
		return "clocks";
	return uart_works() ? NULL : "com2";
}

/* --- harm --- */

static uint64_t number(void)
{
	static const uint64_t odd[] = {
		0U,	    1U,		 2U,	      0x7fU,	    0xffU,	0xffffU,
		0x10000U,   0x80000000U, 0xffffffffU, 0x100000000U, UINT64_MAX, 0xfee00000U,
		POUR_ARENA, 0xc0000000U, 0xe0000000U, 0x3f8U,
	};
	uint32_t kind = below(4U);

	return kind == 0U ? odd[below(COUNT(odd))] : kind == 1U ? below(256U) : pour_random();
}

static void harm_port(void)
{
	static const uint16_t places[] = {0x00U,  0x20U,   0x40U,   0x60U,   0x70U,  0x80U,
					  0xa0U,  0xb0U,   0x2e8U,  0x2f8U,  0x3e8U, 0x400U,
					  0xcf8U, 0x6000U, 0x6100U, 0x6200U, 0xfff0U};
	uint32_t where = below(COUNT(places) + 4U);
	/* CMOS more often than others: it has two ports for 128 registers. */
	uint16_t port = (uint16_t)(where < COUNT(places)    ? places[where] + below(16U)
				   : where == COUNT(places) ? below(0x10000U)
							    : 0x70U + below(2U));
	uint32_t size = 1U << below(3U);

	if (below(3U) != 0U)
		pour_out(port, size, (uint32_t)number());
	else
		(void)pour_in(port, size);
}

static void harm_config(void)
{
	uint32_t d = below(COUNT(devices) + 1U);
	uint32_t slot = d < COUNT(devices) ? devices[d].slot : SHM_SLOT;
	uint32_t size = 1U << below(3U);
	uint32_t reg = (below(8U) == 0U ? below(0x1000U) : below(0xc0U)) & ~(size - 1U);

	slot = below(4U) == 0U ? below(32U) : slot;
	if (below(3U) != 0U)
		pour_cfg_write(slot, reg, size, (uint32_t)number());
	else
		(void)pour_cfg_read(slot, reg, size);
}

/* Where a memory BAR is now; false if RAM or an APIC would take the access. */
static bool aim_bar(uint32_t slot, uint32_t bar, uint64_t *gpa)
{
	*gpa = pour_cfg_read(slot, PCI_BAR(bar), 4U) & ~0xfU;
	return *gpa >= POUR_RAM_END && (*gpa < 0xfec00000UL || *gpa >= 0xfef00000UL) &&
	       *gpa < 0xffff0000UL;
}

static void harm_memory(void)
{
	uint32_t size = 1U << below(4U), offset = below(0x20U);
	uint64_t gpa;

	if (!aim_bar(SHM_SLOT, 0U, &gpa))
		return;
	if (below(4U) != 0U)
		pour_store(gpa + offset, size, number());
	else
		(void)pour_load(gpa + offset, size);
}

static void harm_bar(void)
{
	uint32_t d = below(COUNT(devices)), bar = below(4U) == 0U ? BAR_MSIX : BAR_MODERN;
	uint32_t size = 1U << below(4U);
	uint64_t offset = bar == BAR_MSIX ? below(0x60U) : below(4U) * 0x1000U + below(0x40U);
	uint64_t value = number(), gpa;

	if (!aim_bar(devices[d].slot, bar, &gpa))
		return;
	if (below(4U) != 0U)
		offset &= ~(uint64_t)(size - 1U);
	/* A message that stops the CPU (NMI, INIT, SMI) would be the guest's own end. */
	for (uint32_t i = 0U; bar == BAR_MSIX && i < size; i++) {
		if (((offset + i) & 15U) == 9U)
			value &= ~(7UL << (8U * i));
	}
	if (below(4U) != 0U)
		pour_store(gpa + offset, size, value);
	else
		(void)pour_load(gpa + offset, size);
}

/* An address for a descriptor: the arena, or one that is not memory. */
static uint64_t address(uint32_t d)
{
	static const uint64_t nowhere[] = {POUR_RAM_END - 8U, POUR_RAM_END, 0x80000000UL,
					   0xfee00000UL,      0xfffffff8UL, 0x100000000UL,
					   UINT64_MAX - 7U,   1UL << 63};
	uint32_t kind = below(16U);

	if (kind == 0U)
		return nowhere[below(COUNT(nowhere))];
	if (kind == 1U)
		return part(d) + below((uint32_t)BUFFERS); /* the rings themselves */
	return part(d) + BUFFERS + below((uint32_t)BUFFER_SIZE);
}

static void harm_desc(uint32_t d)
{
	static const uint32_t lengths[] = {0U, 1U, 16U, 512U, 4096U, 0x80000000U, UINT32_MAX};
	uint32_t i = below(4U) == 0U ? below(64U) : below(SIZE);
	uint32_t len = below(2U) != 0U ? below(0x3000U) : lengths[below(COUNT(lengths))];
	uint16_t flags = (uint16_t)(below(8U) == 0U ? pour_random() : below(4U));
	uint64_t at =
		part(d) + (below(4U) == 0U ? TABLES : RING(below(devices[d].queues))) + i * 16U;

	if (below(8U) == 0U)
		put_desc(at, part(d) + TABLES, len & ~15U, DESC_INDIRECT, 0U);
	else
		put_desc(at, address(d), len, flags, (uint16_t)below(SIZE + 2U));
}

/* A request that is almost right: header, buffer, status. */
static void harm_request(uint32_t d)
{
	uint64_t ring = part(d), buffer = ring + BUFFERS + below(64U) * 0x400U;
	uint32_t write = below(2U);

	*(volatile uint64_t *)pour_ram(buffer) = below(16U) == 0U ? number() : below(12U);
	*(volatile uint64_t *)pour_ram(buffer + 8U) = below(8U) == 0U ? number() : below(16U);
	put_desc(ring, buffer, 16U, DESC_NEXT, 1U);
	put_desc(ring + 16U, address(d), 512U * below(4U), (uint16_t)(DESC_NEXT | write << 1), 2U);
	put_desc(ring + 32U, buffer + 0x300U, 1U, DESC_WRITE, 0U);
}

static void harm_ring(void)
{
	uint32_t d = below(COUNT(devices)), q = below(devices[d].queues);

	switch (below(8U)) {
	case 0U:
		harm_request(d);
		offer(d, q, 0U, SIZE);
		break;
	case 1U:
		put16(part(d) + RING(q) + 0x1002U, (uint16_t)number());
		break;
	case 2U: /* flags, events, entries that the driver does not own */
		*(volatile uint64_t *)pour_ram(part(d) + RING(q) + 0x1000U + below(2U) * 0x1000U +
					       below(16U) * 8U) = pour_random();
		break;
	case 3U:
		offer(d, q, (uint16_t)(below(16U) == 0U ? number() : below(SIZE)), SIZE);
		break;
	default:
		harm_desc(d);
		break;
	}
	if (below(3U) == 0U)
		ring_bell(d, q);
}

/* A ring whose size or place is wrong, or that is moved while it runs. */
static void harm_layout(void)
{
	static const uint32_t sizes[] = {0U,  1U,   2U,	   3U,	    7U,	    63U,
					 65U, 128U, 1024U, 0x8000U, 0xffffU};
	static const uint32_t places[] = {QUEUE_DESC, QUEUE_AVAIL, QUEUE_USED};
	uint32_t d = below(COUNT(devices));

	if (below(2U) != 0U)
		aim_queue(d, below(devices[d].queues), sizes[below(COUNT(sizes))]);
	else
		set(d, places[below(COUNT(places))], 8U, address(d));
	if (below(2U) != 0U)
		set(d, QUEUE_ENABLE, 2U, 1U);
}

void pour_act(void)
{
	uint32_t what = below(64U);

	if (what < 1U)
		pour_restore();
	else if (what < 5U)
		start(below(COUNT(devices)),
		      (uint32_t)(below(2U) != 0U ? 0x30000000U : pour_random()), SIZE);
	else if (what < 8U)
		harm_layout();
	else if (what < 20U)
		harm_port();
	else if (what < 28U)
		harm_config();
	else if (what < 29U)
		harm_memory();
	else if (what < 40U)
		harm_bar();
	else
		harm_ring();
}
