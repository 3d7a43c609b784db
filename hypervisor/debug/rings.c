// SPDX-License-Identifier: BSD-3-Clause
/*
 * The rings of a debug build: for each CPU one of trace entries and one of log lines, in memory of
 * their own, so that it can be shown to the Service VM as it is. They lose the oldest entry when
 * they are full, and have no reader to wait for. A ring may be redirected into the Service VM's
 * memory. Only a CPU itself writes its rings and changes where they lead, with interrupts off;
 * takes no lock, but a redirection waits for that CPU.
 */
#include "hv/rings.h"
#include "hv/log.h"
#include "hv/log_sink.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/trace.h"
#include "hv/unit.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "config.h"

#define LOG_BYTES   ((uint32_t)KB(CONFIG_LOG_RING_KB))
#define TRACE_BYTES ((uint32_t)KB(CONFIG_TRACE_RING_KB))

static struct cpu_rings {
	struct sbuf own[RING_KINDS];
	struct sbuf other[RING_KINDS]; /* where they are redirected to */
	struct sbuf *active[RING_KINDS];
} rings[CONFIG_MAX_PCPU_NUM];

static uint8_t *memory; /* NULL: not yet */
static uint64_t memory_size;
static uint64_t tracers[(CONFIG_MAX_PCPU_NUM + 63U) / 64U]; /* CPUs whose trace is redirected */
static volatile bool wanted;

volatile bool trace_on;

static void update_trace(void)
{
	bool on = wanted;

	for (uint32_t i = 0U; i < ARRAY_SIZE(tracers); i++) {
		on = on || atomic_read64(&tracers[i]) != 0U;
	}
	trace_on = on;
}

void trace_switch_on(bool on)
{
	wanted = on;
	update_trace();
}

bool trace_is_on(void)
{
	return trace_on;
}

hpa_t rings_memory(uint64_t *size)
{
	*size = memory_size;
	return ptr_hpa(memory);
}

uint32_t rings_stride(void)
{
	return LOG_BYTES + TRACE_BYTES;
}

uint32_t rings_offset(uint32_t kind)
{
	return (kind == ACRN_SBUF_TRACE) ? LOG_BYTES : 0U;
}

void rings_put(uint32_t kind, const void *entry)
{
	if (likely(memory != NULL)) {
		(void)sbuf_put(rings[this_pcpu()->id].active[kind], entry);
	}
}

struct redirection {
	uint32_t kind;
	const struct sbuf *to;
};

/* On the CPU whose ring it is. */
static void redirect_here(void *arg)
{
	const struct redirection *r = arg;
	uint16_t cpu = this_pcpu()->id;
	struct cpu_rings *c = &rings[cpu];

	if (r->to != NULL) {
		c->other[r->kind] = *r->to;
		c->active[r->kind] = &c->other[r->kind];
	} else {
		c->active[r->kind] = &c->own[r->kind];
	}
	if (r->kind != ACRN_SBUF_TRACE) {
		return;
	}
	if (r->to != NULL) {
		(void)atomic_set_bit(tracers, cpu);
	} else {
		(void)atomic_clear_bit(tracers, cpu);
	}
}

int rings_redirect(uint32_t kind, uint32_t cpu, const struct sbuf *b)
{
	struct redirection r = {.kind = kind, .to = b};

	if (kind >= RING_KINDS || cpu >= pcpu_count || memory == NULL) {
		return -EINVAL;
	}
	smp_call(&pcpus[cpu], redirect_here, &r);
	update_trace();
	return 0;
}

void rings_redirect_none(void)
{
	for (uint32_t cpu = 0U; cpu < pcpu_count && memory != NULL; cpu++) {
		for (uint32_t kind = 0U; kind < RING_KINDS; kind++) {
			if (rings[cpu].active[kind] != &rings[cpu].own[kind]) {
				(void)rings_redirect(kind, cpu, NULL);
			}
		}
	}
}

/* What these rings lead to is the Service VM's memory, which is another kernel's from now on. */
static void rings_vm_end(struct vm *vm)
{
	if (vm->hypercalls) {
		rings_redirect_none();
		trace_switch_on(false);
	}
}

/* A line by pieces of an entry; the last one has the newline and is filled up with NULs. */
static void log_write(uint32_t level, const char *line, uint32_t len)
{
	uint32_t n;

	(void)level;
	do {
		char entry[HVLOG_ENTRY] = "";

		n = MIN(len, HVLOG_ENTRY);
		(void)memcpy(entry, line, n);
		if (n < HVLOG_ENTRY) {
			entry[n] = '\n';
		}
		rings_put(ACRN_SBUF_HVLOG, entry);
		line += n;
		len -= n;
	} while (n == HVLOG_ENTRY);
}

static void open_own(uint16_t cpu, uint32_t kind, uint32_t ele_size, uint32_t bytes)
{
	struct sbuf_header *header =
		(void *)&memory[cpu * rings_stride() + rings_offset(kind)];
	const struct sbuf_header h = {
		.ele_num = (bytes - (uint32_t)sizeof(h)) / ele_size,
		.ele_size = ele_size,
		.flags = SBUF_COUNT_OVERRUNS | SBUF_OVERWRITE,
	};

	ASSERT(sbuf_open(&rings[cpu].own[kind], header, &h, bytes) == 0);
	rings[cpu].active[kind] = &rings[cpu].own[kind];
}

static int rings_boot(void)
{
	static struct log_sink log_sink = {.kind = LOG_TO_MEM, .write = log_write};

	memory_size = PAGE_SIZE;
	while (memory_size < (uint64_t)pcpu_count * rings_stride()) {
		memory_size *= 2U;
	}
	memory = boot_alloc(memory_size, PAGE_SIZE);
	for (uint16_t cpu = 0U; cpu < pcpu_count; cpu++) {
		open_own(cpu, ACRN_SBUF_HVLOG, HVLOG_ENTRY, LOG_BYTES);
		open_own(cpu, ACRN_SBUF_TRACE, (uint32_t)sizeof(struct trace_entry), TRACE_BYTES);
	}
	log_sink_add(&log_sink);
	return 0;
}

UNIT(rings) = {
	.name = "rings",
	.level = UNIT_CORE - 1U,
	.boot = rings_boot,
	.vm_reset = rings_vm_end,
	.vm_deinit = rings_vm_end,
};
