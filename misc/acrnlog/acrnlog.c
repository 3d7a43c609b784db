// SPDX-License-Identifier: BSD-3-Clause
/*
 * acrnlog: the hypervisor's log in the Service VM. Each physical CPU keeps its own lines; here they
 * are put in order by the time that stands at the beginning of each. Prints them, or writes files
 * that take turns. One thread; a signal only sets a flag.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rings.h"

#define FOLDER	 "/tmp/acrnlog"
#define NAME	 "acrnlog_cur"
#define MAX_CPUS 64U
#define LINE	 512U

static const char usage[] =
	"usage: acrnlog [options]\n"
	"  keeps the hypervisor's log in files until Ctrl-C, or prints it\n"
	"  -p         print what there is, and end\n"
	"  -f         print what there is and what comes, until Ctrl-C\n"
	"  -t MS      look every MS milliseconds (default 500)\n"
	"  -s KB      begin a new file after so much (default 1024)\n"
	"  -n COUNT   files kept (default 4)\n"
	"  -l LEVEL   first let the hypervisor keep lines up to this severity (0 to 6)\n"
	"  -o FOLDER  where the files go, " NAME ".0 is the newest (default " FOLDER ")\n"
	"  -d FOLDER  the hypervisor's PCI function in sysfs, if it is not to be searched for\n"
	"  -h         this text\n";

static struct {
	unsigned long interval, kb, files, level;
	bool print, follow, set_level;
	const char *output, *device;
} opt = {.interval = 500, .kb = 1024, .files = 4, .output = FOLDER};

/* A CPU's ring, and the line that is being put together from its entries. */
static struct source {
	struct ring_reader reader;
	uint64_t lost; /* entries, as far as that was said */
	char line[LINE];
	size_t len;
	bool whole; /* line is ready, with its end */
	bool in_step; /* the next entry begins a line or goes on with this one */
	uint64_t us;
} sources[MAX_CPUS];

static FILE *out;
static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static int parse(int argc, char **argv)
{
	bool ok = true;
	int c;

	while (ok && (c = getopt(argc, argv, "pft:s:n:l:o:d:h")) != -1) {
		switch (c) {
		case 'p':
			opt.print = true;
			break;
		case 'f':
			opt.follow = true;
			break;
		case 't':
			ok = parse_number("-t", optarg, 1, 60000, &opt.interval);
			break;
		case 's':
			ok = parse_number("-s", optarg, 1, 1048576, &opt.kb);
			break;
		case 'n':
			ok = parse_number("-n", optarg, 1, 1000, &opt.files);
			break;
		case 'l':
			opt.set_level = true;
			ok = parse_number("-l", optarg, 0, 6, &opt.level);
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
		fprintf(stderr, "acrnlog: \"%s\" is not expected here\n", argv[optind]);
		ok = false;
	}
	if (!ok)
		fputs(usage, stderr);
	return ok ? 0 : 2;
}

/* "[123us][cpu=0]...": a line's first entry has the time, in us. */
static bool begins_line(const char *entry, uint64_t *us)
{
	char *end;

	if (entry[0] != '[' || entry[1] < '0' || entry[1] > '9')
		return false;
	*us = strtoull(&entry[1], &end, 10);
	return strncmp(end, "us]", 3) == 0;
}

static void add_entry(struct source *s, uint32_t cpu, const char *entry, size_t len)
{
	uint64_t us;

	if (s->reader.lost != s->lost) {
		fprintf(out, "[%lu pieces of the log of CPU %u are lost]\n",
			(unsigned long)(s->reader.lost - s->lost), cpu);
		s->lost = s->reader.lost;
		s->in_step = false;
		s->len = 0;
	}
	if (s->len == 0 && begins_line(entry, &us)) {
		s->us = us;
		s->in_step = true;
	}
	if (s->len + len > LINE) { /* no line of the hypervisor's is so long */
		s->in_step = false;
		s->len = 0;
	}
	if (!s->in_step || len == 0)
		return; /* the rest of a line whose beginning is lost */
	memcpy(&s->line[s->len], entry, len);
	s->len += len;
	s->whole = s->line[s->len - 1] == '\n';
}

/* Until the source has a whole line, or its ring is empty. */
static void fill(struct source *s, uint32_t cpu)
{
	char entry[HVLOG_ENTRY + 1];

	while (!s->whole && ring_reader_take(&s->reader, entry)) {
		entry[HVLOG_ENTRY] = '\0';
		add_entry(s, cpu, entry, strlen(entry));
	}
}

static char *path_of(char *path, size_t size, unsigned long n)
{
	(void)snprintf(path, size, "%s/" NAME ".%lu", opt.output, n);
	return path;
}

/* The files move on by one, the oldest goes, and a new one begins. */
static bool next_file(void)
{
	char from[512], to[512];

	if (out && fclose(out) != 0)
		return false;
	for (unsigned long n = opt.files - 1; n > 0; n--)
		(void)rename(path_of(from, sizeof(from), n - 1), path_of(to, sizeof(to), n));
	out = fopen(path_of(from, sizeof(from), 0), "we");
	if (!out)
		fprintf(stderr, "acrnlog: %s: %s\n", from, strerror(errno));
	return out != NULL;
}

static bool emit(struct source *s)
{
	bool ok = fwrite(s->line, s->len, 1, out) == 1;

	s->len = 0;
	s->whole = false;
	if (ok && out != stdout && ftell(out) >= (long)opt.kb * 1024)
		ok = next_file();
	return ok;
}

/* All there is now, the earliest line of all CPUs first. */
static bool drain(uint32_t cpus)
{
	bool ok = true;

	while (ok) {
		struct source *first = NULL;

		for (uint32_t cpu = 0; cpu < cpus; cpu++) {
			fill(&sources[cpu], cpu);
			if (sources[cpu].whole && (!first || sources[cpu].us < first->us))
				first = &sources[cpu];
		}
		if (!first)
			break;
		ok = emit(first);
	}
	ok = ok && fflush(out) == 0;
	if (!ok)
		fprintf(stderr, "acrnlog: cannot write: %s\n", strerror(errno));
	return ok;
}

static bool open_output(void)
{
	if (opt.print || opt.follow) {
		out = stdout;
		return true;
	}
	if (mkdir(opt.output, 0755) != 0 && errno != EEXIST) {
		fprintf(stderr, "acrnlog: %s: %s\n", opt.output, strerror(errno));
		return false;
	}
	return next_file();
}

int main(int argc, char **argv)
{
	const struct sigaction on_signal = {.sa_handler = stop};
	int status = parse(argc, argv);
	struct timespec pause = {.tv_sec = (time_t)(opt.interval / 1000),
				 .tv_nsec = (long)(opt.interval % 1000) * 1000000};
	struct rings r;
	bool ok;

	if (status != 0)
		return status - 1;
	if (!rings_open(&r, opt.device))
		return 1;
	if (r.cpus > MAX_CPUS) {
		fprintf(stderr, "acrnlog: the machine has %u CPUs\n", r.cpus);
		return 1;
	}
	if (opt.set_level)
		rings_set_reg(&r, RINGS_REG_LOG_LEVEL, (uint32_t)opt.level);
	for (uint32_t cpu = 0; cpu < r.cpus; cpu++) {
		if (!ring_reader_init(&sources[cpu].reader, &r, cpu, RINGS_REG_LOG, HVLOG_ENTRY))
			return 1;
	}
	if (!open_output())
		return 1;
	(void)sigaction(SIGINT, &on_signal, NULL);
	(void)sigaction(SIGTERM, &on_signal, NULL);
	ok = drain(r.cpus);
	while (ok && !opt.print && !stopped) {
		(void)nanosleep(&pause, NULL);
		ok = drain(r.cpus);
	}
	return ok ? 0 : 1;
}
