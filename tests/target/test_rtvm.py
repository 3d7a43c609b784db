# SPDX-License-Identifier: BSD-3-Clause
"""RTVMs that acrn-dm launches: they own their processors and these' local APICs."""

from tests.bench import owned
from tests.run.target import BROKEN, Session, TargetTest

DM = "acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/smp.bzimage"
VM = 2  # the slot behind the scenario's VMs

# Its processors are the Service VM's at first. It tries all IPIs; it works, with a key to end it;
# then it works on, nobody else gets its processors, and the Service VM goes.
LAUNCH = f"""\
{DM} --rtvm --cpu_affinity 2,3 rt </dev/null
echo "shared: acrn-dm ended with status $?"
for cpu in 2 3; do
	echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	echo $cpu >/sys/devices/virtual/misc/acrn_hsm/remove_cpu
done
{DM} --rtvm --lapic_pt --cpu_affinity 2,3 rt </dev/null
echo "ipis: acrn-dm ended with status $?"
{DM} --rtvm --cpu_affinity 2,3 -B "smp=rt" rt
echo "work: acrn-dm ended with status $?"
{DM} --rtvm --cpu_affinity 2,3 -B "smp=fault" rt </dev/null
echo "fault: acrn-dm ended with status $?"
{DM} --rtvm --cpu_affinity 2,3 -B "smp=rt loops=long" rt </dev/null &
sleep 3
{DM} --cpu_affinity 1,2 other </dev/null
echo "other: acrn-dm ended with status $?"
reboot -f
"""


FREE = """\
for cpu in 2 3; do
	echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	echo $cpu >/sys/devices/virtual/misc/acrn_hsm/remove_cpu
done
"""
WILD = "acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/wild.bzimage"
# Others on processor 1, for as long as the RTVM works: a VM that faults in every way, and one that
# triple-faults again and again.
BESIDE = FREE + f"""\
while [ ! -e /data/rt.ended ]; do
	{WILD} --cpu_affinity 1 wild </dev/null >/data/wild.log 2>&1 &
	echo $! >/data/wild.pid
	wait $!
done &
until grep -q '^op' /data/wild.log; do sleep 1; done
sleep 3 && while [ ! -e /data/rt.ended ]; do
	{DM} --cpu_affinity 1 -B "smp=fault" fault </dev/null >>/data/fault.log 2>&1
done &
{DM} --rtvm --cpu_affinity 2,3 -B "smp=rt" rt
echo "work: acrn-dm ended with status $?"
>/data/rt.ended
echo "faults: $(grep -c '^smp' /data/fault.log)"
kill $(cat /data/wild.pid)
wait
"""

# Killed while the VM works; it works on, and its end by the key that nobody can answer for is its
# own. Then its name and its processors are free, and a VM that resets itself has them.
KILLED = FREE + f"""\
running() {{
	cat /proc/[0-9]*/comm 2>/dev/null | grep -c -e acrn-dm -e dm-keeper
}}
{DM} --rtvm --cpu_affinity 2,3 -B "smp=rt" rt </dev/null >/data/rt.log 2>&1 &
until grep -q 'runs on 1' /data/rt.log; do sleep 1; done
for order in "stop -f" reset pause; do
	acrnctl $order rt
	echo "acrnctl $order: $?"
done
kill $!
kill -9 $!
wait $!
echo "killed: $?, left $(running)"
cat /data/rt.log
while [ $(running) != 0 ]; do sleep 1; done
echo "ended"
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/lives.bzimage --rtvm \\
	--cpu_affinity 2,3 -B "lives=3 rounds=2 name=rt" rt </dev/null
echo "lives: acrn-dm ended with status $?"
"""

LINUX = FREE + """\
acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/bzImage \
	-r /data/user.cpio --rtvm --cpu_affinity 2,3 -B "console=ttyS0 quiet acrn.test=/bin/alone" rt \
	</dev/null >/run/rt.log 2>&1 &
until grep -q '^alone: ' /run/rt.log; do sleep 0.2; done
kill -9 $!
wait $!
cat /run/rt.log
seconds=0
while grep -q dm-keeper /proc/[0-9]*/comm; do
	sleep 1
	seconds=$((seconds + 1))
done
echo "ended after $seconds s"
"""
# Prints, sleeps and works on both processors without a device model, and then ends its machine.
ALONE = """echo "alone: $(nproc) processors"
for i in 1 2 3; do
	sleep 1
	for cpu in 1 2; do
		taskset $cpu md5sum /bin/busybox >/run/$cpu.$i
	done
	echo "alone: $i"
done
cmp /run/1.3 /run/2.1 && sleep 1 && poweroff -f
sleep 1000
"""


class Rtvm(TargetTest):
    """A Service VM on processors 0 and 1, an RTVM on 2 and 3."""

    LIMIT = 400

    def boot(self, launch: str, *guests: str, loglevel: int) -> Session:
        """With a script of the Service VM's, and guests on its disk; logs can cut their lines."""
        vm = self.service_vm(launch)
        vm.user_disk_mb = 0
        vm.hv_args = f"loglevel={loglevel}"
        vm.service_files.append((self.output / "misc" / "acrnctl", "/bin/acrnctl"))
        vm.disk_files.extend((self.guest(name), f"/{name}.bzimage") for name in guests)
        return self.boot_service_vm(vm, cpus=4)

    def test_killed(self) -> None:
        # Does an RTVM run on when its acrn-dm is killed, do management and signals leave it alone,
        # and is all of it gone when it has powered itself off?
        session = self.boot(KILLED, "smp", "lives", loglevel=2)
        for order in "stop -f", "reset", "pause":
            session.expect("an RTVM runs until it powers itself off", 200, BROKEN)
            session.expect(f"^acrnctl {order}: 1", 20, BROKEN)
        session.expect("^killed: 137, left 1", 200, BROKEN)
        session.expect("the device model of VM .rt. is gone", 60, BROKEN)
        session.expect("^ended", 60, BROKEN)
        session.expect("^lives: r had 3, all well", 60, BROKEN)
        session.expect("^lives: acrn-dm ended with status 0", 60, BROKEN)

    def test_linux_killed(self) -> None:
        # What if the acrn-dm of an RTVM with Linux is killed? It goes on without its devices, its
        # serial port that it prints to among them, and powers itself off when it is done.
        vm = self.service_vm(LINUX, alone=ALONE)
        vm.hv_args = "loglevel=5"
        vm.user_disk_mb = 0
        session = self.boot_service_vm(vm, cpus=4)
        session.expect("^alone: 2 processors", 200, BROKEN)
        session.expect("the device model of VM .rt. is gone", 60, BROKEN)
        session.expect(r"VM 2 \(rt\): destroyed", 100, BROKEN)
        ended = session.expect(r"^ended after (\d+) s", 60, BROKEN)
        self.assertGreater(int(ended[1]), 2)

    def test_neighbours(self) -> None:
        # Does an RTVM work without an exit while other VMs fault all the time, and does it keep
        # all of its timer's interrupts?
        session = self.boot(BESIDE, "smp", "wild", loglevel=3)
        for cpus in owned.CPUS:
            start = len(session.text)
            run = owned.one_run(session, cpus, 0.2, VM + 1)
            self.assertGreater(run.instructions, 50_000_000)
            self.assertGreater(min(run.timers), run.due * 0.98)
            self.assertIn("(fault): vCPU 0 triple-faulted", session.text[start:])
        session.send("\r")
        session.expect("^work: acrn-dm ended with status 0", 120, BROKEN)
        faults = session.expect(r"^faults: (\d+)", 120, BROKEN)
        self.assertGreater(int(faults[1]), 2)

    def test_rtvm(self) -> None:
        # Does an RTVM get its processors only when nobody else has them, do its IPIs reach whom
        # they should, and does it run without an exit, and on when the Service VM has ended?
        vm = self.service_vm(LAUNCH)
        vm.user_disk_mb = 0
        vm.hv_args = "loglevel=5"
        vm.disk_files.append((self.guest("smp"), "/smp.bzimage"))
        session = self.boot_service_vm(vm, cpus=4)
        failed = BROKEN + "|launch ended|smp: wrong"
        session.expect("rt and ACRN_Service_VM cannot share processors 0xc", 100, failed)
        session.expect("^shared: acrn-dm ended with status [1-9]", 60, failed)
        session.expect("^smp: 2 CPUs", 100, failed)
        for part in ("physical", "shorthands", "storms", "starts", "logical"):
            session.expect(f"^smp: {part}: [1-9]", 60, failed)
        session.expect("^smp done, 0 wrong", 60, failed)
        session.expect("^ipis: acrn-dm ended with status 0", 60, failed)
        for cpus in owned.CPUS:
            run = owned.one_run(session, cpus, 0.2, VM)
            self.assertGreater(run.instructions, 50_000_000)
            self.assertGreater(min(run.timers), run.due * 0.98)
        session.expect("^rt: done", 20, failed)
        session.send("\r")
        session.expect("^work: acrn-dm ended with status 0", 60, failed)
        session.expect(r"\(rt\): vCPU 1 triple-faulted, the VM is powered off", 60, BROKEN)
        session.expect("^fault: acrn-dm ended with status 0", 60, BROKEN)
        session.expect("other and rt cannot share processors 0x4", 100, failed)
        session.expect("^other: acrn-dm ended with status [1-9]", 60, failed)
        session.expect("only this one stops", 60, failed)
        session.send(owned.LEAVE)
        session.expect("Entering ACRN Shell", 30, failed)
        session.expect(owned.PROMPT, 30, failed)
        exits, _ = owned.look(session, VM)
        session.pump(1.0)
        self.assertEqual(exits, owned.look(session, VM)[0])
        self.assertIn("Running", owned.answer(session, "vm_list").split(" rt ")[1].split("\n")[0])
        looks = {owned.answer(session, f"vcpu_dumpreg {VM} 0") for _ in range(3)}
        self.assertEqual(3, len(looks))  # the loop counts
