// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is ACRN's command line understood in all its forms, and everything else refused by name,
 * before anything is done?
 */
// links: @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <cmocka.h>

#include "options.h"
#include "vm.h"

static struct vm_config cfg;
static char text[4096]; /* the words parse() made of its line */
static char said[4096]; /* what was printed */

/* Words are parted by spaces, "@" inside a word stands for a space. */
static enum options_result parse(const char *line)
{
	char *argv[160];
	char *save = NULL;
	int argc = 0;
	int out = dup(1), err = dup(2);
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	enum options_result result;
	ssize_t n;

	memset(&cfg, 0, sizeof(cfg));
	snprintf(text, sizeof(text), "acrn-dm %s", line);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		for (char *c = word; *c; c++)
			*c = *c == '@' ? ' ' : *c;
		argv[argc++] = word;
	}
	argv[argc] = NULL;
	fflush(stdout);
	dup2(fd, 1);
	dup2(fd, 2);
	result = options_parse(argc, argv, &cfg);
	fflush(stdout);
	dup2(out, 1);
	dup2(err, 2);
	n = pread(fd, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(fd);
	close(out);
	close(err);
	return result;
}

static void refused(const char *line, const char *because)
{
	assert_int_equal(parse(line), OPTIONS_ERROR);
	if (!strstr(said, because))
		fail_msg("\"%s\" said: %s", line, said);
	/* One line, and it ends there. */
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

/* Does a launch script's line arrive as meant, in short and in long form, name first or last? */
static void test_full(void **state)
{
	static const char *const forms[] = {
		"-m 512M -k /k -r /r -B root=/dev/vda@quiet -s 0:0,hostbridge -s 1:0,lpc "
		"-l com1,stdio -s 0:31:7,amd_hostbridge,a,b vm1",
		"--memsize 512M --kernel /k --ramdisk /r --bootargs root=/dev/vda@quiet "
		"--pci_slot 0,hostbridge --pci_slot 1,lpc --lpc com1,stdio "
		"--pci_slot 31:7,amd_hostbridge,a,b vm1",
		"vm1 --memsize=512M --kernel=/k --ramdisk=/r --bootargs=root=/dev/vda@quiet "
		"-s0,hostbridge -s1,lpc -lCOM1,stdio --pci_slot=31:7,amd_hostbridge,a,b",
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(parse(forms[i]), OPTIONS_RUN);
		assert_string_equal(said, "");
		assert_string_equal(cfg.name, "vm1");
		assert_int_equal(cfg.mem_size, 512 << 20);
		assert_string_equal(cfg.kernel, "/k");
		assert_string_equal(cfg.ramdisk, "/r");
		assert_string_equal(cfg.bootargs, "root=/dev/vda quiet");
		assert_int_equal(cfg.slot_count, 3);
		assert_string_equal(cfg.slots[1].name, "lpc");
		assert_null(cfg.slots[1].config);
		assert_int_equal(cfg.slots[2].slot, 31);
		assert_int_equal(cfg.slots[2].func, 7);
		assert_string_equal(cfg.slots[2].config, "a,b");
		assert_string_equal(cfg.com[0], "stdio");
		assert_null(cfg.com[1]);
		assert_false(cfg.debugexit);
	}
	assert_int_equal(parse("-k k --debugexit vm"), OPTIONS_RUN);
	assert_true(cfg.debugexit);
}

/* Which memory sizes are there, in which units? */
static void test_memory(void **state)
{
	static const struct {
		const char *line;
		uint64_t bytes;
	} good[] = {
		{"-k k -m 256 v", 256 << 20},	    {"-k k -m 1G v", 1 << 30},
		{"-k k -m 1g v", 1 << 30},	    {"-k k -m 65536K v", 64 << 20},
		{"-k k -m 268435456 v", 256 << 20}, {"-k k -m 268435456B v", 256 << 20},
		{"-k k -m 0x100M v", 256 << 20},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse(good[i].line), OPTIONS_RUN);
		assert_true(cfg.mem_size == good[i].bytes);
	}
	refused("-k k -m 0 v", "-m 0");
	refused("-k k -m -5M v", "-m -5M");
	refused("-k k -m M v", "number with B, K, M or G");
	refused("-k k -m 5T v", "-m 5T");
	refused("-k k -m 5MB v", "-m 5MB");
	refused("-k k -m 99999999999G v", "-m 9");
	refused("-k k -m 99999999999999999999999 v", "-m 9");
}

/* What if a slot is malformed, out of range, unknown or taken? */
static void test_slots(void **state)
{
	static const char *const malformed[] = {
		"-k k -s 1 v",	    "-k k -s ,lpc v",
		"-k k -s 1, v",	    "-k k -s 1:,lpc v",
		"-k k -s :1,lpc v", "-k k -s 1:2:3:4,lpc v",
		"-k k -s x,lpc v",  "-k k -s -1,lpc v",
		"-k k -s 1,,x v",   "-k k -s 1,averyveryverylongdevicename v",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		refused(malformed[i], "[bus:]slot[:func],device[,config]");
	refused("-k k -s 32,lpc v", "slot 0 to 31");
	refused("-k k -s 1:8,lpc v", "func 0 to 7");
	refused("-k k -s 1:1:0,lpc v", "bus is 0");
	refused("-k k -s 300,lpc v", "[bus:]");
	refused("-k k -s 3,nosuch v", "no device \"nosuch\"");
	refused("-k k -s 3,lpc -s 0:3:0,hostbridge v", "lpc is in that place");
	assert_int_equal(parse("-k k -s 3,lpc -s 3:1,hostbridge v"), OPTIONS_RUN);
}

/* What if there are more devices than slots of the table? */
static void test_too_many_slots(void **state)
{
	char line[3000] = "-k k";

	(void)state;
	for (unsigned int i = 0; i < 63; i++)
		sprintf(line + strlen(line), " -s %u:%u,hostbridge", i % 32, i / 32);
	strcat(line, " -s 31:1,hostbridge");
	assert_true(strlen(line) < sizeof(line) - 40);
	strcat(line, " -s 0:2,hostbridge v");
	refused(line, "at most 64");
}

/* Which serial ports are there? */
static void test_com(void **state)
{
	(void)state;
	assert_int_equal(
		parse("-k k -l com1,stdio -l com2,pty -l com3,tcp:4000 -l com4,/dev/ttyS1 v"),
		OPTIONS_RUN);
	assert_string_equal(cfg.com[3], "/dev/ttyS1");
	refused("-k k -l com5,stdio v", "com1..com4");
	refused("-k k -l com1 v", "com1..com4");
	refused("-k k -l com1, v", "com1..com4");
	refused("-k k -l com,stdio v", "com1..com4");
	refused("-k k -l com1,tcp:0 v", "com1..com4");
	refused("-k k -l com1,tcp:65536 v", "com1..com4");
	refused("-k k -l com1,tcp:12x v", "com1..com4");
	refused("-k k -l com1,file v", "com1..com4");
	refused("-k k -l com1,pty -l com1,stdio v", "twice");
}

/* What if the option is unknown, lacks its argument, or is ACRN's and not here? */
static void test_unknown(void **state)
{
	(void)state;
	refused("--nosuch -k k v", "unknown option --nosuch");
	refused("-Z -k k v", "unknown option -Z");
	refused("-k k v -m", "-m needs an argument: N{B,K,M,G}");
	refused("-k k v --memsize", "--memsize needs an argument");
	refused("--debugexit=5 -k k v", "takes no argument");
	refused("-E file -k file v", "one kernel: -k or -E");
	refused("-k file --elf_file file v", "one kernel: -k or -E");
	assert_int_equal(parse("-A -Y -G x -k k v"), OPTIONS_RUN);
	assert_non_null(strstr(said, "--acpi has no effect"));
	assert_int_equal(parse("--lapic_pt -k k v"), OPTIONS_RUN);
	assert_non_null(strstr(said, "--lapic_pt has no effect without --rtvm"));
}

/* Which forms does firmware have, and what if there is a kernel besides? */
static void test_ovmf(void **state)
{
	(void)state;
	assert_int_equal(parse("--ovmf w,file v"), OPTIONS_RUN);
	assert_true(cfg.ovmf.write && !cfg.ovmf.code);
	assert_string_equal(cfg.ovmf.vars, "file");
	assert_int_equal(parse("-s 1,lpc --ovmf vars=v,code=c v"), OPTIONS_RUN);
	assert_false(cfg.ovmf.write);
	assert_string_equal(cfg.ovmf.vars, "v");
	assert_string_equal(cfg.ovmf.code, "c");
	assert_int_equal(cfg.slot_count, 2);
	refused("--ovmf w v", "--ovmf w: the form is");
	refused("--ovmf code=c v", "the form is");
	refused("--ovmf vars=v v", "the form is");
	refused("--ovmf code=c,vars= v", "the form is");
	refused("--ovmf code=c,vars=v,w v", "the form is");
	refused("--ovmf code=c,vars=v,file v", "the form is");
	refused("--ovmf file,code=c v", "the form is");
	refused("--ovmf , v", "the form is");
	refused("--ovmf a --ovmf b v", "--ovmf is given twice");
	refused("--ovmf file -k k v", "a kernel or firmware");
	refused("--ovmf file -s 1:3,lpc v", "piix4pm is in that place already");
	refused("-s 1:3,lpc --ovmf file v", "lpc is in that place already");
}

/* What if the name or the kernel is missing, or there are two names? */
static void test_name(void **state)
{
	(void)state;
	refused("-k k", "name of the VM is missing");
	refused("-k k a b", "only one VM name");
	refused("-k k sixteen_letters_", "1 to 15 characters");
	assert_int_equal(parse("-k k fifteen_letters"), OPTIONS_RUN);
	refused("v", "no kernel");
}

/* What if a string is longer than ACRN's 1023 characters? */
static void test_long_strings(void **state)
{
	char line[1100];

	(void)state;
	strcpy(line, "-k k v -B ");
	memset(line + 10, 'x', 1023);
	line[10 + 1023] = '\0';
	assert_int_equal(parse(line), OPTIONS_RUN);
	assert_int_equal(strlen(cfg.bootargs), 1023);
	strcat(line, "x");
	refused(line, "1 to 1023 characters");
}

/* What if the CPUs are not numbers, not there, or named twice? */
static void test_affinity(void **state)
{
	(void)state;
	refused("-k k --cpu_affinity x v", "list of local APIC ids");
	refused("-k k --cpu_affinity 0, v", "list of local APIC ids");
	refused("-k k --cpu_affinity -1 v", "list of local APIC ids");
	refused("-k k --cpu_affinity 99999999 v", "no CPU has the local APIC id 99999999");
}

/* Do help and version say what they should and ask for nothing else? */
static void test_help(void **state)
{
	(void)state;
	assert_int_equal(parse("-h"), OPTIONS_DONE);
	assert_non_null(strstr(said, "-m, --memsize N{B,K,M,G}"));
	assert_non_null(strstr(said, "--cpu_affinity"));
	assert_non_null(strstr(said, "-l, --lpc"));
	assert_non_null(strstr(said, "--debugexit"));
	assert_int_equal(parse("--version"), OPTIONS_DONE);
	assert_string_equal(said, "acrn-dm test\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),	 cmocka_unit_test(test_memory),
		cmocka_unit_test(test_slots),	 cmocka_unit_test(test_too_many_slots),
		cmocka_unit_test(test_com),	 cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_ovmf),
		cmocka_unit_test(test_name),	 cmocka_unit_test(test_long_strings),
		cmocka_unit_test(test_affinity), cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
