/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VUART_H
#define HV_VUART_H

#include "lib/types.h"

struct vm;
struct vuart;
struct vfunc;
struct io_access;

/*
 * The virtual 16550s of a VM (VM_VUART_NUM at most, from its configuration). No character is lost:
 * while the other end has no room the transmitter is not empty, and the guest waits.
 */

/*
 * The console behind vUARTs of VUART_PEER_CONSOLE; debug/console.c sets it at boot. Where there is
 * none (a release) such a vUART is not created, and the port is the machine's own.
 */
struct vuart_console {
	void (*attach)(struct vm *vm, struct vuart *u); /* a VM with such a vUART has been created */
	void (*detach)(struct vuart *u);
	/* The guest sent something, or looks for room that is not there. Own CPU, no lock held. */
	void (*output)(struct vuart *u);
};
extern const struct vuart_console *vuart_console;

/*
 * For the PCI function that a vUART is in: the VM's number `index` of VUART_PCI, or NULL; it is
 * there, with its interrupts by raise(f), or no more; an access to its registers from `reg` on.
 */
struct vuart *vuart_pci_find(const struct vm *vm, uint32_t index);
void vuart_connect(struct vuart *u, struct vm *vm, struct vfunc *f, void (*raise)(struct vfunc *f));
void vuart_disconnect(struct vuart *u);
bool vuart_is_connected(const struct vuart *u);
void vuart_access(struct vuart *u, uint32_t reg, struct io_access *io);

/* For the other end, any CPU: the next character the guest sent, or -1. */
int vuart_take(struct vuart *u);

/* The guest waits until something is taken. */
bool vuart_is_full(const struct vuart *u);

/* The guest receives a character (or a break). False: no room, offer it again later. */
bool vuart_give(struct vuart *u, uint8_t c);
void vuart_give_break(struct vuart *u);

#endif
