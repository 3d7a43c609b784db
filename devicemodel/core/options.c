// SPDX-License-Identifier: BSD-3-Clause
/*
 * The command line. Options register themselves from the files they belong to;
 * those of ACRN's that this program does not have are refused by name, so that
 * a launch script fails at once and not in the guest. Main thread, before
 * anything else runs.
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pci.h"
#include "version.h"
#include "vm.h"

SECTION_DECLARE(dm_options, struct option_def);

#define MAX_OPTIONS  64
#define NAME_MAX_LEN 15U
#define FORM_COLUMNS 32
#define FIRST_LONG   256 /* getopt value of table[i] is FIRST_LONG + i */

/*
 * Options of ACRN's acrn-dm that are not here; the help says what to do instead. Those at level
 * NO_EFFECT change nothing that a guest sees: scripts still carry them, so they are taken.
 */
#define NO_EFFECT (-1)

static const struct option_def absent[] = {
	{NO_EFFECT, 'A', "acpi", NULL, "every VM has ACPI tables", NULL},
	{NO_EFFECT, 'Y', "mptgen", NULL, "ACPI lists the processors", NULL},
	{NO_EFFECT, 'i', "ioc_node", "node", "there is no such controller any more", NULL},
	{NO_EFFECT, 'G', "gvtargs", "args", "GVT-g is gone from Linux", NULL},
	{NO_EFFECT, 0, "part_info", "file", "it was a word to vSBL", NULL},
	{NO_EFFECT, 0, "vsbl", "file", "-k boots the kernel", NULL},
	{NO_EFFECT, 0, "pm_notify_channel", "channel", "signals and acrnctl stop the VM", NULL},
	{NO_EFFECT, 0, "pm_by_vuart", "node", "signals and acrnctl stop the VM", NULL},
	{NO_EFFECT, 0, "iasl", "path", "the tables are made without a compiler", NULL},
	{NO_EFFECT, 0, "mac_seed", "seed", "give mac_seed= to virtio-net", NULL},
	{NO_EFFECT, 0, "intr_monitor", "settings", "no device of the machine is passed through",
	 NULL},
	{0, 0, "acpidev_pt", "HID", "use an emulated device", NULL},
	{0, 0, "mmiodev_pt", "region", "use an emulated device", NULL},
	{0, 0, "vtpm2", "sock_path", "there is no TPM", NULL},
	{0, 0, "windows", NULL, "use the virtio drivers of virtio 1.x", NULL},
	{0, 0, "ssram", "regions", "give the VM a share of the cache in the scenario", NULL},
	{0, 0, "enable_trusty", NULL, "there is no secure world", NULL},
};

#define ABSENT_COUNT (sizeof(absent) / sizeof(absent[0]))

static int compare_levels(const void *a, const void *b)
{
	const struct option_def *const *x = a;
	const struct option_def *const *y = b;

	return (*x)->level - (*y)->level;
}

static const struct option_def help_option = {
	.level = 1,
	.short_name = 'h',
	.long_name = "help",
	.help = "print this text",
};
OPTION(help_option);

static const struct option_def version_option = {
	.level = 2,
	.short_name = 'v',
	.long_name = "version",
	.help = "print the version",
};
OPTION(version_option);

/* All options, ours first, by level. Returns how many. */
static size_t collect(const struct option_def *table[MAX_OPTIONS], size_t *ours)
{
	size_t count = 0;

	SECTION_FOREACH(dm_options, struct option_def, it)
	{
		if (count < MAX_OPTIONS - ABSENT_COUNT)
			table[count++] = *it;
	}
	qsort(table, count, sizeof(table[0]), compare_levels);
	*ours = count;
	for (size_t i = 0; i < ABSENT_COUNT; i++)
		table[count++] = &absent[i];
	return count;
}

static void print_help(const struct option_def *const table[], size_t ours)
{
	printf("Usage: acrn-dm [options] vm_name\n");
	for (size_t i = 0; i < ours; i++) {
		const struct option_def *opt = table[i];
		char form[96] = "";
		size_t len = 0;

		if (opt->short_name)
			len += (size_t)snprintf(form, sizeof(form), "-%c%s", opt->short_name,
						opt->long_name ? ", " : "");
		if (opt->long_name)
			len += (size_t)snprintf(form + len, sizeof(form) - len, "--%s",
						opt->long_name);
		if (opt->arg)
			snprintf(form + len, sizeof(form) - len, " %s", opt->arg);
		printf("  %-*s", FORM_COLUMNS, form);
		if (strlen(form) > FORM_COLUMNS)
			printf("\n  %-*s", FORM_COLUMNS, "");
		printf(" %s\n", opt->help);
	}
	pci_bus_list_kinds();
}

/* Option tables in getopt's form. */
struct getopt_tables {
	char shorts[2 + 2 * MAX_OPTIONS + 1];
	struct option longs[MAX_OPTIONS + 1];
};

static void make_getopt_tables(const struct option_def *const table[], size_t count,
			       struct getopt_tables *out)
{
	char *s = out->shorts;
	struct option *l = out->longs;

	*s++ = ':'; /* report a missing argument apart from an unknown option */
	for (size_t i = 0; i < count; i++) {
		if (table[i]->short_name) {
			*s++ = table[i]->short_name;
			if (table[i]->arg)
				*s++ = ':';
		}
		if (table[i]->long_name) {
			l->name = table[i]->long_name;
			l->has_arg = table[i]->arg ? required_argument : no_argument;
			l->flag = NULL;
			l->val = FIRST_LONG + (int)i;
			l++;
		}
	}
	*s = '\0';
	memset(l, 0, sizeof(*l));
}

static const struct option_def *find(const struct option_def *const table[], size_t count, int c)
{
	for (size_t i = 0; i < count; i++) {
		if (table[i]->short_name == c || c == FIRST_LONG + (int)i)
			return table[i];
	}
	return NULL;
}

static void report_bad_option(const struct option_def *const table[], size_t count, int c,
			      const char *word)
{
	const struct option_def *opt = optopt ? find(table, count, optopt) : NULL;

	if (c == ':' && opt)
		log_err("%s needs an argument: %s", word, opt->arg);
	else if (opt)
		log_err("%s takes no argument", word);
	else
		log_err("unknown option %s; acrn-dm -h lists them", word);
}

static bool has_device(const struct vm_config *cfg, const char *name)
{
	for (unsigned int i = 0; i < cfg->slot_count; i++) {
		if (strcmp(cfg->slots[i].name, name) == 0)
			return true;
	}
	return false;
}

/* ACRN takes such a command line, and so its scripts may have it. */
static void warn_no_effect(const struct vm_config *cfg)
{
	if (cfg->lapic_pt && !cfg->rtvm)
		log_warn("--lapic_pt has no effect without --rtvm");
	for (unsigned int i = 0; i < VM_COM_PORTS; i++) {
		if (cfg->com[i] && !has_device(cfg, "lpc"))
			log_warn("-l com%u,%s has no effect without an lpc device: add -s 1,lpc",
				 i + 1, cfg->com[i]);
	}
}

static enum options_result parse_name(int argc, char **argv, struct vm_config *cfg)
{
	if (optind != argc - 1) {
		if (optind == argc)
			log_err("the name of the VM is missing: acrn-dm [options] vm_name");
		else
			log_err("\"%s\" and \"%s\": only one VM name, at the end", argv[optind],
				argv[optind + 1]);
		return OPTIONS_ERROR;
	}
	cfg->name = argv[optind];
	if (cfg->name[0] == '\0' || strlen(cfg->name) > NAME_MAX_LEN) {
		log_err("the VM name \"%s\" must have 1 to %u characters", cfg->name, NAME_MAX_LEN);
		return OPTIONS_ERROR;
	}
	if (!cfg->kernel == !cfg->ovmf.vars) {
		log_err(cfg->kernel ? "a VM has a kernel or firmware: -k, -E or --ovmf"
				    : "no kernel: give one with -k or -E, or firmware with --ovmf");
		return OPTIONS_ERROR;
	}
	warn_no_effect(cfg);
	return OPTIONS_RUN;
}

static void print_version(void)
{
	printf("acrn-dm %s\n", DM_VERSION);
}

/* What one option asks for; OPTIONS_RUN to go on. */
static enum options_result apply(const struct option_def *opt, struct vm_config *cfg)
{
	if (opt->parse)
		return opt->parse(cfg, optarg) ? OPTIONS_ERROR : OPTIONS_RUN;
	if (opt->level == NO_EFFECT) {
		log_warn("option --%s has no effect: %s", opt->long_name, opt->help);
		return OPTIONS_RUN;
	}
	log_err("option --%s of ACRN is not supported: %s", opt->long_name, opt->help);
	return OPTIONS_ERROR;
}

enum options_result options_parse(int argc, char **argv, struct vm_config *cfg)
{
	const struct option_def *table[MAX_OPTIONS];
	struct getopt_tables getopt_tables;
	enum options_result result = OPTIONS_RUN;
	size_t ours;
	size_t count = collect(table, &ours);

	make_getopt_tables(table, count, &getopt_tables);
	opterr = 0;
	optind = 0; /* start anew; GNU getopt permutes, so the name may stand anywhere */
	while (result == OPTIONS_RUN) {
		const struct option_def *opt;
		int c = getopt_long(argc, argv, getopt_tables.shorts, getopt_tables.longs, NULL);

		if (c == -1)
			return parse_name(argc, argv, cfg);
		opt = find(table, count, c);
		if (!opt) { /* '?' or ':' */
			report_bad_option(table, count, c, argv[optind - 1]);
			return OPTIONS_ERROR;
		}
		if (opt == &help_option) {
			print_help(table, ours);
			return OPTIONS_DONE;
		}
		if (opt == &version_option) {
			print_version();
			return OPTIONS_DONE;
		}
		result = apply(opt, cfg);
	}
	return result;
}
