// SPDX-License-Identifier: BSD-3-Clause
/*
 * acrn-dm: the device model of one User VM. This file is the table of contents:
 * parse, create, boot, run, tear down. The main thread serves the guest's I/O
 * requests; the thread "dm-events" runs the event loop of timers and
 * descriptors, signals among them; "dm-monitor" answers other programs.
 *
 * SIGINT, SIGTERM and SIGHUP press the power button. A guest that does not listen
 * to it, the second signal, or the end of the guest's time powers the VM off, unless it is an RTVM.
 *
 * Exit status: 0 the guest powered off or a signal ended it, 1 the VM could not
 * be made or broke, 2 the command line is wrong, other: what the guest wrote to
 * the debug exit port.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "dry_run.h"
#include "iothread.h"
#include "log.h"
#include "mevent.h"
#include "monitor.h"
#include "options.h"
#include "pm.h"
#include "power.h"
#include "rings.h"
#include "vm.h"

#define DEFAULT_MEMORY (256ULL << 20)
#define BIG_OBJECT     8192
#define HEAP_STEP      4096

/* What a guest has to shut down in; service managers wait 90 s before they kill. */
#define STOP_LIMIT_S 60U
#define NS_PER_S     1000000000ULL

struct signals {
	int fd;
	struct vm *vm;
	struct mevent *limit; /* armed by the first signal that the guest heard of */
	bool asked;
};

static void end_vm(struct vm *vm, const char *why)
{
	if (vm_ends_itself(vm)) {
		log_notice("%s: " VM_ENDS_ITSELF_TEXT, why);
	} else {
		log_notice("%s: powering the VM off", why);
		power_request(vm, POWER_OFF, 0);
	}
}

static void on_signal(void *arg, unsigned int events)
{
	struct signals *signals = arg;
	struct signalfd_siginfo info;
	const char *name;

	(void)events;
	if (read(signals->fd, &info, sizeof(info)) != sizeof(info))
		return;
	name = strsignal((int)info.ssi_signo);
	if (!signals->asked && pm_press_power_button(signals->vm) == 0 &&
	    mevent_timer_set(signals->limit, STOP_LIMIT_S * NS_PER_S, 0) == 0) {
		log_notice("%s: pressed the VM's power button; powering it off in %u s or at the "
			   "next signal",
			   name, STOP_LIMIT_S);
		signals->asked = true;
	} else {
		end_vm(signals->vm, name);
	}
}

static void on_limit(void *arg, unsigned int events)
{
	const struct signals *signals = arg;
	char why[64];

	(void)events;
	snprintf(why, sizeof(why), "the guest did not shut down in %u s", STOP_LIMIT_S);
	end_vm(signals->vm, why);
}

/* Before any thread exists, so that all inherit the mask. */
static int block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run(struct vm *vm)
{
	struct signals signals = {.fd = block_signals(), .vm = vm};
	struct iothread *events = iothread_create("dm-events");
	struct mevent *ev;
	int status = 1;

	if (!events)
		return 1;
	/* What takes time and the guest's first instructions do not need begins after them. */
	vm->loop = iothread_loop(events);
	if (vm_create(vm) != 0) {
		status = vm->misused ? 2 : 1;
	} else if (vm->cfg.dry_run) {
		status = dry_run(vm);
	} else {
		signals.limit = mevent_add_timer(vm->loop, on_limit, &signals);
		ev = mevent_add(vm->loop, signals.fd, MEVENT_READ, on_signal, &signals);
		if (signals.limit && ev && monitor_create(vm) == 0 && vm_boot(vm) == 0 &&
		    iothread_start(events) == 0 && monitor_start(vm, MONITOR_FOLDER) == 0)
			status = vm_run(vm);
		rings_stop_events(vm);
		monitor_destroy(vm);
		mevent_delete(ev, true);
		mevent_delete(signals.limit, true);
		vm_destroy(vm);
	}
	iothread_destroy(events);
	return status;
}

int main(int argc, char **argv)
{
	static struct vm vm = {.cfg.mem_size = DEFAULT_MEMORY};

	/* Of big objects little is used: the kernel clears those pages that are, on their first
	 * use. */
	(void)mallopt(M_MMAP_THRESHOLD, BIG_OBJECT);
	(void)mallopt(M_TOP_PAD, HEAP_STEP);
	switch (options_parse(argc, argv, &vm.cfg)) {
	case OPTIONS_DONE:
		return 0;
	case OPTIONS_ERROR:
		return 2;
	case OPTIONS_RUN:
	default:
		return run(&vm);
	}
}
