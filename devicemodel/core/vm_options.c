// SPDX-License-Identifier: BSD-3-Clause
/*
 * The options that say what the VM is: memory, CPUs, software. Parsers only;
 * options.c calls them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_map.h"
#include "gmem.h"
#include "log.h"
#include "options.h"
#include "vm.h"

#define ARG_MAX_LEN 1023U
#define POLL_MAX_NS 10000000U

static int take_string(const char *option, const char *arg, const char **out)
{
	if (arg[0] == '\0' || strlen(arg) > ARG_MAX_LEN) {
		log_err("%s takes 1 to %u characters", option, ARG_MAX_LEN);
		return -EINVAL;
	}
	*out = arg;
	return 0;
}

/* N with B, K, M or G behind it; a bare number below 1048576 is in MB. */
static int parse_memory(struct vm_config *cfg, const char *arg)
{
	static const char units[] = "bkmg";
	unsigned long long number;
	unsigned int shift = 0;
	char *end;

	errno = 0;
	number = strtoull(arg, &end, 0);
	if (end == arg || arg[0] == '-' || errno)
		goto bad;
	if (*end == '\0') {
		shift = number < 1ULL << 20 ? 20 : 0;
	} else {
		const char *unit = strchr(units, *end | 0x20);

		if (!unit || end[1] != '\0')
			goto bad;
		shift = 10U * (unsigned int)(unit - units);
	}
	if (number == 0 || number > UINT64_MAX >> shift)
		goto bad;
	if (number << shift > GMEM_MAX) {
		log_err("-m %s: at most %lluM", arg, GMEM_MAX >> 20);
		return -EINVAL;
	}
	cfg->mem_size = number << shift;
	return 0;
bad:
	log_err("-m %s: memory is a number with B, K, M or G behind it, as 512M", arg);
	return -EINVAL;
}

static const struct option_def memory_option = {
	.level = 10,
	.short_name = 'm',
	.long_name = "memsize",
	.arg = "N{B,K,M,G}",
	.help = "memory of the VM, default 256M",
	.parse = parse_memory,
};
OPTION(memory_option);

static int take_kernel(struct vm_config *cfg, const char *option, const char *arg, bool is_elf)
{
	if (cfg->kernel && cfg->is_elf != is_elf) {
		log_err("a VM has one kernel: -k or -E");
		return -EINVAL;
	}
	cfg->is_elf = is_elf;
	return take_string(option, arg, &cfg->kernel);
}

static int parse_kernel(struct vm_config *cfg, const char *arg)
{
	return take_kernel(cfg, "-k", arg, false);
}

static const struct option_def kernel_option = {
	.level = 20,
	.short_name = 'k',
	.long_name = "kernel",
	.arg = "file",
	.help = "Linux kernel (bzImage)",
	.parse = parse_kernel,
};
OPTION(kernel_option);

static int parse_elf(struct vm_config *cfg, const char *arg)
{
	return take_kernel(cfg, "-E", arg, true);
}

static const struct option_def elf_option = {
	.level = 25,
	.short_name = 'E',
	.long_name = "elf_file",
	.arg = "file",
	.help = "ELF kernel, multiboot or not",
	.parse = parse_elf,
};
OPTION(elf_option);

static int parse_ramdisk(struct vm_config *cfg, const char *arg)
{
	return take_string("-r", arg, &cfg->ramdisk);
}

static const struct option_def ramdisk_option = {
	.level = 30,
	.short_name = 'r',
	.long_name = "ramdisk",
	.arg = "file",
	.help = "initial ramdisk, or multiboot module",
	.parse = parse_ramdisk,
};
OPTION(ramdisk_option);

static int parse_bootargs(struct vm_config *cfg, const char *arg)
{
	return take_string("-B", arg, &cfg->bootargs);
}

static const struct option_def bootargs_option = {
	.level = 40,
	.short_name = 'B',
	.long_name = "bootargs",
	.arg = "string",
	.help = "command line of the kernel",
	.parse = parse_bootargs,
};
OPTION(bootargs_option);

/* Local APIC ids of the Service VM, to the hypervisor's bitmap of CPUs. */
static int parse_cpu_affinity(struct vm_config *cfg, const char *arg)
{
	const char *at = arg;
	uint64_t bitmap = 0;

	for (;;) {
		char *end;
		unsigned long id = strtoul(at, &end, 10);
		int cpu;

		if (end == at || *at < '0' || *at > '9' || (*end != '\0' && *end != ',')) {
			log_err("--cpu_affinity %s: the form is a list of local APIC ids, as 0,2",
				arg);
			return -EINVAL;
		}
		cpu = cpu_map_from_apic_id(id);
		if (cpu < 0 || cpu > 63) {
			log_err("--cpu_affinity %s: no CPU has the local APIC id %lu", arg, id);
			return -EINVAL;
		}
		if (bitmap & 1ULL << cpu) {
			log_err("--cpu_affinity %s: %lu is there twice", arg, id);
			return -EINVAL;
		}
		bitmap |= 1ULL << cpu;
		if (*end == '\0')
			break;
		at = end + 1;
	}
	cfg->cpu_affinity = bitmap;
	return 0;
}

static const struct option_def affinity_option = {
	.level = 50,
	.long_name = "cpu_affinity",
	.arg = "id,id,...",
	.help = "its CPUs by local APIC id, a vCPU each",
	.parse = parse_cpu_affinity,
};
OPTION(affinity_option);

static int parse_rtvm(struct vm_config *cfg, const char *arg)
{
	(void)arg;
	cfg->rtvm = true;
	return 0;
}

static const struct option_def rtvm_option = {
	.level = 52,
	.long_name = "rtvm",
	.help = "real-time VM: its CPUs are its own",
	.parse = parse_rtvm,
};
OPTION(rtvm_option);

static int parse_lapic_pt(struct vm_config *cfg, const char *arg)
{
	(void)arg;
	cfg->lapic_pt = true;
	return 0;
}

static const struct option_def lapic_pt_option = {
	.level = 54,
	.long_name = "lapic_pt",
	.help = "part of --rtvm, as in ACRN",
	.parse = parse_lapic_pt,
};
OPTION(lapic_pt_option);

static int parse_virtio_msi(struct vm_config *cfg, const char *arg)
{
	(void)arg;
	cfg->virtio_msi = true;
	return 0;
}

static const struct option_def virtio_msi_option = {
	.level = 62,
	.long_name = "virtio_msi",
	.help = "virtio devices have MSI, not MSI-X",
	.parse = parse_virtio_msi,
};
OPTION(virtio_msi_option);

static int parse_virtio_poll(struct vm_config *cfg, const char *arg)
{
	char *end;

	errno = 0;
	cfg->poll_ns = strtoull(arg, &end, 0);
	if (errno || end == arg || *end != '\0' || arg[0] == '-' || cfg->poll_ns == 0 ||
	    cfg->poll_ns > POLL_MAX_NS) {
		log_err("--virtio_poll %s: takes 1 to %u nanoseconds", arg, POLL_MAX_NS);
		return -EINVAL;
	}
	return 0;
}

static const struct option_def virtio_poll_option = {
	.level = 63,
	.long_name = "virtio_poll",
	.arg = "ns",
	.help = "look at disks' and networks' queues so often",
	.parse = parse_virtio_poll,
};
OPTION(virtio_poll_option);
