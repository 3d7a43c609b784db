// SPDX-License-Identifier: BSD-3-Clause
/*
 * Commands to the running VM and its sockets: one that acrnctl and acrnd look for, and that of
 * --cmd_monitor. They are served by the thread "dm-monitor", so that no client can keep the VM's
 * devices waiting; a command that touches what the guest's accesses touch does it by ioreq_call(),
 * the others are made for any thread. The main thread makes and destroys; takes no lock.
 */
#include "monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <jansson.h>

#include "ioreq.h"
#include "iothread.h"
#include "log.h"
#include "options.h"
#include "pci.h"
#include "pm.h"
#include "power.h"
#include "server.h"
#include "vm.h"

/* "vm_event" of an event object, ACRN's numbers. */
#define EVENT_RTC_CHANGE   0
#define EVENT_POWEROFF	   1
#define EVENT_TRIPLE_FAULT 2

struct monitor {
	struct iothread *thread;
	struct server *server;
};

static int parse_cmd_monitor(struct vm_config *cfg, const char *arg)
{
	if (arg[0] == '\0' || strlen(arg) > MONITOR_PATH_MAX) {
		log_err("--cmd_monitor takes a path of 1 to %u characters", MONITOR_PATH_MAX);
		return -EINVAL;
	}
	cfg->cmd_monitor = arg;
	return 0;
}

static const struct option_def cmd_monitor_option = {
	.level = 90,
	.long_name = "cmd_monitor",
	.arg = "path",
	.help = "take commands on a socket there too",
	.parse = parse_cmd_monitor,
};
OPTION(cmd_monitor_option);

/* --- commands --- */

static int end(struct request *req, enum power_action action)
{
	if (vm_ends_itself(req->arg))
		return request_refuse(req, VM_ENDS_ITSELF_TEXT);
	power_request(req->arg, action, 0);
	return 0;
}

static int destroy(struct request *req)
{
	return end(req, POWER_OFF);
}

static int reset(struct request *req)
{
	return end(req, POWER_RESET);
}

static int stop(struct request *req)
{
	if (pm_press_power_button(req->arg) == 0)
		return 0;
	return request_refuse(req, "the guest does not listen to its power button");
}

static int pause_vm(struct request *req)
{
	int err = vm_pause(req->arg);

	if (err == -EPERM)
		return request_refuse(req, VM_ENDS_ITSELF_TEXT);
	return err ? request_refuse(req, "%s", strerror(-err)) : 0;
}

static int resume_vm(struct request *req)
{
	int err = vm_resume(req->arg);

	return err ? request_refuse(req, "%s", strerror(-err)) : 0;
}

struct rescan {
	struct vm *vm;
	const char *text;
};

static int rescan(void *arg)
{
	const struct rescan *what = arg;

	return pci_bus_rescan(what->vm, what->text);
}

static const char *rescan_error(int err)
{
	switch (err) {
	case -EINVAL:
		return "the form is [bus:]slot[:func],file";
	case -ENODEV:
		return "there is no device in this slot";
	case -ENOTTY:
		return "this device has no disk to look at";
	case -EEXIST:
		return "the disk has another file, and only an empty one (nodisk) takes a new one";
	case -ERANGE:
		return "the file is smaller than the disk";
	case -EROFS:
		return "it cannot be written, and the guest was told that it can";
	case -ENOTBLK:
		return "it is neither a file nor a block device";
	case -ENODATA:
		return "it is smaller than a sector";
	case -EBUSY:
		return "it is in use by another disk or VM";
	default:
		return strerror(-err);
	}
}

static int blkrescan(struct request *req)
{
	struct rescan what = {req->arg, req->arguments};
	int err = ioreq_call(what.vm, rescan, &what);

	return err ? request_refuse(req, "%.256s: %s", what.text, rescan_error(err)) : 0;
}

static int query(struct request *req)
{
	const struct vm *vm = req->arg;

	(void)json_object_set_new(req->reply, "name", json_string(vm->cfg.name));
	(void)json_object_set_new(req->reply, "pid", json_integer(getpid()));
	(void)json_object_set_new(req->reply, "state",
				  json_string(vm->paused ? "paused" : "started"));
	return 0;
}

static int register_vm_event_client(struct request *req)
{
	req->answer->wants_events = true;
	return 0;
}

static const struct request_command commands[] = {
	{"blkrescan", blkrescan},
	{"destroy", destroy},
	{"pause", pause_vm},
	{"query", query},
	{"register_vm_event_client", register_vm_event_client},
	{"reset", reset},
	{"resume", resume_vm},
	{"stop", stop},
	{NULL, NULL},
};

/* --- events --- */

static void send_event(struct vm *vm, json_t *event)
{
	char line[256];
	size_t len = request_line(event, line, sizeof(line));

	if (len > 0)
		server_send_event(vm->monitor->server, line, len);
	json_decref(event);
}

void monitor_event_rtc(struct vm *vm, int64_t delta, int64_t last)
{
	if (vm->monitor)
		send_event(vm,
			   json_pack("{s:i, s:I, s:I}", "vm_event", EVENT_RTC_CHANGE, "delta_time",
				     (json_int_t)delta, "last_time", (json_int_t)last));
}

void monitor_event_poweroff(struct vm *vm)
{
	if (vm->monitor)
		send_event(vm, json_pack("{s:i}", "vm_event", EVENT_POWEROFF));
}

void monitor_event_triple_fault(struct vm *vm)
{
	if (vm->monitor)
		send_event(vm, json_pack("{s:i}", "vm_event", EVENT_TRIPLE_FAULT));
}

/* --- the sockets --- */

static int make_folder(const char *path)
{
	char parent[MONITOR_PATH_MAX];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = '\0';
		(void)mkdir(parent, 0755); /* the next one tells */
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static void listen_in_folder(struct vm *vm, const char *folder)
{
	char path[MONITOR_PATH_MAX + 1];
	int err = make_folder(folder);

	/* A name with a slash would be somewhere else. */
	if (!err && strchr(vm->cfg.name, '/'))
		err = -EINVAL;
	if (!err && snprintf(path, sizeof(path), "%s/%s.%d.socket", folder, vm->cfg.name,
			     (int)getpid()) >= (int)sizeof(path))
		err = -ENAMETOOLONG;
	if (!err)
		err = server_listen(vm->monitor->server, path);
	/* Who is not root has no right to /dev/acrn_hsm either, and hears of that. */
	if (err && err != -EACCES)
		log_warn("acrnctl will not see this VM: no socket in %s: %s", folder,
			 strerror(-err));
}

static int listen_at_path(struct vm *vm, const char *path)
{
	int err = server_listen(vm->monitor->server, path);

	if (err)
		log_err("--cmd_monitor %s: %s%s", path, strerror(-err),
			err == -EEXIST ? ", and it is no socket" : "");
	return err;
}

int monitor_create(struct vm *vm)
{
	struct monitor *monitor = calloc(1, sizeof(*monitor));
	int err = 0;

	if (!monitor)
		return -ENOMEM;
	monitor->server = server_create(commands, vm);
	if (!monitor->server) {
		free(monitor);
		return -ENOMEM;
	}
	vm->monitor = monitor;
	if (vm->cfg.cmd_monitor)
		err = listen_at_path(vm, vm->cfg.cmd_monitor);
	if (err)
		monitor_destroy(vm);
	return err;
}

int monitor_start(struct vm *vm, const char *folder)
{
	struct monitor *monitor = vm->monitor;

	listen_in_folder(vm, folder);
	monitor->thread = iothread_create("dm-monitor");
	if (!monitor->thread)
		return -ENOMEM;
	if (server_start(monitor->server, iothread_loop(monitor->thread)) < 0)
		return -ENOMEM;
	return iothread_start(monitor->thread);
}

void monitor_destroy(struct vm *vm)
{
	struct monitor *monitor = vm->monitor;

	if (!monitor)
		return;
	iothread_destroy(monitor->thread);
	server_destroy(monitor->server);
	free(monitor);
	vm->monitor = NULL;
}
