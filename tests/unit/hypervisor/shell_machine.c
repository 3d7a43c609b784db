/* SPDX-License-Identifier: BSD-3-Clause */
/* See shell_machine.h. */
#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "asm/apic.h"
#include "asm/vmx.h"
#include "fake_machine.h"
#include "hv/boot.h"
#include "hv/console.h"
#include "hv/cpu.h"
#include "hv/gmem.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/log_sink.h"
#include "hv/mem_log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/shell.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vcr.h"
#include "hv/vioapic.h"
#include "hv/vm.h"
#include "hv/vm_config.h"
#include "hv/vmcs.h"
#include "hv/vpower.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "config.h"
#include "shell_machine.h"

#define RAM_BASE MB(1)
#define RAM_SIZE MB(1)

extern const report_sink_fn __start_hv_report_sinks[];

const struct board_config board_config = {.name = "test", .scenario = "none"};
struct e820 host_e820 = {.count = 2,
			 .r = {{.base = RAM_BASE, .size = RAM_SIZE, .type = MEM_RAM},
			       {.base = MB(2), .size = MB(1), .type = MEM_RESERVED}}};

const void *shell_machine_loaded;
uint32_t shell_machine_called, shell_machine_resets;

static struct vm slots[CONFIG_MAX_VM_NUM];
static struct vcpu vcpus[2];
static struct log_sink *mem_sink;
static char text[1U << 20];

void log_sink_add(struct log_sink *s)
{
	mem_sink = s;
}

void log_line(uint32_t level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

bool hv_owns(hpa_t base, uint64_t size)
{
	(void)base;
	(void)size;
	return false;
}

struct vm *vm_by_id(uint16_t id)
{
	return id < CONFIG_MAX_VM_NUM ? &slots[id] : NULL;
}

int gmem_read(struct vm *vm, gpa_t gpa, void *buf, size_t len)
{
	assert(vm->lock.owner != vm->lock.next);
	if (vm->id != 1 || gpa.v < 0x1000 || len > 0x1000 || gpa.v > 0x2000 - len)
		return -EFAULT;
	memset(buf, 'a', len);
	return 0;
}

void smp_call(struct pcpu *p, void (*fn)(void *arg), void *arg)
{
	shell_machine_called += p != this_pcpu() ? 1U : 0U;
	fn(arg);
}

void vmcs_load(struct vcpu *vcpu)
{
	shell_machine_loaded = vcpu == this_pcpu()->loaded ? NULL : vcpu;
}

uint64_t vcr_cr0(void)
{
	return 0x11;
}

uint64_t vcr_cr4(void)
{
	return 0x22;
}

uint64_t vcr_efer(void)
{
	return 0x33;
}

int console_show(uint16_t id)
{
	return id == 1 ? 0 : -ENOENT;
}

uint32_t irq_count(uint16_t cpu, uint8_t vector)
{
	return vector == VECTOR_TIMER || vector == 0x44 ? 7U + cpu : 0U;
}

uint32_t ioapic_gsi_count(void)
{
	return 4;
}

uint64_t ioapic_read_rte(uint32_t gsi)
{
	return gsi == 2 ? 0x44 : IOAPIC_RTE_MASKED;
}

uint32_t vioapic_gsi_count(const struct vm *vm)
{
	assert(vm->vioapic != NULL);
	return 5;
}

uint64_t vioapic_rte(struct vm *vm, uint32_t gsi)
{
	assert(vm->lock.owner != vm->lock.next && gsi < 5);
	return 0x020000000001E030UL + gsi;
}

void vpower_reset_machine(const char *who, struct io_access *how)
{
	(void)who;
	(void)how;
	shell_machine_resets++;
}

void panic(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

void shell_machine_report(const char *s)
{
	__start_hv_report_sinks[0](s);
}

void shell_machine_log(const char *line)
{
	mem_sink->write(LOG_INFO, line, (uint32_t)strlen(line));
}

void report(const char *fmt, ...)
{
	size_t at = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	at += (size_t)vsnprintf(&text[at], sizeof(text) - at - 1, fmt, ap);
	va_end(ap);
	strcpy(&text[at], ";");
}

const char *shell_machine_last_words(void)
{
	text[0] = '\0';
	mem_log_report_end();
	return text;
}

void shell_machine_busy(bool busy)
{
	slots[1].lock.next = slots[1].lock.owner + (busy ? 1U : 0U);
}

void shell_machine_reset(void)
{
	static struct vcpu loaded;

	fake_machine_reset();
	pcpu_count = 2;
	for (uint16_t i = 0; i < 2; i++) {
		pcpus[i].id = i;
		pcpus[i].loaded = &loaded;
	}
	memset(slots, 0, sizeof(slots));
	memset(vcpus, 0, sizeof(vcpus));
	for (uint16_t i = 0; i < CONFIG_MAX_VM_NUM; i++)
		slots[i].id = i;
	slots[0].state = VM_RUNNING;
	slots[0].load_order = SERVICE_VM;
	slots[1].state = VM_PAUSED;
	slots[1].load_order = POST_LAUNCHED_VM;
	strcpy(slots[1].name, "guest");
	slots[1].vcpu_count = 2;
	slots[1].vioapic = (struct vioapic *)&slots[1];
	for (uint16_t i = 0; i < 2; i++) {
		slots[1].vcpus[i] = &vcpus[i];
		vcpus[i].vm = &slots[1];
		vcpus[i].id = i;
		vcpus[i].pcpu = &pcpus[i];
		vcpus[i].started = i == 1;
		vcpus[i].gpr[GPR_RBX] = 0x55;
	}
	fake_vmcs[VMCS_GUEST_RIP] = 0x1234;
	shell_machine_called = shell_machine_resets = 0;
	shell_machine_loaded = NULL;
}

void shell_machine_boot(void)
{
	/* where it says it is: addresses are pointers in root mode */
	uint8_t *ram = mmap((void *)RAM_BASE, RAM_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (ram != (uint8_t *)RAM_BASE)
		abort();
	for (uint32_t i = 0; i < RAM_SIZE; i++)
		ram[i] = (uint8_t)i;
	if (unit_boot() != 0)
		abort();
	(void)shell_machine_drain();
}

static size_t take(size_t at)
{
	for (int c = shell_take(); c >= 0; c = shell_take()) {
		assert(at < sizeof(text) - 1);
		text[at++] = (char)c;
	}
	text[at] = '\0';
	return at;
}

const char *shell_machine_drain(void)
{
	size_t at = 0, before = SIZE_MAX;

	/* a few rounds may have nothing to say, as the rows of empty slots */
	for (uint32_t quiet = 0; quiet < 100; quiet = at == before ? quiet + 1 : 0) {
		before = at;
		shell_run();
		at = take(at);
	}
	return text;
}

const char *shell_machine_start(const char *line)
{
	for (; *line != '\0'; line++)
		(void)shell_give((uint8_t)*line);
	(void)shell_give('\r');
	shell_run();
	return text;
}

const char *shell_machine_type(const char *line)
{
	(void)shell_machine_start(line);
	return shell_machine_drain();
}
