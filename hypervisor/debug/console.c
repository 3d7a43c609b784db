// SPDX-License-Identifier: BSD-3-Clause
/*
 * The console of a debug build: one line, shared by the log and by the console of one VM, or the
 * shell. It is the serial port; without one it is the ring that the Service VM reads
 * (console_ring.c), and the log, which has rings of its own, stays away. Nothing on the way of a
 * VM exit waits for the UART: text is queued, and a timer on the boot CPU (and whoever finds the
 * transmitter empty) passes it on at the UART's pace; input comes by the UART's interrupt, or by
 * the same timer. Log lines go between the guest's lines, and into one only when it stays unfinished
 * for a while. Ctrl-Space, or BREAK and e, leaves a VM's console; other BREAKs are the guest's (SysRq).
 *
 * Locks: con.lock for the UART, only ever tried where it might be held, so that nobody waits for
 * a whole service round; log_lock, a leaf, for the queue of log lines. con.lock before a vUART's.
 */
#include "asm/apic.h"
#include "asm/insn.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/console.h"
#include "hv/irq.h"
#include "hv/log_sink.h"
#include "hv/pcpu.h"
#include "hv/shell.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vm.h"
#include "hv/vuart.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "config.h"

#define LOG_QUEUE   32768U /* bytes */
#define FAST_US	    1400U  /* 16 characters at 115200 baud */
#define IDLE_US	    10000U
#define HOLD_US	    10000U /* how long the log waits for the end of the guest's line */
#define BREAK_US    2000000U /* how long a BREAK waits for its e */
#define FLUSH_SPINS 10000000U
#define KEEP_CHUNK  64U /* what a VM that nobody looks at forgets at a time */

#define KEY_LEAVE	0x00U /* Ctrl-Space */
#define KEY_AFTER_BREAK 'e'

/* Who should have the console, other than by the number of a VM. */
#define HOME_FIRST UINT32_MAX		/* the first VM that has a vUART there */
#define HOME_SHELL (UINT32_MAX - 1U) /* the shell, by the user's wish */

static struct {
	spinlock_t lock;
	struct pcpu *cpu; /* whose timer it is */
	struct timer timer;
	bool fast;		/* the timer is armed for the next FIFO's worth of output */
	struct vuart *guest;	/* on the console; NULL: the shell */
	uint32_t home;		/* the VM that gets the console when it appears, or HOME_x */
	bool guest_mid_line;
	uint64_t guest_spoke_at; /* TSC of its last character */
	bool log_mid_line;
	bool lf_pending;
	int rx_held; /* received, but there was no room for it yet */
	uint64_t break_at; /* TSC of a BREAK that may be half of the way to the shell, 0: none */
} con = {.rx_held = UART_RX_NONE, .home = HOME_FIRST};

static const struct line {
	uint32_t (*tx_room)(void);
	void (*tx)(uint8_t c);
	int (*rx)(void);
} uart_line = {uart_tx_room, uart_tx, uart_rx},
  ring_line = {console_ring_tx_room, console_ring_tx, console_ring_rx};
static const struct line *wire = &uart_line;

static struct vuart *vm_consoles[CONFIG_MAX_VM_NUM];

static spinlock_t log_lock;
static char *log_queue;
static uint32_t log_head;
static volatile uint32_t log_count;
static uint32_t log_lost;

static int log_take(void)
{
	int c = -1;

	if (!spin_lock_soon(&log_lock)) {
		return -1;
	}
	if (log_count != 0U) {
		c = (uint8_t)log_queue[log_head];
		log_head = (log_head + 1U) % LOG_QUEUE;
		log_count--;
	}
	spin_unlock(&log_lock);
	return c;
}

/* The guest may be about to end its line, and the log can wait: it neither piles up nor gets old. */
static bool log_can_wait(void)
{
	return con.guest_mid_line && log_count < LOG_QUEUE / 2U &&
	       rdtsc() - con.guest_spoke_at < us_to_tsc(HOLD_US);
}

/* What goes out next, or -1. A guest that stopped amid a line gets its line broken for the log. */
static int next_char(void)
{
	int c;

	if (con.lf_pending) {
		con.lf_pending = false;
		return '\n';
	}
	if (con.log_mid_line || (!con.guest_mid_line && log_count != 0U)) {
		c = log_take();
		con.log_mid_line = c >= 0 && c != '\n';
		return c;
	}
	c = shell_take();
	if (c < 0 && con.guest != NULL) {
		c = vuart_take(con.guest);
	}
	if (c >= 0) {
		con.guest_mid_line = c != '\n';
		con.guest_spoke_at = rdtsc();
		return c;
	}
	if (log_count == 0U || log_can_wait()) {
		return -1;
	}
	con.guest_mid_line = false;
	con.lf_pending = true;
	return '\r';
}

/* con.lock is held. True: the line is full and more waits. */
static bool transmit(void)
{
	uint32_t room = wire->tx_room();
	int c = 0;

	while (room != 0U) {
		c = next_char();
		if (c < 0) {
			return false;
		}
		wire->tx((uint8_t)c);
		room--;
	}
	return true;
}

static void leave_guest(void)
{
	con.guest = NULL;
	con.home = HOME_SHELL;
	con.break_at = 0U;
	shell_enter();
}

/* A BREAK that nothing followed is the guest's. */
static void release_break(void)
{
	if (con.break_at != 0U && con.guest != NULL) {
		vuart_give_break(con.guest);
	}
	con.break_at = 0U;
}

/* False: no room at the moment. */
static bool give(int c)
{
	if (con.guest == NULL) {
		return c == UART_RX_BREAK || shell_give((uint8_t)c);
	}
	if (c == UART_RX_BREAK) {
		release_break();
		con.break_at = rdtsc() | 1U;
		return true;
	}
	if (c == KEY_LEAVE || (con.break_at != 0U && c == KEY_AFTER_BREAK)) {
		leave_guest();
		return true;
	}
	release_break();
	return vuart_give(con.guest, (uint8_t)c);
}

/* con.lock is held. What finds no room stays in the UART, but for one character. */
static void receive(void)
{
	if (con.break_at != 0U && rdtsc() - con.break_at > us_to_tsc(BREAK_US)) {
		release_break();
	}
	for (uint32_t i = 0U; i < 64U; i++) {
		if (con.rx_held == UART_RX_NONE) {
			con.rx_held = wire->rx();
		}
		if (con.rx_held == UART_RX_NONE || !give(con.rx_held)) {
			return;
		}
		con.rx_held = UART_RX_NONE;
	}
}

/* A round of service on any CPU. The boot CPU then sees to the rest by its timer. */
static void service(void)
{
	bool more;

	if (!spin_trylock(&con.lock)) {
		return;
	}
	more = transmit();
	receive();
	spin_unlock(&con.lock);
	if (more && !con.fast && this_pcpu() == con.cpu) {
		con.fast = true;
		timer_arm(&con.timer, rdtsc() + us_to_tsc(FAST_US));
	}
}

static void timer_fired(struct timer *t)
{
	bool more = true;

	shell_run();
	if (spin_trylock(&con.lock)) {
		more = transmit();
		receive();
		spin_unlock(&con.lock);
	}
	con.fast = more;
	timer_arm(t, rdtsc() + us_to_tsc(more ? FAST_US : IDLE_US));
}

static void uart_interrupt(uint8_t vector, void *arg)
{
	(void)vector;
	(void)arg;
	service();
	shell_run(); /* what it says goes out with the timer, or with the next character */
}

/* log_lock is held and there is room. */
static void enqueue(const char *text, uint32_t len)
{
	for (uint32_t i = 0U; i < len; i++) {
		log_queue[(log_head + log_count + i) % LOG_QUEUE] = text[i];
	}
	log_count += len;
}

static void log_write(uint32_t level, const char *line, uint32_t len)
{
	char note[48] = "";
	uint32_t note_len;

	(void)level;
	spin_lock(&log_lock);
	if (log_lost != 0U) {
		(void)snprintf(note, sizeof(note), "[%u log lines lost]\r\n", log_lost);
	}
	note_len = (uint32_t)strlen(note);
	if (note_len + len + 2U > LOG_QUEUE - log_count) {
		log_lost++;
	} else {
		enqueue(note, note_len);
		enqueue(line, len);
		enqueue("\r\n", 2U);
		log_lost = 0U;
	}
	spin_unlock(&log_lock);
	service();
}

/*
 * boot/report.c is about to write to the UART itself: let the log that is queued out first. It may be
 * a panic, on a CPU that holds any lock or stopped one that does: the shell and the guest are not
 * asked for more, and no lock is waited for long.
 */
static void flush(void)
{
	bool locked = spin_lock_soon(&con.lock);
	uint32_t spins = FLUSH_SPINS;

	while (spins-- != 0U && (log_count != 0U || con.lf_pending || con.guest_mid_line)) {
		uint32_t room = uart_tx_room();

		if (room != 0U && con.guest_mid_line) {
			con.guest_mid_line = false;
			con.lf_pending = true;
			uart_tx('\r');
			room--;
		}
		while (room != 0U && (log_count != 0U || con.lf_pending)) {
			int c = next_char();

			if (c < 0) {
				spins = 0U; /* whoever has the queue was stopped */
				break;
			}
			uart_tx((uint8_t)c);
			room--;
		}
	}
	if (locked) {
		spin_unlock(&con.lock);
	}
}

static void console_attach(struct vm *vm, struct vuart *u)
{
	spin_lock(&con.lock);
	vm_consoles[vm->id] = u;
	if (con.home == HOME_FIRST) {
		con.home = vm->id;
	}
	if (con.home == vm->id) {
		con.guest = u;
	}
	spin_unlock(&con.lock);
}

/* The last words of a VM that ends are the ones its user wants: they go out first. */
static void console_detach(struct vuart *u)
{
	uint32_t spins = FLUSH_SPINS;

	spin_lock(&con.lock);
	while (con.guest == u && spins-- != 0U && transmit()) {
		cpu_relax();
	}
	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		if (vm_consoles[i] == u) {
			vm_consoles[i] = NULL;
		}
	}
	if (con.guest == u) {
		con.guest = NULL;
		con.guest_mid_line = false;
		shell_enter();
	}
	spin_unlock(&con.lock);
}

int console_show(uint16_t id)
{
	struct vuart *u = (id < CONFIG_MAX_VM_NUM) ? vm_consoles[id] : NULL;

	if (u == NULL) {
		return -ENOENT;
	}
	spin_lock(&con.lock);
	con.guest = u;
	con.home = id;
	spin_unlock(&con.lock);
	return 0;
}

static void console_output(struct vuart *u)
{
	if (u == con.guest) {
		service();
		return;
	}
	/* Nobody looks at this VM's console: it need not wait, its last screens are kept. */
	if (vuart_is_full(u)) {
		for (uint32_t i = 0U; i < KEEP_CHUNK; i++) {
			(void)vuart_take(u);
		}
	}
}

static struct log_sink log_sink = {.kind = LOG_TO_CONSOLE, .write = log_write};

static const struct vuart_console console = {
	.attach = console_attach,
	.detach = console_detach,
	.output = console_output,
};

static void route_interrupt(void)
{
	int vector = irq_alloc_vector();
	uint32_t gsi = acpi_isa_gsi(uart_irq());

	if (vector < 0) {
		return;
	}
	irq_register((uint8_t)vector, uart_interrupt, NULL);
	if (ioapic_write_rte(gsi, (uint64_t)(uint8_t)vector | ((uint64_t)con.cpu->apic_id
							       << IOAPIC_RTE_DEST_SHIFT)) != 0) {
		return;
	}
	uart_rx_irq_enable();
}

static void start_on_uart(void)
{
	log_queue = boot_alloc(LOG_QUEUE, 64U);
	report_before = flush;
	log_sink_add(&log_sink);
	if (uart_irq() != 0U) {
		route_interrupt();
	}
}

/* Nobody looks before the Service VM runs: what VMs say is kept until they are asked for. */
static void start_on_ring(void)
{
	console_ring_start();
	wire = &ring_line;
	con.home = HOME_SHELL;
	shell_enter();
}

static int console_boot(void)
{
	con.cpu = this_pcpu();
	if (uart_start()) {
		start_on_uart();
	} else {
		start_on_ring();
	}
	vuart_console = &console;
	timer_init(&con.timer, timer_fired);
	timer_fired(&con.timer);
	return 0;
}

UNIT(console) = {
	.name = "console",
	.level = UNIT_CORE,
	.boot = console_boot,
};
