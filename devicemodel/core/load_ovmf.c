// SPDX-License-Identifier: BSD-3-Clause
/*
 * A VM that starts with UEFI firmware: the option --ovmf, and the state of the first vCPU, which is
 * that of a processor after reset. The firmware itself is in the flash (platform/flash.c), and
 * hears of the machine by fw_cfg (platform/fw_cfg.c). Main thread, no state.
 */
#include <errno.h>
#include <string.h>

#include "firmware.h"
#include "load.h"
#include "log.h"
#include "options.h"
#include "pci.h"
#include "vm.h"

#define RESET_CS      0xf000U
#define RESET_CS_BASE 0xffff0000ULL
#define RESET_IP      0xfff0U
#define CODE16_ACCESS 0x9bU
#define CR0_ET	      0x10U
#define CR0_NE	      0x20U
#define RFLAGS_ONE    0x2U

bool firmware_given(const struct vm *vm)
{
	return vm->cfg.ovmf.vars != NULL;
}

int load_ovmf(struct vm *vm, struct acrn_vcpu_regs *regs)
{
	struct acrn_regs *r = &regs->vcpu_regs;

	memset(regs, 0, sizeof(*regs));
	r->cr0 = CR0_ET | CR0_NE;
	r->rflags = RFLAGS_ONE;
	r->rip = RESET_IP;
	r->cs_sel = RESET_CS;
	r->cs_base = RESET_CS_BASE;
	r->cs_ar = CODE16_ACCESS;
	r->cs_limit = UINT16_MAX;
	r->gdt.limit = UINT16_MAX;
	r->idt.limit = UINT16_MAX;
	return fw_cfg_fill(vm);
}

/* [w,]file or [w,]code=file,vars=file; *at is cut into words. */
static bool take_files(struct vm_ovmf *ovmf, char *at)
{
	char *word;

	while ((word = strsep(&at, ",")) != NULL) {
		if (strcmp(word, "w") == 0 && !ovmf->write && !ovmf->vars && !ovmf->code)
			ovmf->write = true;
		else if (strncmp(word, "code=", 5) == 0 && word[5] != '\0' && !ovmf->code)
			ovmf->code = word + 5;
		else if (strncmp(word, "vars=", 5) == 0 && word[5] != '\0' && !ovmf->vars)
			ovmf->vars = word + 5;
		else if (*word != '\0' && !ovmf->vars && !ovmf->code && !at)
			return (ovmf->vars = word) != NULL;
		else
			return false;
	}
	return ovmf->code && ovmf->vars;
}

static int parse_ovmf(struct vm_config *cfg, const char *arg)
{
	struct vm_ovmf *ovmf = &cfg->ovmf;

	if (ovmf->vars) {
		log_err("--ovmf is given twice");
		return -EINVAL;
	}
	if (strlen(arg) >= sizeof(ovmf->text) ||
	    !take_files(ovmf, memcpy(ovmf->text, arg, strlen(arg) + 1))) {
		log_err("--ovmf %s: the form is [w,]file or [w,]code=file,vars=file", arg);
		return -EINVAL;
	}
	return pci_slot_parse(cfg, FIRMWARE_PM);
}

static const struct option_def ovmf_option = {
	.level = 27,
	.long_name = "ovmf",
	.arg = "[w,]file",
	.help = "UEFI firmware; w writes what it stores",
	.parse = parse_ovmf,
};
OPTION(ovmf_option);
