/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ACRN_RING_FUNCTION_H
#define ACRN_RING_FUNCTION_H

/*
 * The PCI function through which the Service VM's programs read log and trace, and have the
 * console of a machine without a serial port (doc/abi/rings.md). Only numbers, for the hypervisor
 * and the tools. The ids are of the range that QEMU's makers left for experiments.
 */
#define RINGS_VENDOR 0x1AF4U
#define RINGS_DEVICE 0x10F7U
#define RINGS_CLASS  0xFF000001U /* of no class, revision 1 */

#define RINGS_BAR_REGS	  0U
#define RINGS_BAR_MEMORY  2U
#define RINGS_BAR_CONSOLE 4U /* a ring of characters; not there: the console is a serial port */

/* 32-bit registers; those not marked are read-only. Others read 0. */
#define RINGS_REG_MAGIC		0x00U
#define RINGS_REG_VERSION	0x04U
#define RINGS_REG_API		0x08U /* of the hypercalls: major << 16 | minor */
#define RINGS_REG_TSC_KHZ	0x0CU
#define RINGS_REG_CPUS		0x10U
#define RINGS_REG_STRIDE	0x14U /* bytes of BAR 2 for each CPU */
#define RINGS_REG_LOG		0x18U /* where in them the ring of the log is */
#define RINGS_REG_TRACE		0x1CU /* and that of the trace */
#define RINGS_REG_TRACE_ON	0x40U /* written: bit 0 */
#define RINGS_REG_CONSOLE_LEVEL 0x44U /* written */
#define RINGS_REG_LOG_LEVEL	0x48U /* written: of the log's rings */
#define RINGS_REG_KEY		0x4CU /* written: a key for the console, with RINGS_KEY */
#define RINGS_KEY		0x100U /* read: there is no room for one */

#define RINGS_MAGIC   0x474E5252U /* "RRNG" */
#define RINGS_VERSION 1U

#endif
