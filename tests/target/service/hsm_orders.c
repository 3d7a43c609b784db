// SPDX-License-Identifier: BSD-3-Clause
/*
 * A user of the Linux HSM that gets everything wrong: requests for no VM, in the wrong order, with
 * wrong numbers, from two processes at once, and a VMCALL of its own. Prints a line for each, then
 * does it right. Runs as root in the Service VM, linked statically.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/acrn.h>

static int hsm;
static uint8_t requests[4096] __attribute__((aligned(4096)));
static uint8_t memory[0x4000] __attribute__((aligned(4096)));

static void expect(const char *what, int ret, int error)
{
	int got = ret < 0 ? errno : 0;

	printf("orders: %s: %s (%s)\n", got == error ? "ok" : "WRONG", what, strerror(got));
	fflush(stdout);
}

#define EXPECT(error, request, ...) expect(#request, ioctl(hsm, request, ##__VA_ARGS__), error)

static struct acrn_vm_creation creation(void)
{
	struct acrn_vm_creation c = {.ioreq_buf = (uintptr_t)requests};

	memcpy(&c.uuid, "orders", 7);
	return c;
}

/* The HSM destroys one VM for each time it was opened, and no second one. */
static void reopen(void)
{
	if (hsm > 0)
		close(hsm);
	hsm = open("/dev/acrn_hsm", O_RDWR | O_CLOEXEC);
	expect("open", hsm, 0);
}

/* Every request that needs a VM, without one. */
static void without_a_vm(void)
{
	struct acrn_vcpu_regs regs = {0};
	struct acrn_msi_entry msi = {.msi_addr = 0xfee00000, .msi_data = 0x40};
	struct acrn_vm_memmap map = {0};

	EXPECT(EINVAL, ACRN_IOCTL_START_VM);
	EXPECT(EINVAL, ACRN_IOCTL_PAUSE_VM);
	EXPECT(EINVAL, ACRN_IOCTL_RESET_VM);
	EXPECT(EINVAL, ACRN_IOCTL_DESTROY_VM);
	EXPECT(EINVAL, ACRN_IOCTL_SET_VCPU_REGS, &regs);
	EXPECT(EINVAL, ACRN_IOCTL_INJECT_MSI, &msi);
	EXPECT(EINVAL, ACRN_IOCTL_SET_IRQLINE, 5);
	EXPECT(EINVAL, ACRN_IOCTL_SET_MEMSEG, &map);
}

static void wrong_order(void)
{
	struct acrn_vm_creation c = creation();
	struct acrn_vcpu_regs regs = {.vcpu_id = 0, .vcpu_regs = {.cr0 = 0x30, .cs_ar = 0x9f}};

	EXPECT(0, ACRN_IOCTL_CREATE_VM, &c);
	EXPECT(EINVAL, ACRN_IOCTL_RESET_VM);
	regs.vcpu_regs.cr0 = 1UL << 40;
	EXPECT(EINVAL, ACRN_IOCTL_SET_VCPU_REGS, &regs);
	regs.vcpu_regs.cr0 = 0x30;
	regs.vcpu_id = 500;
	EXPECT(EINVAL, ACRN_IOCTL_SET_VCPU_REGS, &regs);
	EXPECT(EINVAL, ACRN_IOCTL_SET_IRQLINE, 7UL << 32 | 5);
	EXPECT(0, ACRN_IOCTL_PAUSE_VM);
	EXPECT(0, ACRN_IOCTL_START_VM);
	EXPECT(EINVAL, ACRN_IOCTL_RESET_VM);
	EXPECT(0, ACRN_IOCTL_PAUSE_VM);
	EXPECT(0, ACRN_IOCTL_PAUSE_VM);
	EXPECT(0, ACRN_IOCTL_RESET_VM);
	EXPECT(EINVAL, ACRN_IOCTL_RESET_VM);
	EXPECT(0, ACRN_IOCTL_DESTROY_VM);
	EXPECT(EINVAL, ACRN_IOCTL_DESTROY_VM);
}

/* The VM of another process has the name; it dies with the process, which is killed. */
static void two_processes(void)
{
	struct acrn_vm_creation c = creation();
	int pipes[2], status;
	pid_t child;

	if (pipe(pipes) != 0)
		return;
	child = fork();
	if (child == 0) {
		hsm = open("/dev/acrn_hsm", O_RDWR | O_CLOEXEC);
		status = ioctl(hsm, ACRN_IOCTL_CREATE_VM, &c);
		(void)!write(pipes[1], &status, sizeof(status));
		pause();
	}
	(void)!read(pipes[0], &status, sizeof(status));
	expect("the other's CREATE_VM", status, 0);
	EXPECT(EINVAL, ACRN_IOCTL_CREATE_VM, &c); /* the HSM drops the -EEXIST */
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	EXPECT(0, ACRN_IOCTL_CREATE_VM, &c);
	EXPECT(0, ACRN_IOCTL_DESTROY_VM);
}

/* An RTVM, which asks for port 0x80 and then writes S5: nobody may end it before. */
static void rtvm(void)
{
	static const uint8_t code[] = {
		0xe4, 0x80,			    /* in $0x80, %al */
		0xba, 0x04, 0x04, 0xb8, 0x00, 0x34, /* mov $0x404, %dx; mov $0x3400, %ax */
		0xef, 0xf4,			    /* out %ax, %dx; hlt */
	};
	struct acrn_vm_creation c = creation();
	struct acrn_vcpu_regs regs = {
		.vcpu_regs = {.cr0 = 0x30, .cs_ar = 0x9f, .cs_limit = 0xffff, .rip = 0x1000}};
	struct acrn_vm_memmap map = {.type = ACRN_MEMMAP_RAM,
				     .attr = ACRN_MEM_ACCESS_RWX | ACRN_MEM_TYPE_WB,
				     .len = sizeof(memory)};

	struct acrn_ioreq_notify notify = {.vcpu = 0};

	map.vma_base = (uintptr_t)memory;
	c.vm_flag = 1U << 4; /* GUEST_FLAG_RT */
	memcpy(&memory[0x1000], code, sizeof(code));
	EXPECT(0, ACRN_IOCTL_CREATE_VM, &c);
	EXPECT(0, ACRN_IOCTL_SET_MEMSEG, &map);
	EXPECT(0, ACRN_IOCTL_SET_VCPU_REGS, &regs);
	EXPECT(0, ACRN_IOCTL_CREATE_IOREQ_CLIENT);
	EXPECT(0, ACRN_IOCTL_START_VM);
	EXPECT(0, ACRN_IOCTL_PAUSE_VM);
	EXPECT(EINVAL, ACRN_IOCTL_RESET_VM);
	EXPECT(EPERM, ACRN_IOCTL_DESTROY_VM);
	EXPECT(0, ACRN_IOCTL_ATTACH_IOREQ_CLIENT);
	notify.vmid = c.vmid;
	EXPECT(0, ACRN_IOCTL_NOTIFY_REQUEST_FINISH, &notify);
	EXPECT(0, ACRN_IOCTL_ATTACH_IOREQ_CLIENT);
	printf("orders: %s: the RTVM's request\n", *(uint32_t *)&requests[72] == 0x404 ? "ok" : "WRONG");
	EXPECT(0, ACRN_IOCTL_PAUSE_VM);
	EXPECT(0, ACRN_IOCTL_DESTROY_VM);
}

/* User space makes no hypercall: #GP, which Linux makes a SIGSEGV. */
static void own_vmcall(void)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		__asm__ volatile("mov $0x80000010, %%r8d; vmcall" : : "D"(0), "S"(0) : "r8", "rax");
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("orders: %s: VMCALL of user space, signal %d\n",
	       WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? "ok" : "WRONG",
	       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int main(void)
{
	struct acrn_vm_creation c = creation();

	reopen();
	without_a_vm();
	wrong_order();
	reopen();
	two_processes();
	reopen();
	rtvm();
	reopen();
	own_vmcall();
	EXPECT(0, ACRN_IOCTL_CREATE_VM, &c);
	EXPECT(0, ACRN_IOCTL_START_VM);
	EXPECT(EINVAL, ACRN_IOCTL_START_VM);
	EXPECT(0, ACRN_IOCTL_DESTROY_VM);
	printf("orders: done\n");
	return 0;
}
