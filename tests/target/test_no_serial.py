# SPDX-License-Identifier: BSD-3-Clause
"""A machine without any serial port: what it did is on its disk."""

import re
import subprocess

from tests.run.target import TargetTest

COMMANDS: dict[str, str] = {
    "help": r"(?s)^boot_report.*\nvcpu_dumpreg +<vm id, vcpu id>.*\nvm_stats",
    "version": "debug build, board bochs, scenario shared",
    "vm_list": r" 0 ACRN_Service_VM +Running +SERVICE +1\n +1 vm1 +Running +POST_LAUNCHED +1\n$",
    "vcpu_dumpreg 1 0": r"VM 1 vCPU 0 on CPU 0, .*\nRIP=0x",
    "vm_console 1": "^VM 1 has no console vUART\n$",
    "loglevel": "^console level: 3, memory level: 5, npk level: 0\n$",
    "dump_log": r"sev=5\]: VM 0 \(ACRN_Service_VM\): created with 1 vCPUs",
    "boot_report": "^boot: Bochs: virtual-interrupt delivery",
    "cpuid 0x40000000": "leaf: 0x40000000, subleaf: 0x0, 0x",
    "rdmsr 1b": r"^rdmsr\(0x1b\): 0xfee00d00\n$",
    "dump_host_mem 0 20": r"^0x0000000000000000: (\w\w ){16} .{16}\n0x0000000000000010: (\w\w ){4} ",
    "int": r"(?s)VECTOR FOR +CPU0 *\n.*timer +[1-9]",
    "vioapic 0": r"(?s)   4 0x\w\w   fixed .*  23 0x",
    "pt": r" 0 line 14 +0x\w\w ",
    "vm_stats 1": r" 1 +0 +10 CPUID +[1-9]",
    "nonsense": "^nonsense: no such command",
}

LAUNCH = """\
exec >/data/result 2>&1
mkfifo /run/vm1
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/bzImage -r /data/user.cpio \\
	-B "console=ttyS0 quiet acrn.test=/bin/hello" vm1 <>/run/vm1 >/data/vm1.log &
until_there()
{
	tries=400
	until grep -q "$1" $2 || [ $tries = 0 ]; do
		sleep 0.1
		tries=$((tries - 1))
	done
}
until_there hello /data/vm1.log
while read -r command; do
	echo "## $command"
	acrnsh -c "$command" </dev/null
	echo "## status $?"
done <<'END'
COMMANDS
END
(
	printf 'vm_console 0\\r'
	until_there 'said by' /run/shown
	printf 'hazel\\r'
	until_there hazel /run/read
	printf '\\0xersion\\033[H\\033[3~v\\r'
	until_there 'debug build' /run/shown
	printf '\\033[A\\r'
) | acrnsh >/run/shown &
shell=$!
until_there 'Entering VM 0' /run/shown
acrnsh -c vm_list
echo "the second ended with status $?"
echo "said by the Service VM" >/dev/ttyS0
read -r word </dev/ttyS0
echo "$word" >/run/read
wait $shell
echo "acrnsh ended with status $?"
cat /run/read /run/shown
echo go >/run/vm1
wait
cat /data/vm1.log
acrnlog -p
echo "acrnlog ended with status $?"
""".replace("COMMANDS", "\n".join(COMMANDS))


class NoSerial(TargetTest):
    """Boots through to a User VM."""

    LIMIT = 240

    def test_user_vm(self) -> None:
        # Does all of it work, and are the hypervisor's log and shell to be had in the Service VM?
        vm = self.service_vm(LAUNCH, hello="echo hello from the User VM; read -r word; echo ended by $word")
        vm.user_disk_mb = 0
        vm.service_files += [(self.output / "misc" / name, f"/bin/{name}")
                             for name in ("acrnlog", "acrnsh")]
        session = self.boot_service_vm(vm, serial=False)
        session.wait_end(200)
        self.assertEqual(session.text, "")
        result = subprocess.run(["/sbin/debugfs", "-R", "cat /result",
                                 str(self.folder / "disk.img")],
                                capture_output=True, text=True, check=True).stdout
        for line in ("^hello from the User VM", "^ended by go",
                     r"\[cpu=\d+\]\[sev=\d\]: VM 1 \(vm1\): created with 1 vCPUs",
                     "^acrnlog ended with status 0"):
            self.assertRegex(result, f"(?m){line}")
        self.shell(result)

    def shell(self, result: str) -> None:
        """What acrnsh has answered to each command, and with keys one by one."""
        for command, pattern in COMMANDS.items():
            with self.subTest(command):
                start = result.index(f"## {command}\n") + len(f"## {command}\n")
                answer, status = re.split(r"^## status ", result[start:], 1, re.MULTILINE)
                self.assertEqual(status[0], "0")
                self.assertRegex(answer, pattern)
        for line in ("another acrnsh has the console\nthe second ended with status 1",
                     "^acrnsh ended with status 0\nhazel\n",
                     "Entering VM 0 Console(.*\n)+said by the Service VM\n",
                     # back in the shell: a line that was mended, and the same from the history
                     r"(?s)Entering ACRN Shell.*\nHV: \S+ debug build.*\nHV: \S+ debug build"):
            self.assertRegex(result, f"(?m){line}")
