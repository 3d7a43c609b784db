// SPDX-License-Identifier: BSD-3-Clause
/*
 * Virtual 16550A UARTs with an other end: the hypervisor's console or a vUART of another VM, by a
 * null-modem cable. Accesses come from vio.c, or from the PCI function a vUART is in (vuart_pci.c),
 * on the vCPU's CPU, the other end from any CPU. Each vUART's lock covers
 * its registers and rings and is held while its interrupt line moves, so that edges keep their
 * order; two vUARTs' locks are never held together. No character is dropped: an end without room
 * makes the sender's transmitter busy.
 */
#include "asm/uart16550.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vintr.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "hv/vuart.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "config.h"

struct ring {
	uint8_t *buf;
	uint32_t size;
	uint32_t head; /* next to take */
	volatile uint32_t count;
};

struct vuart {
	struct vm *vm;
	const struct vm_vuart_config *cfg;
	void (*raise)(struct vfunc *f); /* VUART_PCI: where its interrupts come out */
	struct vfunc *f;
	struct vuart *peer; /* VUART_PEER_VM: the other VM's; it may not exist at the moment */
	spinlock_t lock;
	volatile bool live;
	bool irq_high;
	bool thre_pending; /* the transmitter became empty and IIR has not told yet */
	bool brk;
	uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
	struct ring rx, tx;
};

const struct vuart_console *vuart_console;

/* By configured VM: its VM_VUART_NUM vUARTs, or NULL if it has none. */
static struct vuart *vuarts[CONFIG_MAX_VM_NUM];

static void ring_put(struct ring *r, uint8_t c)
{
	uint32_t at = r->head + r->count;

	r->buf[at < r->size ? at : at - r->size] = c;
	r->count++;
}

static uint8_t ring_get(struct ring *r)
{
	uint8_t c = r->buf[r->head];

	r->head = (r->head + 1U < r->size) ? r->head + 1U : 0U;
	r->count--;
	return c;
}

/* Room for a full FIFO: what a driver may send after one look at LSR. */
static bool has_room(const struct ring *r)
{
	return r->size - r->count >= UART_FIFO_SIZE;
}

static bool peer_live(const struct vuart *u)
{
	return u->cfg->peer == VUART_PEER_CONSOLE || (u->peer != NULL && u->peer->live);
}

static bool tx_ready(const struct vuart *u)
{
	if ((u->mcr & MCR_LOOP) != 0U) {
		return has_room(&u->rx);
	}
	if (u->cfg->peer == VUART_PEER_CONSOLE) {
		return has_room(&u->tx);
	}
	return !peer_live(u) || has_room(&u->peer->rx);
}

static uint8_t iir(const struct vuart *u)
{
	uint8_t fifo = ((u->fcr & FCR_ENABLE) != 0U) ? IIR_FIFO : 0U;

	if ((u->ier & IER_RLS) != 0U && u->brk) {
		return fifo | IIR_RLS;
	}
	if ((u->ier & IER_RDA) != 0U && u->rx.count != 0U) {
		return fifo | IIR_RDA;
	}
	if ((u->ier & IER_THRE) != 0U && u->thre_pending) {
		return fifo | IIR_THRE;
	}
	if ((u->ier & IER_MS) != 0U && (u->msr & 0x0FU) != 0U) {
		return fifo | IIR_MS;
	}
	return fifo | IIR_NONE;
}

static void update_irq(struct vuart *u)
{
	bool high = (u->mcr & MCR_OUT2) != 0U && (iir(u) & IIR_NONE) == 0U;

	if (high == u->irq_high) {
		return;
	}
	u->irq_high = high;
	if (u->cfg->type == VUART_LEGACY) {
		(void)vintr_set_gsi(u->vm, u->cfg->irq, high ? GSI_SET_HIGH : GSI_SET_LOW);
	} else if (high) {
		u->raise(u->f);
	} else {
		/* a message has no end */
	}
}

/*
 * Modem inputs: from the outputs when looped back, else those of a connected cable. Another VM's RTS
 * is CTS here, so that its driver can hold off ours.
 */
static void update_msr(struct vuart *u)
{
	uint8_t in = 0U, changed;

	if ((u->mcr & MCR_LOOP) != 0U) {
		in |= (u->mcr & MCR_RTS) != 0U ? MSR_CTS : 0U;
		in |= (u->mcr & MCR_DTR) != 0U ? MSR_DSR : 0U;
		in |= (u->mcr & MCR_OUT1) != 0U ? MSR_RI : 0U;
		in |= (u->mcr & MCR_OUT2) != 0U ? MSR_DCD : 0U;
	} else if (peer_live(u)) {
		in = MSR_DSR | MSR_DCD;
		in |= (u->peer == NULL || (u->peer->mcr & MCR_RTS) != 0U) ? MSR_CTS : 0U;
	}
	changed = (in ^ u->msr) & 0xF0U;
	/* The deltas are the low bits; of RI only its end counts. */
	if ((in & MSR_RI) != 0U) {
		changed &= (uint8_t)~MSR_RI;
	}
	u->msr = (uint8_t)(in | (u->msr & 0x0FU) | (changed >> 4));
}

static void registers_reset(struct vuart *u)
{
	u->ier = u->fcr = u->mcr = u->scr = 0U;
	u->lcr = 0U;
	u->dll = 1U;
	u->dlm = 0U;
	u->msr = 0U;
	u->brk = false;
	u->thre_pending = false;
	u->rx.head = u->rx.count = 0U;
	update_msr(u);
	u->msr &= 0xF0U;
	update_irq(u);
}

/* THR written: where the character goes now. The other end is told after the lock is gone. */
static void transmit(struct vuart *u, uint8_t c)
{
	if ((u->mcr & MCR_LOOP) != 0U) {
		if (u->rx.count < u->rx.size) {
			ring_put(&u->rx, c);
		}
	} else if (u->cfg->peer == VUART_PEER_CONSOLE) {
		if (u->tx.count < u->tx.size) {
			ring_put(&u->tx, c);
		}
	}
	u->thre_pending = tx_ready(u);
}

static uint8_t reg_read(struct vuart *u, uint32_t reg)
{
	uint8_t v;

	switch (reg) {
	case UART_RBR:
		if ((u->lcr & LCR_DLAB) != 0U) {
			return u->dll;
		}
		return (u->rx.count != 0U) ? ring_get(&u->rx) : 0U;
	case UART_IER:
		return ((u->lcr & LCR_DLAB) != 0U) ? u->dlm : u->ier;
	case UART_IIR:
		v = iir(u);
		if ((v & 0x0FU) == IIR_THRE) {
			u->thre_pending = false;
		}
		return v;
	case UART_LCR:
		return u->lcr;
	case UART_MCR:
		return u->mcr;
	case UART_LSR:
		v = tx_ready(u) ? LSR_THRE | LSR_TEMT : 0U;
		v |= (u->rx.count != 0U) ? LSR_DR : 0U;
		v |= u->brk ? LSR_BI | LSR_DR : 0U;
		u->brk = false;
		return v;
	case UART_MSR:
		update_msr(u);
		v = u->msr;
		u->msr &= 0xF0U;
		return v;
	default:
		return u->scr;
	}
}

static void reg_write(struct vuart *u, uint32_t reg, uint8_t v)
{
	switch (reg) {
	case UART_THR:
		if ((u->lcr & LCR_DLAB) != 0U) {
			u->dll = v;
		} else {
			transmit(u, v);
		}
		break;
	case UART_IER:
		if ((u->lcr & LCR_DLAB) != 0U) {
			u->dlm = v;
			break;
		}
		if ((v & ~u->ier & IER_THRE) != 0U) {
			u->thre_pending = tx_ready(u);
		}
		u->ier = v & 0x0FU;
		break;
	case UART_FCR:
		u->fcr = v & FCR_ENABLE;
		if ((v & FCR_CLEAR_RX) != 0U) {
			u->rx.head = u->rx.count = 0U;
		}
		break;
	case UART_LCR:
		u->lcr = v;
		break;
	case UART_MCR:
		u->mcr = v & 0x1FU;
		update_msr(u);
		break;
	case UART_SCR:
		u->scr = v;
		break;
	default:
		break; /* LSR and MSR are read-only */
	}
}

/*
 * The other end made room, came, went, or moved RTS: the guest that waits for an empty transmitter
 * or for CTS hears of it. No lock is held; u may be NULL.
 */
static void tell(struct vuart *u)
{
	if (u == NULL || !u->live) {
		return;
	}
	spin_lock(&u->lock);
	if (u->live) {
		update_msr(u);
		u->thre_pending = u->thre_pending || tx_ready(u);
		update_irq(u);
	}
	spin_unlock(&u->lock);
}

static void access_read(struct vuart *u, uint32_t reg, uint8_t *v)
{
	bool was_full, starved;

	spin_lock(&u->lock);
	was_full = !has_room(&u->rx);
	*v = reg_read(u, reg);
	starved = reg == UART_LSR && (*v & LSR_THRE) == 0U;
	if (reg != UART_LSR || u->ier != 0U) {
		update_irq(u);
	}
	spin_unlock(&u->lock);

	if (was_full && has_room(&u->rx)) {
		tell(u->peer);
	}
	/* A guest that polls with interrupts off must not depend on a timer's interrupt. */
	if (starved && u->cfg->peer == VUART_PEER_CONSOLE) {
		vuart_console->output(u);
	}
}

static void access_write(struct vuart *u, uint32_t reg, uint8_t v)
{
	bool sent, was_full;
	uint8_t mcr;

	spin_lock(&u->lock);
	was_full = !has_room(&u->rx);
	mcr = u->mcr;
	sent = reg == UART_THR && (u->lcr & LCR_DLAB) == 0U && (u->mcr & MCR_LOOP) == 0U;
	reg_write(u, reg, v);
	update_irq(u);
	mcr ^= u->mcr;
	was_full = was_full && has_room(&u->rx);
	spin_unlock(&u->lock);

	if (was_full || (mcr & MCR_RTS) != 0U) {
		tell(u->peer);
	}
	if (!sent) {
		return;
	}
	if (u->cfg->peer == VUART_PEER_CONSOLE) {
		vuart_console->output(u);
	} else if (peer_live(u)) {
		(void)vuart_give(u->peer, v);
	}
}

void vuart_access(struct vuart *u, uint32_t reg, struct io_access *io)
{
	/* A wide access is one of each byte's port in turn, as on the ISA bus. */
	for (uint32_t i = 0U; i < io->width && reg + i < UART_REGS; i++) {
		uint8_t byte = (uint8_t)(io->value >> (8U * i));

		if (io->write) {
			access_write(u, reg + i, byte);
		} else {
			access_read(u, reg + i, &byte);
			io->value &= ~(0xFFUL << (8U * i));
			io->value |= (uint64_t)byte << (8U * i);
		}
	}
}

static void port_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	struct vuart *u = arg;

	(void)vcpu;
	vuart_access(u, (uint32_t)(io->addr - u->cfg->port), io);
}

int vuart_take(struct vuart *u)
{
	bool was_full;
	int c = -1;

	spin_lock(&u->lock);
	was_full = !has_room(&u->tx);
	if (u->tx.count != 0U) {
		c = ring_get(&u->tx);
	}
	if (u->live && was_full && has_room(&u->tx)) {
		u->thre_pending = true;
		update_irq(u);
	}
	spin_unlock(&u->lock);
	return c;
}

bool vuart_is_full(const struct vuart *u)
{
	return !has_room(&u->tx);
}

bool vuart_give(struct vuart *u, uint8_t c)
{
	bool room;

	spin_lock(&u->lock);
	room = !u->live || u->rx.count < u->rx.size;
	/* A looped-back UART does not hear the line. */
	if (u->live && room && (u->mcr & MCR_LOOP) == 0U) {
		ring_put(&u->rx, c);
		update_irq(u);
	}
	spin_unlock(&u->lock);
	return room;
}

void vuart_give_break(struct vuart *u)
{
	spin_lock(&u->lock);
	u->brk = true;
	update_irq(u);
	spin_unlock(&u->lock);
}

static void ring_alloc(struct ring *r, uint32_t size)
{
	r->buf = boot_alloc(size, 8U);
	r->size = size;
}

/* Memory for every configured vUART; VMs come and go, their vUARTs' memory stays. */
static int vuart_boot(void)
{
	for (uint16_t i = 0U; i < vm_config_count; i++) {
		const struct vm_vuart_config *cfg = vm_configs[i].vuart;

		for (uint32_t n = 0U; n < VM_VUART_NUM; n++) {
			if (cfg[n].type == VUART_NONE) {
				continue;
			}
			if (vuarts[i] == NULL) {
				vuarts[i] = boot_alloc(VM_VUART_NUM * sizeof(struct vuart), 64U);
			}
			vuarts[i][n].cfg = &cfg[n];
			ring_alloc(&vuarts[i][n].rx, CONFIG_VUART_RX_BUF);
			if (cfg[n].peer == VUART_PEER_CONSOLE) {
				ring_alloc(&vuarts[i][n].tx, CONFIG_VUART_TX_BUF);
			}
		}
	}
	for (uint16_t i = 0U; i < vm_config_count; i++) {
		for (uint32_t n = 0U; n < VM_VUART_NUM && vuarts[i] != NULL; n++) {
			struct vuart *u = &vuarts[i][n];

			if (u->cfg == NULL || u->cfg->peer != VUART_PEER_VM) {
				continue;
			}
			if (u->cfg->peer_vm < vm_config_count && vuarts[u->cfg->peer_vm] != NULL) {
				u->peer = &vuarts[u->cfg->peer_vm][u->cfg->peer_index % VM_VUART_NUM];
			}
		}
	}
	return 0;
}

struct vuart *vuart_pci_find(const struct vm *vm, uint32_t index)
{
	struct vuart *set = (vm->config != NULL) ? vuarts[vm->config - vm_configs] : NULL;

	for (uint32_t n = 0U; n < VM_VUART_NUM && set != NULL; n++) {
		const struct vm_vuart_config *cfg = set[n].cfg;

		if (cfg != NULL && cfg->type == VUART_PCI && cfg->pci_index == index) {
			return &set[n];
		}
	}
	return NULL;
}

void vuart_connect(struct vuart *u, struct vm *vm, struct vfunc *f, void (*raise)(struct vfunc *))
{
	u->vm = vm;
	u->f = f;
	u->raise = raise;
	u->irq_high = false;
	u->tx.head = u->tx.count = 0U;
	registers_reset(u);
	u->live = true;
	tell(u->peer);
}

void vuart_disconnect(struct vuart *u)
{
	spin_lock(&u->lock);
	u->live = false;
	spin_unlock(&u->lock);
	tell(u->peer);
}

bool vuart_is_connected(const struct vuart *u)
{
	return u->live;
}

static void vuart_vm_deinit(struct vm *vm)
{
	for (uint32_t n = 0U; n < VM_VUART_NUM && vm->vuart != NULL; n++) {
		struct vuart *u = &vm->vuart[n];

		if (!u->live) {
			continue;
		}
		if (u->cfg->peer == VUART_PEER_CONSOLE) {
			vuart_console->detach(u);
		}
		vuart_disconnect(u);
	}
	vm->vuart = NULL;
}

static int vuart_vm_init(struct vm *vm)
{
	struct vuart *set = (vm->config != NULL) ? vuarts[vm->config - vm_configs] : NULL;

	vm->vuart = set;
	for (uint32_t n = 0U; n < VM_VUART_NUM && set != NULL; n++) {
		struct vuart *u = &set[n];
		int err;

		if (u->cfg == NULL || u->cfg->type != VUART_LEGACY ||
		    (u->cfg->peer == VUART_PEER_CONSOLE && vuart_console == NULL)) {
			continue;
		}
		err = vio_add_pio(vm, u->cfg->port, UART_REGS, port_io, u);
		if (err != 0) {
			pr_err("%s: vUART at port 0x%x overlaps another device", vm->name,
			       u->cfg->port);
			vuart_vm_deinit(vm);
			return err;
		}
		vuart_connect(u, vm, NULL, NULL);
		if (u->cfg->peer == VUART_PEER_CONSOLE) {
			vuart_console->attach(vm, u);
		}
	}
	return 0;
}

static void vuart_vm_reset(struct vm *vm)
{
	for (uint32_t n = 0U; n < VM_VUART_NUM && vm->vuart != NULL; n++) {
		struct vuart *u = &vm->vuart[n];

		if (!u->live) {
			continue;
		}
		spin_lock(&u->lock);
		registers_reset(u);
		spin_unlock(&u->lock);
		tell(u->peer);
	}
}

UNIT(vuart) = {
	.name = "vuart",
	.level = UNIT_DEV,
	.boot = vuart_boot,
	.vm_init = vuart_vm_init,
	.vm_reset = vuart_vm_reset,
	.vm_deinit = vuart_vm_deinit,
};
