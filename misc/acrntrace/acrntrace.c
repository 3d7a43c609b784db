// SPDX-License-Identifier: BSD-3-Clause
/*
 * acrntrace: captures the hypervisor's trace in the Service VM, a file for each physical CPU
 * (acrntrace.h), for acrnalyze.py on any machine. Switches the trace on, empties the rings every so
 * often, and switches it off at the end. One thread; a signal only sets a flag.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "acrn/trace.h"
#include "acrntrace.h"
#include "rings.h"

#define FOLDER	 "/tmp/acrntrace"
#define MAX_CPUS 64U
#define MB_BYTES 1048576UL

static const char usage[] =
	"usage: acrntrace [options]\n"
	"  captures the hypervisor's trace until Ctrl-C, into a file for each physical CPU\n"
	"  -i MS      empty the rings every MS milliseconds (1 to 999, default 10)\n"
	"  -t SECONDS end after so long\n"
	"  -c         leave out what was in the rings before\n"
	"  -r MB      end when less than so much of the file system is free (default 10)\n"
	"  -a CPUS    only these CPUs: 0,2 or 1-3\n"
	"  -o FOLDER  where to (default " FOLDER "/DATE-TIME)\n"
	"  -d FOLDER  the hypervisor's PCI function in sysfs, if it is not to be searched for\n"
	"  -h         this text\n";

static struct {
	unsigned long interval, seconds, free_mb;
	bool clear;
	uint64_t cpus; /* a bit each */
	const char *output, *device;
} opt = {.interval = 10, .free_mb = 10, .cpus = UINT64_MAX};

static struct capture {
	struct ring_reader reader;
	FILE *file;
	uint64_t entries, lost;
	uint64_t last_tsc;
} captures[MAX_CPUS];

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* "0,2-5" */
static bool parse_cpus(const char *text, uint64_t *cpus)
{
	char copy[128], *save = NULL;

	*cpus = 0;
	if (strlen(text) >= sizeof(copy) || *text == '\0') {
		fprintf(stderr, "-a: write CPUs like 0,2 or 1-3\n");
		return false;
	}
	strcpy(copy, text);
	for (char *part = strtok_r(copy, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
		char *dash = strchr(part, '-');
		unsigned long first, last;

		if (dash)
			*dash = '\0';
		if (!parse_number("-a", part, 0, MAX_CPUS - 1, &first))
			return false;
		last = first;
		if (dash && !parse_number("-a", dash + 1, first, MAX_CPUS - 1, &last))
			return false;
		for (; first <= last; first++)
			*cpus |= 1UL << first;
	}
	return true;
}

/* 0: go on; else the status to end with, plus one. */
static int parse(int argc, char **argv)
{
	bool ok = true;
	int c;

	while (ok && (c = getopt(argc, argv, "i:t:cr:a:o:d:h")) != -1) {
		switch (c) {
		case 'i':
			ok = parse_number("-i", optarg, 1, 999, &opt.interval);
			break;
		case 't':
			ok = parse_number("-t", optarg, 1, 1000000, &opt.seconds);
			break;
		case 'c':
			opt.clear = true;
			break;
		case 'r':
			ok = parse_number("-r", optarg, 1, 1000000, &opt.free_mb);
			break;
		case 'a':
			ok = parse_cpus(optarg, &opt.cpus);
			break;
		case 'o':
			opt.output = optarg;
			break;
		case 'd':
			opt.device = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		default:
			ok = false;
		}
	}
	if (ok && optind < argc) {
		fprintf(stderr, "acrntrace: \"%s\" is not expected here\n", argv[optind]);
		ok = false;
	}
	if (!ok)
		fputs(usage, stderr);
	return ok ? 0 : 2;
}

static bool make_folder(char *path, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	if (opt.output) {
		(void)snprintf(path, size, "%s", opt.output);
	} else {
		size_t at = (size_t)snprintf(path, size, FOLDER "/");

		(void)mkdir(FOLDER, 0755);
		if (localtime_r(&now, &tm) == NULL ||
		    strftime(&path[at], size - at, "%Y%m%d-%H%M%S", &tm) == 0)
			(void)snprintf(&path[at], size - at, "%ld", (long)now);
	}
	if (mkdir(path, 0755) != 0 && errno != EEXIST) {
		fprintf(stderr, "acrntrace: %s: %s\n", path, strerror(errno));
		return false;
	}
	return true;
}

static bool open_file(const char *folder, const struct rings *r, uint32_t cpu)
{
	struct trace_file head = {
		.entry_size = sizeof(struct trace_entry),
		.cpu = cpu,
		.tsc_khz = rings_reg(r, RINGS_REG_TSC_KHZ),
	};
	char path[512];

	memcpy(head.magic, TRACE_FILE_MAGIC, sizeof(head.magic));
	(void)snprintf(path, sizeof(path), "%s/%u", folder, cpu);
	captures[cpu].file = fopen(path, "we");
	if (!captures[cpu].file || fwrite(&head, sizeof(head), 1, captures[cpu].file) != 1) {
		fprintf(stderr, "acrntrace: %s: %s\n", path, strerror(errno));
		return false;
	}
	return true;
}

static bool write_entry(struct capture *c, const struct trace_entry *e)
{
	return fwrite(e, sizeof(*e), 1, c->file) == 1;
}

static bool write_note(struct capture *c, uint32_t id, uint64_t a, uint64_t b)
{
	const struct trace_entry e = {
		.tsc = c->last_tsc,
		.id = id,
		.vm = TRACE_NO_VM,
		.n_data = 2,
		.data = {a, b},
	};

	return write_entry(c, &e);
}

/* No more than a ring holds: a CPU that writes as fast as we read does not keep us from others. */
static bool drain(struct capture *c)
{
	struct trace_entry e;
	bool ok = true;

	for (uint32_t i = 0; ok && i < c->reader.ele_num && ring_reader_take(&c->reader, &e);
	     i++) {
		if (c->reader.lost != c->lost) {
			ok = write_note(c, TRACE_LOST, c->reader.lost - c->lost, 0);
			c->lost = c->reader.lost;
		}
		c->last_tsc = e.tsc;
		ok = ok && write_entry(c, &e);
		c->entries++;
	}
	return ok;
}

static bool drain_all(const struct rings *r)
{
	for (uint32_t cpu = 0; cpu < r->cpus; cpu++) {
		if (captures[cpu].file && !drain(&captures[cpu])) {
			fprintf(stderr, "acrntrace: cannot write: %s\n", strerror(errno));
			return false;
		}
	}
	return true;
}

static bool disk_is_full(const char *folder)
{
	struct statvfs fs;

	if (statvfs(folder, &fs) != 0 || fs.f_bavail * fs.f_frsize / MB_BYTES >= opt.free_mb)
		return false;
	fprintf(stderr, "acrntrace: less than %lu MB are free: capture ends\n", opt.free_mb);
	return true;
}

static bool run(const struct rings *r, const char *folder)
{
	const struct timespec pause = {.tv_nsec = (long)opt.interval * 1000000};
	struct timespec start, now;
	bool ok = true;

	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	while (ok && !stopped && !disk_is_full(folder)) {
		(void)nanosleep(&pause, NULL);
		ok = drain_all(r);
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (opt.seconds != 0 &&
		    (unsigned long)(now.tv_sec - start.tv_sec) >= opt.seconds)
			break;
	}
	return ok;
}

/* What was there is in the files whatever happened; says so, and what is missing. */
static bool finish(const struct rings *r, const char *folder)
{
	bool ok = true;

	for (uint32_t cpu = 0; cpu < r->cpus; cpu++) {
		struct capture *c = &captures[cpu];

		if (!c->file)
			continue;
		if (!write_note(c, TRACE_END, c->entries, c->lost) || fflush(c->file) != 0)
			ok = false;
		printf("%s/%u: %lu entries, %lu lost\n", folder, cpu, (unsigned long)c->entries,
		       (unsigned long)c->lost);
		(void)fclose(c->file);
	}
	if (!ok)
		fprintf(stderr, "acrntrace: the files are not complete: %s\n", strerror(errno));
	return ok;
}

static bool capture(const struct rings *r, const char *folder)
{
	bool ok = true;

	for (uint32_t cpu = 0; ok && cpu < r->cpus; cpu++) {
		struct ring_reader *reader = &captures[cpu].reader;

		if ((opt.cpus & (1UL << cpu)) == 0)
			continue;
		ok = ring_reader_init(reader, r, cpu, RINGS_REG_TRACE,
				      sizeof(struct trace_entry)) &&
		     open_file(folder, r, cpu);
		if (ok && opt.clear)
			ring_reader_skip(reader);
	}
	if (ok) {
		rings_set_reg(r, RINGS_REG_TRACE_ON, 1);
		ok = run(r, folder);
		rings_set_reg(r, RINGS_REG_TRACE_ON, 0);
		ok = ok && drain_all(r);
	}
	return finish(r, folder) && ok;
}

int main(int argc, char **argv)
{
	const struct sigaction on_signal = {.sa_handler = stop};
	int status = parse(argc, argv);
	char folder[400];
	struct rings r;

	if (status != 0)
		return status - 1;
	if (!rings_open(&r, opt.device))
		return 1;
	if (r.cpus > MAX_CPUS || (r.cpus < MAX_CPUS && opt.cpus != UINT64_MAX &&
				  (opt.cpus >> r.cpus) != 0)) {
		fprintf(stderr, "acrntrace: the machine has %u CPUs\n", r.cpus);
		return 1;
	}
	if (!make_folder(folder, sizeof(folder)))
		return 1;
	(void)sigaction(SIGINT, &on_signal, NULL);
	(void)sigaction(SIGTERM, &on_signal, NULL);
	return capture(&r, folder) ? 0 : 1;
}
