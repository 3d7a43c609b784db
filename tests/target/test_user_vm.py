# SPDX-License-Identifier: BSD-3-Clause
"""acrn-dm launches a Linux User VM: end to end, on an ext4 disk under an ext4 disk."""

from tests.run.target import BROKEN, OTHER_MODELS, Session, TargetTest

DM = ("acrn-dm -m 96M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,virtio-blk,/data/user.img "
      "-k /data/bzImage -r /data/user.cpio")

# 64 MB of something that is not all the same, and its checksum, read back from the disk.
WRITE = """\
size=$(stat -c %s /bin/busybox)
for i in $(seq $((67108864 / size + 1))); do cat /bin/busybox; done >/data/big
sync
echo 3 >/proc/sys/vm/drop_caches
crc32 /data/big >/data/sum
cat /data/sum
"""

READ = """\
crc32 /data/big | cmp - /data/sum && echo same checksum
"""

# Each boot of the machine takes the next step.
WRITE_THEN_READ = f"""\
if [ ! -e /data/written ]; then
	{DM} -B "console=ttyS0 quiet acrn.test=/bin/write" vm1 && touch /data/written
else
	{DM} -B "console=ttyS0 quiet acrn.test=/bin/read" vm1
	echo "read: acrn-dm ended with status $?"
fi
"""

# Linux's driver of the watchdog; whoever closes its file without a word leaves it running.
REBOOT = """\
wdt=/sys/class/watchdog/watchdog0
status="$(cat $wdt/identity): $(cat $wdt/bootstatus)"
if [ ! -e /data/again ]; then
	touch /data/again
	sync
	echo "first boot: $status"
	sleep 1
	reboot -f
elif [ ! -e /data/third ]; then
	touch /data/third
	sync
	echo "second boot: $status"
	watchdog -F -t 1 -T 4 /dev/watchdog0 &
	sleep 9
	kill -9 $!
	echo "alive, and no more"
	sleep 1000
else
	echo "third boot: $status"
fi
"""

KILL_AND_RESTART = f"""\
{DM} -B "console=ttyS0 quiet" vm1 </dev/null >/data/first.log 2>&1 &
tries=200
until grep -q 'user-vm: up' /data/first.log || [ $tries = 0 ]; do
	sleep 0.5
	tries=$((tries - 1))
done
echo "first VM: $(grep -c 'user-vm: up' /data/first.log)"
kill -9 $!
wait $!
echo "killed: $?"
{DM} -B "console=ttyS0 quiet acrn.test=/bin/hello" vm1
"""

# The hypervisor's log would cut the guest's lines: they come when that has ended.
COUNT_EXITS = """\
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/exits.bzimage exits \\
	</dev/null >/data/exits.log 2>&1
sleep 1
cat /data/exits.log
"""


class UserVm(TargetTest):
    """A User VM with a console and a disk."""

    LIMIT = 1500

    def boot(self, launch: str, kernel_args: str = "quiet", cpus: int = 1, model: str = "",
             **user_scripts: str) -> Session:
        """Boots a Service VM that runs `launch`, with scripts in the User VM's /bin."""
        options = {"model": model} if model else {}
        return self.boot_service_vm(self.service_vm(launch, kernel_args, **user_scripts),
                                    cpus=cpus, **options)  # type: ignore[arg-type]

    def test_disk_survives_reboot(self) -> None:
        # Is what the User VM wrote still there after both VMs and the machine have restarted?
        session = self.boot(WRITE_THEN_READ, "quiet acrn.after=reboot",
                            write=WRITE, read=READ)
        session.expect(r"^[0-9a-f]{8}\b", 600, BROKEN)
        session.expect(r"launch ended with status 0\n(.*\n)*.*service-vm: reboot", 60, BROKEN)
        session.expect(r"service-vm: up", 120, BROKEN)
        session.expect(r"^same checksum", 600, BROKEN)
        session.expect(r"read: acrn-dm ended with status 0", 60, BROKEN)

    def test_models(self) -> None:
        # Do a Service VM and its User VM run on other processors?
        for model in OTHER_MODELS:
            with self.subTest(model):
                session = self.boot(f'{DM} -B "console=ttyS0 quiet acrn.test=/bin/hello" vm1',
                                    cpus=2, model=model, hello="echo hello from the User VM\n")
                session.expect("^hello from the User VM", 200, BROKEN)
                session.expect("launch ended with status 0", 60, BROKEN)
                session.close()

    def test_reboot(self) -> None:
        # Does reboot in the User VM restart it, with its disk, in the same acrn-dm? And its
        # watchdog, once it is no longer reloaded?
        session = self.boot(f'{DM} -s 20,wdt-i6300esb '
                            '-B "console=ttyS0 quiet acrn.test=/bin/again" vm1', again=REBOOT)
        session.expect("^first boot: i6300ESB timer: 0$", 100, BROKEN)
        session.expect("^second boot: i6300ESB timer: 0$", 120, BROKEN + "|launch ended")
        session.expect("^alive, and no more", 60, BROKEN + "|launch ended")
        session.expect("did not reload its watchdog; it is reset", 60, BROKEN + "|launch ended")
        # WDIOF_CARDRESET
        session.expect("^third boot: i6300ESB timer: 32$", 120, BROKEN + "|launch ended")
        session.expect("launch ended with status 0", 60, BROKEN)

    def test_clean_log(self) -> None:
        # Does either kernel complain about the platform it is shown?
        session = self.boot(f'echo launching\n{DM} -B "console=ttyS0 acrn.test=/bin/hello" vm1',
                            "loglevel=7", hello="echo hello from the User VM\n")
        session.expect("^launching", 300)
        split = len(session.text)
        session.expect("^hello from the User VM", 100, BROKEN)
        session.expect("launch ended with status 0", 60, BROKEN)
        self.assertNotRegex(session.text, r"WARNING:|BUG:")
        self.assertNotRegex(session.text[split:], r"ACPI.*(Error|Warning|BIOS bug)")

    def test_two_cpus(self) -> None:
        # Do two processors serve the Service VM and the User VM, and is all well when it ends?
        # And of a guest that counts its exits, does the hypervisor say the same?
        vm = self.service_vm(f'{COUNT_EXITS}{DM} -B "console=ttyS0 quiet acrn.test=/bin/hello" vm1',
                             "quiet", hello="echo hello from $(nproc) CPUs\n")
        vm.hv_args = "loglevel=5"
        vm.disk_files.append((self.guest("exits"), "/exits.bzimage"))
        session = self.boot_service_vm(vm, cpus=2)
        session.expect(r"service-vm: up, \S+, 2 CPUs", 100, BROKEN)
        logged = session.expect(r"VM \d+ vCPU 0 exits:([\d: ]+)\r?\n", 100, BROKEN)[1].split()
        told = [session.expect(r"^exit (\d+):0*(\d+)\s", 60, BROKEN) for _ in range(5)]
        for line in told:
            self.assertIn(f"{line[1]}:{line[2]}", logged)
        self.assertEqual([line[1] for line in told], ["10", "13", "18", "31", "30"])
        session.expect(r"^hello from \d CPUs", 100, BROKEN)
        session.expect("invariants hold", 60, BROKEN)
        session.expect("launch ended with status 0", 60, BROKEN)

    def test_killed_acrn_dm(self) -> None:
        # What if acrn-dm is killed: does its VM go, and can the next one start?
        session = self.boot(KILL_AND_RESTART, hello="echo hello from the second\n")
        session.expect("^first VM: 1", 150, BROKEN)
        session.expect("^killed: 137", 60, BROKEN)
        session.expect("^hello from the second", 100, BROKEN)
        session.expect("launch ended with status 0", 60, BROKEN)
