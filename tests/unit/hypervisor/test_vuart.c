// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/vdev/vuart.c hypervisor/vpci/func/vuart_pci.c hypervisor/guest/unit.c
// links: tests/fake/fake_string.c @machine
/*
 * The virtual 16550: registers, interrupts, the two kinds of other end. VM 0 has COM1 on the
 * console and COM2 wired to COM1 of VM 1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "asm/uart16550.h"
#include "fake_machine.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vfunc.h"
#include "hv/vintr.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "hv/vuart.h"
#include "lib/errno.h"
#include "config.h"

#define COM1 0x3F8U
#define COM2 0x2F8U

const struct vm_config vm_configs[] = {
	{.name = "a", .vuart = {
		{.type = VUART_LEGACY, .peer = VUART_PEER_CONSOLE, .port = COM1, .irq = 4},
		{.type = VUART_LEGACY, .peer = VUART_PEER_VM, .port = COM2, .irq = 3, .peer_vm = 1,
		 .peer_index = 0}}},
	{.name = "b", .vuart = {
		{.type = VUART_LEGACY, .peer = VUART_PEER_VM, .port = COM1, .irq = 4, .peer_vm = 0,
		 .peer_index = 1}}},
	{.name = "none"},
	{.name = "lost", .vuart = {
		{.type = VUART_LEGACY, .peer = VUART_PEER_VM, .port = COM1, .irq = 4, .peer_vm = 2,
		 .peer_index = 200}}},
	{.load_order = SERVICE_VM, .name = "service", .vuart = {
		{.type = VUART_PCI, .peer = VUART_PEER_VM, .peer_vm = 5, .peer_index = 0,
		 .pci_index = 1, .pci_bdf = 0x48}}},
	{.load_order = POST_LAUNCHED_VM, .name = "pci", .vuart = {
		{.type = VUART_PCI, .peer = VUART_PEER_VM, .peer_vm = 4, .peer_index = 0,
		 .pci_index = 1}}},
};
const uint16_t vm_config_count = 6;

static struct vm vm[6];
static struct vuart *attached;
static uint32_t outputs;
static bool line[4][16];
static uint32_t edges[4][16];
static struct {
	io_handler_t fn;
	void *arg;
} claim[4][2];
static int claim_error;

struct vfunc {
	struct vm *vm;
	void *priv;
	uint32_t raised;
};

static struct vfunc funcs[4];
static uint32_t func_count;
static const struct vfunc_type *type;

extern const struct vfunc_type __start_hv_vfuncs[], __stop_hv_vfuncs[];

const struct vfunc_type *vfunc_type_find(uint16_t vendor, uint16_t device)
{
	type = __start_hv_vfuncs;
	assert_int_equal(__stop_hv_vfuncs - __start_hv_vfuncs, 1);
	assert_int_equal(vendor, type->vendor);
	assert_int_equal(device, type->device);
	return type;
}

int vfunc_create(struct vm *v, const struct vfunc_type *t, bdf_t bdf, const struct vfunc_args *args)
{
	int ret;

	(void)t;
	(void)bdf;
	funcs[func_count] = (struct vfunc){.vm = v};
	ret = type->init(&funcs[func_count], args);
	func_count += ret == 0;
	return ret;
}

void vfunc_create_at(struct vm *v, const struct vfunc_type *t, bdf_t bdf,
		     const struct vfunc_args *args)
{
	assert_int_equal(bdf, 0x48);
	assert_int_equal(vfunc_create(v, t, bdf, args), 0);
}

void vfunc_bar_trap(struct vfunc *f, uint32_t bar, uint64_t size)
{
	(void)f;
	assert_int_equal(bar, 0);
	assert_int_equal(size, PAGE_SIZE);
}

void vfunc_msix(struct vfunc *f, uint32_t bar, uint32_t vectors)
{
	(void)f;
	assert_int_equal(bar, 1);
	assert_int_equal(vectors, 1);
}

void vfunc_raise(struct vfunc *f, uint32_t vector)
{
	assert_int_equal(vector, 0);
	f->raised++;
}

struct vm *vfunc_vm(const struct vfunc *f)
{
	return f->vm;
}

void *vfunc_priv(const struct vfunc *f)
{
	return f->priv;
}

void vfunc_set_priv(struct vfunc *f, void *priv)
{
	f->priv = priv;
}

static void pci_out(struct vfunc *f, uint64_t reg, uint8_t value)
{
	struct io_access a = {.kind = IO_MMIO, .write = true, .width = 1, .value = value};

	type->access(f, 0, reg, &a);
}

static uint8_t pci_in(struct vfunc *f, uint64_t reg)
{
	struct io_access a = {.kind = IO_MMIO, .width = 1, .value = UINT64_MAX};

	type->access(f, 0, reg, &a);
	return (uint8_t)a.value;
}

static uint32_t vm_index(const struct vm *v)
{
	return (uint32_t)(v - vm);
}

int vio_add_pio(struct vm *v, uint16_t base, uint16_t count, io_handler_t fn, void *arg)
{
	assert_int_equal(count, 8);
	if (claim_error != 0 && base == COM2)
		return claim_error;
	claim[vm_index(v)][base == COM2].fn = fn;
	claim[vm_index(v)][base == COM2].arg = arg;
	return 0;
}

int vintr_set_gsi(struct vm *v, uint32_t gsi, uint32_t op)
{
	bool high = op == GSI_SET_HIGH;

	/* never told twice */
	assert_int_not_equal(line[vm_index(v)][gsi], high);
	line[vm_index(v)][gsi] = high;
	edges[vm_index(v)][gsi] += high;
	return 0;
}

static void attach(struct vm *of, struct vuart *u)
{
	assert_true(of == &vm[0] || of == &vm[1]);
	attached = u;
}

static void detach(struct vuart *u)
{
	assert_ptr_equal(u, attached);
	attached = NULL;
}

static void output(struct vuart *u)
{
	assert_ptr_equal(u, attached);
	outputs++;
}

static const struct vuart_console fake_console = {attach, detach, output};

static uint64_t io(uint32_t v, uint16_t port, bool write, uint8_t width, uint64_t value)
{
	struct io_access a = {.kind = IO_PIO, .write = write, .width = width, .addr = port,
			      .value = value};

	claim[v][port < COM1].fn(NULL, claim[v][port < COM1].arg, &a);
	return a.value;
}

static uint8_t in(uint32_t v, uint16_t base, uint32_t reg)
{
	return (uint8_t)io(v, (uint16_t)(base + reg), false, 1, 0);
}

static void out(uint32_t v, uint16_t base, uint32_t reg, uint8_t value)
{
	(void)io(v, (uint16_t)(base + reg), true, 1, value);
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	memset(vm, 0, sizeof(vm));
	memset(line, 0, sizeof(line));
	memset(edges, 0, sizeof(edges));
	memset(claim, 0, sizeof(claim));
	claim_error = 0;
	outputs = 0;
	attached = NULL;
	vuart_console = &fake_console;
	func_count = 0;
	for (uint16_t i = 0; i < 6; i++) {
		vm[i].id = i;
		vm[i].load_order = vm_configs[i].load_order;
		vm[i].config = &vm_configs[i];
		assert_int_equal(unit_vm_init(&vm[i]), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 6; i++)
		unit_vm_deinit(&vm[i]);
	return 0;
}

static int group_setup(void **state)
{
	(void)state;
	fake_machine_reset();
	return unit_boot();
}

/* What a driver's probe looks at: scratch, divisor, loop-back, FIFO. */
static void test_registers(void **state)
{
	(void)state;
	out(0, COM1, UART_SCR, 0x5A);
	assert_int_equal(in(0, COM1, UART_SCR), 0x5A);
	out(0, COM1, UART_LCR, LCR_DLAB | LCR_8N1);
	out(0, COM1, 0, 0x34);
	out(0, COM1, 1, 0x12);
	assert_int_equal(in(0, COM1, 0), 0x34);
	assert_int_equal(in(0, COM1, 1), 0x12);
	out(0, COM1, UART_LCR, LCR_8N1);
	assert_int_equal(in(0, COM1, UART_IER), 0);
	out(0, COM1, UART_IER, 0xFF);
	assert_int_equal(in(0, COM1, UART_IER), 0x0F);
	out(0, COM1, UART_IER, 0);
	assert_int_equal(in(0, COM1, UART_IIR), IIR_NONE);
	out(0, COM1, UART_FCR, FCR_ENABLE);
	assert_int_equal(in(0, COM1, UART_IIR), IIR_NONE | IIR_FIFO);
	assert_int_equal(in(0, COM1, UART_LSR), LSR_THRE | LSR_TEMT);
	assert_int_equal(in(0, COM1, UART_MSR) & 0xF0, MSR_CTS | MSR_DSR | MSR_DCD);
	out(0, COM1, UART_LSR, 0xFF);
	assert_int_equal(in(0, COM1, UART_LSR), LSR_THRE | LSR_TEMT);
}

/* Loop-back: outputs come in, with their deltas; characters too, and nothing leaves. */
static void test_loopback(void **state)
{
	(void)state;
	out(0, COM1, UART_MCR, MCR_LOOP | MCR_RTS | MCR_OUT2);
	assert_int_equal(in(0, COM1, UART_MSR) & 0xF0, MSR_CTS | MSR_DCD);
	(void)in(0, COM1, UART_MSR);
	assert_int_equal(in(0, COM1, UART_MSR) & 0x0F, 0);
	out(0, COM1, UART_MCR, MCR_LOOP | MCR_DTR | MCR_OUT1);
	assert_int_equal(in(0, COM1, UART_MSR), MSR_DSR | MSR_RI | MSR_DCTS | MSR_DDSR | MSR_DDCD);
	out(0, COM1, UART_MCR, MCR_LOOP | MCR_DTR);
	assert_int_equal(in(0, COM1, UART_MSR), MSR_DSR | MSR_TERI);
	out(0, COM1, UART_THR, 'x');
	assert_int_equal(outputs, 0);
	assert_true(vuart_give(attached, 'y')); /* not heard */
	assert_int_equal(in(0, COM1, UART_LSR) & LSR_DR, LSR_DR);
	assert_int_equal(in(0, COM1, UART_RBR), 'x');
	assert_int_equal(in(0, COM1, UART_LSR) & LSR_DR, 0);
	assert_int_equal(vuart_take(attached), -1);
}

/* Receive: data ready, interrupt, in order, gone when read; OUT2 gates the line as on a PC. */
static void test_receive(void **state)
{
	(void)state;
	out(0, COM1, UART_IER, IER_RDA);
	assert_true(vuart_give(attached, 'a'));
	assert_false(line[0][4]);
	out(0, COM1, UART_MCR, MCR_OUT2);
	assert_true(line[0][4]);
	assert_true(vuart_give(attached, 'b'));
	assert_int_equal(edges[0][4], 1);
	assert_int_equal(in(0, COM1, UART_IIR) & 0x0F, IIR_RDA);
	assert_int_equal(in(0, COM1, UART_RBR), 'a');
	assert_true(line[0][4]);
	assert_int_equal(in(0, COM1, UART_RBR), 'b');
	assert_false(line[0][4]);
	assert_int_equal(in(0, COM1, UART_RBR), 0);
}

/* No room: the giver keeps the character, and it can be had later. */
static void test_receive_full(void **state)
{
	uint32_t n = 0;

	(void)state;
	while (vuart_give(attached, (uint8_t)n))
		n++;
	assert_int_equal(n, CONFIG_VUART_RX_BUF);
	assert_int_equal(in(0, COM1, UART_RBR), 0);
	assert_true(vuart_give(attached, 99));
	for (uint32_t i = 1; i < n; i++)
		assert_int_equal(in(0, COM1, UART_RBR), (uint8_t)i);
	assert_int_equal(in(0, COM1, UART_RBR), 99);
	out(0, COM1, UART_FCR, FCR_ENABLE | FCR_CLEAR_RX);
	assert_int_equal(in(0, COM1, UART_LSR) & LSR_DR, 0);
}

/* The transmitter's interrupt: when switched on, after each burst, silent once IIR told it. */
static void test_transmit_irq(void **state)
{
	(void)state;
	out(0, COM1, UART_MCR, MCR_OUT2);
	out(0, COM1, UART_IER, IER_THRE);
	assert_true(line[0][4]);
	assert_int_equal(in(0, COM1, UART_IIR) & 0x0F, IIR_THRE);
	assert_false(line[0][4]);
	assert_int_equal(in(0, COM1, UART_IIR) & 0x0F, IIR_NONE);
	out(0, COM1, UART_THR, '1');
	out(0, COM1, UART_THR, '2');
	assert_int_equal(edges[0][4], 2);
	assert_int_equal(outputs, 2);
	assert_int_equal(vuart_take(attached), '1');
	assert_int_equal(vuart_take(attached), '2');
	assert_int_equal(vuart_take(attached), -1);
}

/* A guest that sends faster than the line: it waits, hears when there is room, loses nothing. */
static void test_transmit_full(void **state)
{
	uint32_t n = 0;

	(void)state;
	out(0, COM1, UART_MCR, MCR_OUT2);
	out(0, COM1, UART_IER, IER_THRE);
	while ((in(0, COM1, UART_LSR) & LSR_THRE) != 0)
		for (uint32_t i = 0; i < UART_FIFO_SIZE; i++)
			out(0, COM1, UART_THR, (uint8_t)n++);
	assert_in_range(n, CONFIG_VUART_TX_BUF - UART_FIFO_SIZE, CONFIG_VUART_TX_BUF);
	(void)in(0, COM1, UART_IIR);
	assert_false(line[0][4]);
	/* polling without room asks the console to make some */
	outputs = 0;
	(void)in(0, COM1, UART_LSR);
	assert_int_equal(outputs, 1);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(vuart_take(attached), (uint8_t)i);
		if (i == UART_FIFO_SIZE)
			assert_true(line[0][4]);
	}
	assert_int_equal(vuart_take(attached), -1);
	assert_int_equal(in(0, COM1, UART_LSR) & LSR_THRE, LSR_THRE);
}

/* A break is a line status interrupt of highest priority, and it is told once. */
static void test_break(void **state)
{
	(void)state;
	out(0, COM1, UART_MCR, MCR_OUT2);
	out(0, COM1, UART_IER, IER_RLS | IER_RDA);
	vuart_give_break(attached);
	assert_true(line[0][4]);
	assert_int_equal(in(0, COM1, UART_IIR) & 0x0F, IIR_RLS);
	assert_int_equal(in(0, COM1, UART_LSR) & (LSR_BI | LSR_DR), LSR_BI | LSR_DR);
	assert_false(line[0][4]);
	assert_int_equal(in(0, COM1, UART_LSR) & (LSR_BI | LSR_DR), 0);
}

/* VM to VM: what one sends the other receives, and a full receiver makes the sender wait. */
static void test_peer(void **state)
{
	uint32_t n = 0;

	(void)state;
	out(1, COM1, UART_MCR, MCR_OUT2);
	out(1, COM1, UART_IER, IER_RDA);
	out(0, COM2, UART_THR, 'q');
	assert_true(line[1][4]);
	assert_int_equal(in(1, COM1, UART_RBR), 'q');
	out(1, COM1, UART_THR, 'r');
	assert_int_equal(in(0, COM2, UART_RBR), 'r');

	out(0, COM2, UART_MCR, MCR_OUT2);
	out(0, COM2, UART_IER, IER_THRE);
	while ((in(0, COM2, UART_LSR) & LSR_THRE) != 0)
		for (uint32_t i = 0; i < UART_FIFO_SIZE; i++)
			out(0, COM2, UART_THR, (uint8_t)n++);
	(void)in(0, COM2, UART_IIR);
	assert_false(line[0][3]);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(in(1, COM1, UART_RBR), (uint8_t)i);
	assert_true(line[0][3]);
	assert_int_equal(outputs, 0);
}

/* The other VM ends, or never was: no carrier, and sending does not block. */
static void test_peer_gone(void **state)
{
	(void)state;
	out(1, COM1, UART_MCR, MCR_RTS);
	assert_int_equal(in(0, COM2, UART_MSR) & 0xF0, MSR_CTS | MSR_DSR | MSR_DCD);
	unit_vm_deinit(&vm[1]);
	assert_int_equal(in(0, COM2, UART_MSR), MSR_DCTS | MSR_DDSR | MSR_DDCD);
	for (uint32_t i = 0; i < 3 * CONFIG_VUART_RX_BUF; i++)
		out(0, COM2, UART_THR, 1);
	assert_int_equal(in(0, COM2, UART_LSR) & LSR_THRE, LSR_THRE);
	assert_int_equal(in(3, COM1, UART_MSR) & 0xF0, 0);
	out(3, COM1, UART_THR, 1);
	assert_int_equal(unit_vm_init(&vm[1]), 0);
	assert_int_equal(in(1, COM1, UART_LSR) & LSR_DR, 0);
}

/* VM 0 fills the line until its transmitter is busy, and waits for an interrupt. */
static void fill_line(void)
{
	out(0, COM2, UART_MCR, MCR_OUT2);
	out(0, COM2, UART_IER, IER_THRE);
	while ((in(0, COM2, UART_LSR) & LSR_THRE) != 0)
		for (uint32_t i = 0; i < UART_FIFO_SIZE; i++)
			out(0, COM2, UART_THR, 'x');
	(void)in(0, COM2, UART_IIR);
	assert_false(line[0][3]);
}

/* What if the other end empties its FIFO, is reset or destroyed: does a sender that waits go on? */
static void test_sender_freed(void **state)
{
	(void)state;
	fill_line();
	out(1, COM1, UART_FCR, FCR_ENABLE | FCR_CLEAR_RX);
	assert_true(line[0][3]);
	fill_line();
	unit_vm_reset(&vm[1]);
	assert_true(line[0][3]);
	assert_int_equal(in(1, COM1, UART_LSR) & LSR_DR, 0);
	fill_line();
	unit_vm_deinit(&vm[1]);
	assert_true(line[0][3]);
	assert_int_equal(unit_vm_init(&vm[1]), 0);
}

/* RTS of one end is CTS of the other, and a change is an interrupt: so do drivers hold each other off. */
static void test_cts(void **state)
{
	(void)state;
	out(0, COM2, UART_MCR, MCR_OUT2);
	assert_int_equal(in(0, COM2, UART_MSR) & 0xF0, MSR_DSR | MSR_DCD);
	out(0, COM2, UART_IER, IER_MS);
	out(1, COM1, UART_MCR, MCR_RTS);
	assert_true(line[0][3]);
	assert_int_equal(in(0, COM2, UART_IIR) & 0x0F, IIR_MS);
	assert_int_equal(in(0, COM2, UART_MSR), MSR_DSR | MSR_DCD | MSR_CTS | MSR_DCTS);
	assert_false(line[0][3]);
	out(1, COM1, UART_MCR, MCR_RTS | MCR_OUT2); /* nothing new */
	assert_false(line[0][3]);
	unit_vm_deinit(&vm[1]);
	assert_true(line[0][3]);
	assert_int_equal(in(0, COM2, UART_MSR), MSR_DCTS | MSR_DDSR | MSR_DDCD);
	assert_int_equal(unit_vm_init(&vm[1]), 0);
	assert_true(line[0][3]); /* the carrier is back */
}

/* A line of PCI functions: made by name, the registers in BAR 0, message 0 for each interrupt. */
static void test_pci(void **state)
{
	static const char *const bad[] = {"", "vuart_idx:", "vuart_idx:0", "vuart_idx:2",
					  "vuart_idx:1x", "vuart_idx:18446744073709551617", "uart:1"};
	struct vfunc *one = &funcs[0], *two = &funcs[1];
	struct vfunc_args args = {.text = "vuart_idx:1"};

	(void)state;
	assert_ptr_equal(one->vm, &vm[4]); /* the Service VM's is there */
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vfunc_args wrong = {0};

		strcpy(wrong.text, bad[i]);
		assert_int_equal(vfunc_create(&vm[5], NULL, 0x28, &wrong), -ENOENT);
	}
	assert_int_equal(vfunc_create(&vm[5], NULL, 0x28, NULL), -ENOENT);
	assert_int_equal(vfunc_create(&vm[0], NULL, 0x28, &args), -ENOENT); /* it has ports only */
	assert_int_equal(vfunc_create(&vm[2], NULL, 0x28, &args), -ENOENT);
	pci_out(one, UART_THR, 'z'); /* to nobody */
	assert_int_equal(pci_in(one, UART_LSR) & LSR_THRE, LSR_THRE);
	assert_int_equal(vfunc_create(&vm[5], NULL, 0x28, &args), 0);
	assert_int_equal(vfunc_create(&vm[5], NULL, 0x28, &args), -EEXIST);
	assert_int_equal(two->raised, 0);
	pci_out(two, UART_MCR, MCR_OUT2);
	pci_out(two, UART_IER, IER_RDA);
	pci_out(one, UART_THR, 'q');
	assert_int_equal(two->raised, 1);
	pci_out(one, UART_THR, 'r'); /* the interrupt has not been served */
	assert_int_equal(two->raised, 1);
	assert_int_equal(pci_in(two, UART_RBR), 'q');
	assert_int_equal(pci_in(two, UART_RBR), 'r');
	pci_out(one, UART_THR, 's');
	assert_int_equal(two->raised, 2);
	assert_int_equal(pci_in(two, 8), 0xFF); /* no register */
	unit_vm_deinit(&vm[5]);
	type->deinit(two);
	assert_int_equal(pci_in(one, UART_MSR) & MSR_DCD, 0);
	pci_out(one, UART_THR, 't');
	assert_int_equal(two->raised, 2);
	assert_int_equal(unit_vm_init(&vm[5]), 0);
}

/* A wide access is one of each register in turn; at the last port it does not run over. */
static void test_wide(void **state)
{
	(void)state;
	(void)io(0, COM1 + UART_SCR, true, 4, 0x11223344);
	assert_int_equal(in(0, COM1, UART_SCR), 0x44);
	out(0, COM1, UART_LCR, LCR_DLAB);
	(void)io(0, COM1, true, 2, 0x0102);
	assert_int_equal(io(0, COM1, false, 2, 0), 0x0102);
}

/* A reset empties the registers; what was sent before still comes out. */
static void test_reset(void **state)
{
	(void)state;
	out(0, COM1, UART_MCR, MCR_OUT2);
	out(0, COM1, UART_IER, IER_THRE);
	out(0, COM1, UART_THR, 'z');
	vuart_give(attached, 'i');
	unit_vm_reset(&vm[0]);
	assert_false(line[0][4]);
	assert_int_equal(in(0, COM1, UART_IER), 0);
	assert_int_equal(in(0, COM1, UART_LSR) & LSR_DR, 0);
	assert_int_equal(vuart_take(attached), 'z');
}

/* Without a console (a release) its ports are not claimed; a failed claim undoes the others. */
static void test_creation(void **state)
{
	(void)state;
	unit_vm_deinit(&vm[0]);
	assert_null(attached);
	claim_error = -EEXIST;
	assert_int_equal(unit_vm_init(&vm[0]), -EEXIST);
	assert_null(attached);
	claim_error = 0;
	memset(claim, 0, sizeof(claim));
	vuart_console = NULL;
	assert_int_equal(unit_vm_init(&vm[0]), 0);
	assert_null(claim[0][0].fn);
	assert_non_null(claim[0][1].fn);
	assert_null(vm[2].vuart);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loopback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_receive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_receive_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transmit_irq, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transmit_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_break, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peer_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sender_freed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pci, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wide, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_creation, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
