// SPDX-License-Identifier: BSD-3-Clause
/* UEFI firmware in place of a kernel (--ovmf), and the devices that only its VMs have. */
#ifndef DM_FIRMWARE_H
#define DM_FIRMWARE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/acrn.h>

struct vm;

/* The flash ends where 4 GB do; what is below it are the interrupt controllers. */
#define FIRMWARE_END	   0x100000000ULL
#define FIRMWARE_MAX	   0x400000ULL
#define FIRMWARE_VARS_SIZE 0x20000U /* in a file that is both variables and code, the first */

/* What OVMF takes for the chip set (an i440FX), so that it looks for all else where it is. */
#define FIRMWARE_PM	 "1:3,piix4pm"
#define FIRMWARE_PM_PORT 0xb000U

bool firmware_given(const struct vm *vm);

/* Tell the firmware of the machine, and start it at its reset vector. */
int load_ovmf(struct vm *vm, struct acrn_vcpu_regs *regs);

/* What fw_cfg tells: once the devices exist, before each start. -ENOMEM, -ENOSPC: logged. */
int fw_cfg_fill(struct vm *vm);

#endif
