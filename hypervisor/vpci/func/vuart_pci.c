// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtual UART as a PCI function, MCS9900 (9710:9900): registers at the start of BAR 0, a message
 * for its interrupt in BAR 1. Those of post-launched VMs are made by hypercall, others with their
 * VM. All that a UART does is vuart.c's, which also has the locks.
 */
#include "hv/log.h"
#include "hv/unit.h"
#include "hv/vfunc.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "hv/vuart.h"
#include "lib/errno.h"
#include "lib/string.h"

#define VENDOR	  0x9710U
#define DEVICE	  0x9900U
#define BAR_UART  0U
#define BAR_MSIX  1U
#define PREFIX	  "vuart_idx:"
#define PREFIX_LEN 10U

static void raise(struct vfunc *f)
{
	vfunc_raise(f, 0U);
}

static int vuart_init(struct vfunc *f, const struct vfunc_args *args)
{
	struct vm *vm = vfunc_vm(f);
	struct vuart *u = NULL;
	const char *end = "";
	uint64_t index;

	if (args != NULL && strncmp(args->text, PREFIX, PREFIX_LEN) == 0 &&
	    string_to_u64(&args->text[PREFIX_LEN], &end, &index) == 0 && *end == '\0' &&
	    index <= VM_VUART_NUM) {
		u = vuart_pci_find(vm, (uint32_t)index);
	}
	if (u == NULL) {
		pr_err("%s: it has no PCI vUART %.32s", vm->name, args != NULL ? args->text : "");
		return -ENOENT;
	}
	if (vuart_is_connected(u)) {
		pr_err("%s: it has PCI vUART %.32s already", vm->name, args->text);
		return -EEXIST;
	}
	vfunc_bar_trap(f, BAR_UART, PAGE_SIZE);
	vfunc_msix(f, BAR_MSIX, 1U);
	vfunc_set_priv(f, u);
	vuart_connect(u, vm, f, raise);
	return 0;
}

static void vuart_deinit(struct vfunc *f)
{
	vuart_disconnect(vfunc_priv(f));
}

static void bar_access(struct vfunc *f, uint32_t bar, uint64_t offset, struct io_access *io)
{
	(void)bar;
	if (offset < 8U) {
		vuart_access(vfunc_priv(f), (uint32_t)offset, io);
	}
}

/* The subsystem is what Linux knows one port of this chip by. */
VFUNC(vuart, .name = "vUART", .vendor = VENDOR, .device = DEVICE, .sub_vendor = 0xA000,
      .sub_device = 0x1000, .class_rev = 0x07000200 /* 16550 */, .init = vuart_init,
      .deinit = vuart_deinit, .access = bar_access);

static int vuart_pci_vm_init(struct vm *vm)
{
	for (uint32_t n = 0U; n < VM_VUART_NUM && vm->load_order != POST_LAUNCHED_VM; n++) {
		const struct vm_vuart_config *cfg = &vm->config->vuart[n];
		struct vfunc_args args = {.text = PREFIX "0"};

		if (cfg->type == VUART_PCI) {
			args.text[PREFIX_LEN] = (char)('0' + cfg->pci_index);
			vfunc_create_at(vm, vfunc_type_find(VENDOR, DEVICE), cfg->pci_bdf, &args);
		}
	}
	return 0;
}

UNIT(vuart_pci) = {
	.name = "vuart_pci",
	.level = UNIT_DEV + 1U,
	.vm_init = vuart_pci_vm_init,
};
