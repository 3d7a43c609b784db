// SPDX-License-Identifier: BSD-3-Clause
/*
 * acrnctl: manages User VMs from a shell of the Service VM. This file is the table of what it can
 * do and the help; the work is in the files beside it. What a VM is asked goes to its acrn-dm
 * directly; acrnd is needed to start one.
 */
#include "acrnctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct subcommand subcommands[] = {
	{"list", "list", 0, 0, do_list},
	{"start", "start NAME", 1, 1, do_start},
	{"wake", "wake NAME SECONDS", 2, 2, do_wake},
	{"stop", "stop [-f] NAME", 1, 2, do_stop},
	{"reset", "reset NAME", 1, 1, do_reset},
	{"pause", "pause NAME", 1, 1, do_pause},
	{"resume", "resume NAME", 1, 1, do_resume},
	{"blkrescan", "blkrescan NAME SLOT,FILE", 2, 2, do_blkrescan},
	{"add", "add SCRIPT [NAME]", 1, 3, do_add},
	{"del", "del NAME", 1, 1, do_del},
	{"version", "version", 0, 0, do_version},
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static const char help[] =
	"NAME\n"
	"    acrnctl - manage User VMs\n"
	"\n"
	"SYNOPSIS\n"
	"    acrnctl COMMAND [ARGUMENTS]\n"
	"\n"
	"DESCRIPTION\n"
	"    Run it in the Service VM, as root. A VM is known by its name, the last word of\n"
	"    its acrn-dm command line.\n"
	"\n"
	"    list                      the VMs that run, and those that were added, with their\n"
	"                              state: started, paused, stopped; untracked: it was not "
	"added\n"
	"    add SCRIPT [NAME]         make a VM known: SCRIPT launches it by acrn-dm. It is\n"
	"                              copied, so its paths must be absolute. NAME is needed\n"
	"                              only where it cannot be told from the script\n"
	"    del NAME                  forget a VM that was added and does not run\n"
	"    start NAME                run the VM's script, by acrnd, and wait for the VM\n"
	"    wake NAME SECONDS         have acrnd start the VM so many seconds from now; a "
	"machine\n"
	"                              that is off by then is woken, if its clock can do that\n"
	"    stop NAME                 press the VM's power button and wait until it is off,\n"
	"                              at most a minute\n"
	"    stop -f NAME              switch the VM off at once; its guest loses what it has\n"
	"                              not written yet\n"
	"    reset NAME                press the VM's reset button: the guest boots anew\n"
	"    pause NAME                stop the VM's processors where they are\n"
	"    resume NAME               let them go on\n"
	"    blkrescan NAME SLOT,FILE  put FILE into the empty virtio-blk disk in SLOT, or\n"
	"                              tell the guest that FILE, which it has, has grown\n"
	"    version                   versions of this program, acrn-dm and the hypervisor\n"
	"\n"
	"EXIT STATUS\n"
	"    0  done                            4  the VM is not in the state this needs\n"
	"    1  refused, or no answer           5  no permission\n"
	"    2  wrong command line              6  acrnd does not run\n"
	"    3  there is no such VM\n"
	"\n"
	"FILES\n"
	"    /run/acrn/mngr            sockets of the VMs that run, NAME.PID.socket\n"
	"    /usr/share/acrn/conf/add  scripts of the VMs that were added, NAME.sh\n"
	"    /var/log/acrn             what scripts and acrn-dm wrote to stderr, NAME.log\n";

enum status fail(enum status status, const char *fmt, ...)
{
	va_list ap;

	fputs("acrnctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

static enum status run(const struct subcommand *command, int argc, char **argv)
{
	if (argc - 1 < command->min_words || argc - 1 > command->max_words)
		return fail(STATUS_USAGE, "the form is acrnctl %s", command->usage);
	return command->run(argc, argv);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return (int)fail(STATUS_USAGE, "what shall be done? acrnctl --help tells");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		fputs(help, stdout);
		return STATUS_OK;
	}
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		if (strcmp(argv[1], subcommands[i].name) == 0)
			return (int)run(&subcommands[i], argc - 1, argv + 1);
	}
	return (int)fail(STATUS_USAGE, "there is no command \"%s\"; acrnctl --help lists them",
			 argv[1]);
}
