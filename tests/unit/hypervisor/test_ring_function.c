// SPDX-License-Identifier: BSD-3-Clause
/*
 * The PCI function that shows the rings: do its registers say where they are, does it change what
 * may be changed and nothing else, who has one, and is the console there without a serial port?
 */
// links: @vfunc @machine hypervisor/vpci/func/ring_function_debug.c hypervisor/debug/rings.c
// links: hypervisor/lib/sbuf.c hypervisor/debug/console_ring.c
#include "acrn/ring_function.h"
#include "acrn/trace.h"
#include "hv/console.h"
#include "hv/log.h"
#include "hv/log_sink.h"
#include "hv/pcpu.h"
#include "hv/rings.h"
#include "vfunc_machine.h"

#define REGS   0xC0000000UL
#define MEMORY 0xD0000000UL
#define SCREEN 0xD8000000UL

uint32_t log_levels[LOG_KINDS];

void log_sink_add(struct log_sink *s)
{
	(void)s;
}

/* Where the function is; 0: the VM has none. */
static uint32_t bdf_of(struct vm *vm)
{
	for (uint32_t dev = 1; dev < 32; dev++) {
		if (cfg_read(vm, dev << 3, 0, 4) == (RINGS_DEVICE << 16 | RINGS_VENDOR))
			return dev << 3;
	}
	return 0;
}

static int setup(void **state)
{
	uint32_t bdf;

	(void)vfunc_setup(state);
	log_levels[LOG_TO_CONSOLE] = 3;
	log_levels[LOG_TO_MEM] = 5;
	bdf = bdf_of(&service);
	assert_int_not_equal(bdf, 0);
	cfg_write(&service, bdf, 0x10, 4, REGS);
	cfg_write(&service, bdf, 0x18, 4, MEMORY);
	cfg_write(&service, bdf, 0x20, 4, SCREEN);
	cfg_write(&service, bdf, 4, 2, 2);
	return 0;
}

static uint32_t reg(uint32_t at)
{
	return (uint32_t)mem_read(&service, REGS + at, 4);
}

/* Is a ring where the registers say that one is, for each CPU, and only to be read? */
static void test_registers(void **state)
{
	uint64_t hpa = 0;

	(void)state;
	assert_int_equal(reg(RINGS_REG_MAGIC), RINGS_MAGIC);
	assert_int_equal(reg(RINGS_REG_VERSION), RINGS_VERSION);
	assert_int_equal(reg(RINGS_REG_API), 0x10000);
	assert_int_equal(reg(RINGS_REG_TSC_KHZ), fake_tsc_khz);
	assert_int_equal(reg(RINGS_REG_CPUS), pcpu_count);
	for (uint64_t cpu = 0; cpu < pcpu_count; cpu++) {
		uint64_t part = MEMORY + cpu * reg(RINGS_REG_STRIDE);
		const struct sbuf_header *h;

		assert_int_equal(mapped(&service, part + reg(RINGS_REG_LOG), &hpa),
				 EPT_READ | EPT_MT_WB | EPT_IPAT);
		h = hpa_ptr(HPA(hpa));
		assert_int_equal(h->magic, SBUF_MAGIC);
		assert_int_equal(h->ele_size, HVLOG_ENTRY);
		assert_int_not_equal(mapped(&service, part + reg(RINGS_REG_TRACE), &hpa), 0);
		h = hpa_ptr(HPA(hpa));
		assert_int_equal(h->magic, SBUF_MAGIC);
		assert_int_equal(h->ele_size, sizeof(struct trace_entry));
		assert_true((uint8_t *)(uintptr_t)(h + 1) + h->size <=
			    (uint8_t *)hpa_ptr(rings_memory(&hpa)) + (cpu + 1) * rings_stride());
	}
}

/* Can levels and the trace be switched, within their range? */
static void test_control(void **state)
{
	(void)state;
	mem_write(&service, REGS + RINGS_REG_TRACE_ON, 4, 0xFFFFFFFF);
	assert_true(trace_is_on());
	assert_int_equal(reg(RINGS_REG_TRACE_ON), 1);
	mem_write(&service, REGS + RINGS_REG_TRACE_ON, 4, 2);
	assert_false(trace_is_on());
	mem_write(&service, REGS + RINGS_REG_CONSOLE_LEVEL, 4, 6);
	mem_write(&service, REGS + RINGS_REG_LOG_LEVEL, 4, 0xFFFFFFFF);
	assert_int_equal(log_levels[LOG_TO_CONSOLE], 6);
	assert_int_equal(log_levels[LOG_TO_MEM], 6);
	assert_int_equal(reg(RINGS_REG_LOG_LEVEL), 6);
}

/* What if the guest pours anything over the registers, in any width? */
static void test_hostile(void **state)
{
	(void)state;
	for (uint32_t at = 0; at < 0x1000; at++) {
		for (uint8_t width = 1; width <= 8; width = (uint8_t)(width * 2U)) {
			bool control = at >= RINGS_REG_TRACE_ON && at <= RINGS_REG_KEY;

			if (width != 4 || at % 4 != 0) {
				mem_write(&service, REGS + at, width, 0);
				assert_int_equal(mem_read(&service, REGS + at, 1) & 0xFF, 0xFF);
			} else if (!control) {
				mem_write(&service, REGS + at, 4, 0);
				assert_true(at < 0x20 || reg(at) == 0);
			}
		}
	}
	assert_int_equal(reg(RINGS_REG_MAGIC), RINGS_MAGIC);
	assert_int_equal(log_levels[LOG_TO_CONSOLE], 3);
	assert_int_equal(log_levels[LOG_TO_MEM], 5);
	assert_false(trace_is_on());
}

/* Has a User VM none, and does the trace end with the Service VM? */
static void test_owner(void **state)
{
	(void)state;
	assert_int_equal(bdf_of(&user), 0);
	service.hypercalls = true;
	mem_write(&service, REGS + RINGS_REG_TRACE_ON, 4, 1);
	unit_vm_reset(&user);
	assert_true(trace_is_on());
	unit_vm_reset(&service);
	assert_false(trace_is_on());
}

static void type(uint32_t value)
{
	mem_write(&service, REGS + RINGS_REG_KEY, 4, value);
}

/* Does a program see that the console is a serial port, and is what it types lost? */
static void test_no_console(void **state)
{
	(void)state;
	assert_int_equal(reg(RINGS_REG_KEY), RINGS_KEY);
	assert_int_equal(cfg_read(&service, bdf_of(&service), 0x20, 4), 0);
	type(RINGS_KEY | 'a');
	assert_int_equal(console_ring_rx(), UART_RX_NONE);
}

static int console_setup(void **state)
{
	console_ring_start();
	return setup(state);
}

/* Do keys come in their order, 0 and 255 as well, and only those that are said to be keys? */
static void test_keys(void **state)
{
	(void)state;
	assert_int_equal(reg(RINGS_REG_KEY), 0);
	type('a');
	type(RINGS_KEY);
	type(RINGS_KEY | 0xFF);
	type(0xFFFFF900 | 'b');
	assert_int_equal(console_ring_rx(), 0);
	assert_int_equal(console_ring_rx(), 0xFF);
	assert_int_equal(console_ring_rx(), 'b');
	assert_int_equal(console_ring_rx(), UART_RX_NONE);
	/* What if nobody takes them? Those that find no room are lost, and the program can tell. */
	for (uint32_t i = 0; i < 1000; i++) {
		type(RINGS_KEY | (i & 0x7F));
		assert_int_equal(reg(RINGS_REG_KEY), i < 255 ? 0 : RINGS_KEY);
	}
	for (uint32_t i = 0; i < 256; i++)
		assert_int_equal(console_ring_rx(), i & 0x7F);
	assert_int_equal(console_ring_rx(), UART_RX_NONE);
	assert_int_equal(reg(RINGS_REG_KEY), 0);
}

/* Is the ring where the BAR is, only to be read, and are the latest characters in it? */
static void test_screen(void **state)
{
	const struct sbuf_header *h;
	uint64_t hpa = 0, size = 0;

	(void)state;
	assert_int_equal(mapped(&service, SCREEN, &hpa), EPT_READ | EPT_MT_WB | EPT_IPAT);
	assert_int_equal(hpa, console_ring_memory(&size).v);
	mem_write(&service, SCREEN, 4, 0);
	h = hpa_ptr(HPA(hpa));
	assert_int_equal(h->magic, SBUF_MAGIC);
	assert_int_equal(h->ele_size, 1);
	assert_int_equal(sizeof(*h) + h->ele_num, size);
	for (uint64_t i = 0; i < 100000; i++)
		console_ring_tx((uint8_t)(i % 251));
	assert_int_equal(h->written, 100000);
	for (uint64_t i = 100000 - h->ele_num + 1; i < 100000; i++)
		assert_int_equal(((const uint8_t *)(h + 1))[i % h->ele_num], i % 251);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_control, setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_owner, setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_no_console, setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_keys, console_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_screen, console_setup, vfunc_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
