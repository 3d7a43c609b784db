# SPDX-License-Identifier: BSD-3-Clause
"""The life of VMs: killed at any moment, many after one another and many at once."""

import re
import subprocess
from pathlib import Path
from statistics import median

from misc.run.machine import TOP
from tests.run.target import BROKEN, IPS, ServiceVm, Session, TargetTest

DM = "acrn-dm -m 20M -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/lives.bzimage"

# start NAME WORDS: in the background; well LOG...: how many guests found all well
SHELL = f"""\
start()
{{
	name=$1
	shift
	{DM} $DM_CPU -B "name=$name $*" "$name" </dev/null >"/run/$name.log" 2>&1 &
}}
well()
{{
	grep -l '^lives: .* all well' "$@" 2>/dev/null | wc -l
}}
wait_for() # number, logs
{{
	number=$1
	shift
	tries=200
	until [ "$(well "$@")" = "$number" ] || [ $tries = 0 ]; do
		sleep 0.3
		tries=$((tries - 1))
	done
}}
ended_well() # processes
{{
	count=0
	for pid in "$@"; do
		wait "$pid" && count=$((count + 1))
	done
}}
"""

MANY = SHELL + """\
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
	start "n$((n % 3))-$n" rounds=3
	wait $! && mv "/run/n$((n % 3))-$n.log" /run/done.$n
done
echo "one after another: $(well /run/done.*) well"

pids=
for n in a b c d e f g h; do
	start $n lives=2
	pids="$pids $!"
done
ended_well $pids
[ $count = 8 ] && echo "at once: $(well /run/?.log) well"

pids=
rm /run/?.log
for n in a b c d e f g h i j k l m n; do
	start $n rounds=3 then=halt
	pids="$pids $!"
done
wait_for 14 /run/?.log
echo "slots: $(well /run/?.log) wait"
start o
wait $!
status=$?
cat /run/o.log
echo "one too many: $status"
start vm1
wait $!
echo "vm1: $(well /run/vm1.log) well, status $?"
kill $pids
ended_well $pids
echo "ended: $count with status 0"
start o
wait $!
echo "again: $(well /run/o.log) well, status $?"
"""

REBOOT = SHELL + """\
n=1
[ -e /data/again ] && n=2
touch /data/again
sync
start f rounds=3 then=fault
wait $!
status=$?
sleep 1
echo "fault: $(well /run/f.log) well, status $status"
for name in a b; do
	start $name rounds=3 then=halt
done
wait_for 2 /run/[ab].log
echo "boot $n: $(well /run/[ab].log) wait"
reboot -f
"""

# Each processor has two that wake all the time and one that never rests, and the Service VM.
WAKERS = SHELL + """\
on() # CPU, start's words
{
	DM_CPU="--cpu_affinity $1"
	shift
	start "$@"
	pids="$pids $!"
}
pids=
on 0 s then=spin rounds=1
on 1 t then=spin rounds=1
wait_for 2 /run/s.log /run/t.log
pids=
on 0 a slowest rounds=400
on 0 b slowest rounds=400
on 1 c slowest rounds=400
on 1 d slowest rounds=400
on 1 p rounds=300
until acrnctl list | grep -q '^p .*started'; do
	sleep 0.1
done
paused=0
until [ "$(well /run/p.log)" = 1 ] || [ $paused = 200 ]; do
	acrnctl pause p && sleep 0.0$((paused % 9)) && acrnctl resume p || break
	paused=$((paused + 1))
done
wait_for 1 /run/p.log
[ $paused -gt 3 ] && echo "paused: $(well /run/p.log) well"
echo "paused $paused times"
ended_well $pids
cat /run/[abcd].log
echo "wakers: $(well /run/[abcd].log) well, $count ended"
kill %1 %2
wait
"""

# Four that ask the device model all the time are killed at once, while one goes on.
TOGETHER = SHELL + """\
start k rounds=1000 slowest
kept=$!
for round in 1 2 3 4 5 6; do
	pids=
	logs=
	for n in a b c d; do
		start $n$round rounds=3 then=wait
		pids="$pids $!"
		logs="$logs /run/$n$round.log"
	done
	wait_for 4 $logs
	echo "round $round: $(well $logs) wait"
	kill -9 $pids
done
for n in a b c d; do
	start ${n}6 rounds=3
	wait $! || break
done
echo "again: $(well $logs) well"
wait $kept
cat /run/k.log
"""

KILLS = 75  # every fifth only stops it; some come too late
SEED = 20
MEMORY_NOISE_KB = 512
LONG = IPS * 10 // 1000  # ten seconds, in thousand ticks


class Life(TargetTest):
    """Small guests that check their own work."""

    LIMIT = 600

    def boot(self, launch: str, programs: tuple[str, ...] = (), cpus: int = 2,
             kernel_args: str = "quiet acrn.after=poweroff") -> Session:
        """Boots a Service VM with the guest and these programs."""
        vm = ServiceVm(self.hypervisor, self.kernel, self.acrn_dm, "loglevel=5", launch=None,
                       kernel_args=f"console=ttyS0 {kernel_args}",
                       service_files=[(self.output / "misc" / "acrnctl", "/bin/acrnctl")] +
                       [(self.program(name), f"/bin/{name}") for name in programs],
                       disk_files=[(self.script("launch", launch), "/launch.sh"),
                                   (self.guest("lives"), "/lives.bzimage")])
        return self.boot_service_vm(vm, cpus=cpus)

    def test_killed_at_any_moment(self) -> None:
        # What if acrn-dm is killed or stopped at any moment, from its first instruction to its
        # last, during resets too? No VM, no memory and nothing of the hypervisor's stays behind.
        session = self.boot(f"killer {SEED} {KILLS} /run/life {DM} "
                            '-B "lives=3 rounds=20 name=k" life\n'
                            "cat /proc/sys/vm/nr_overcommit_hugepages", ("killer",))
        first = session.expect(r"killer: first (\d+), (\d+) thousand ticks; last (\d+), ", 400, BROKEN)
        session.expect(r"^killer: done\n0\n", 60, BROKEN)
        session.wait_end(60)
        rounds = re.findall(r"^killer: (.*) at (\d+) thousand ticks: status (\d+), (\d+) kB free$",
                            session.text, re.MULTILINE)
        print(f"seed {SEED}", *rounds, *re.findall("^killer: failed: .*", session.text, re.MULTILINE),
              sep="\n")
        self.assertEqual((first[1], first[3], len(rounds)), ("0", "0", KILLS))
        for action, _, status, _ in rounds:
            self.assertIn(status, ("0",) if action == "stopped" else ("0", "137"))
        self.assertGreaterEqual([status for _, _, status, _ in rounds].count("137"), 50)
        # After every second round all is waited for. One sample says little: the kernel gives back
        # some of a process's memory later.
        free = [int(kb) for *_, kb in rounds[2::2]]
        self.assertLess(median(free[:9]) - median(free[-9:]), MEMORY_NOISE_KB)
        self.no_vm_left(session)

    def test_killed_together(self) -> None:
        # What if four acrn-dm are killed at the same moment, again and again, and started again at
        # once, while another VM's goes on? Linux's HSM driver cannot end two VMs at a time, and one
        # after another they end; the other VM does not wait long for an answer.
        session = self.boot(TOGETHER)
        for turn in range(1, 7):
            session.expect(f"^round {turn}: 4 wait", 100, BROKEN)
        session.expect("^again: 4 well", 100, BROKEN)
        slowest = session.expect(r"^lives: k took (\d+) thousand", 300, BROKEN)
        session.expect("^lives: k had 1, all well", 60, BROKEN)
        session.wait_end(60)
        self.assertLess(int(slowest[1]), LONG)
        self.no_vm_left(session)

    def test_many(self) -> None:
        # What if sixteen VMs run one after another, eight at once, and as many as there are slots,
        # and one more? Names and slots can be used again, and what is refused says why.
        session = self.boot(MANY)
        session.expect("^one after another: 16 well", 300, BROKEN)
        session.expect("^at once: 8 well", 300, BROKEN)
        session.expect("^slots: 14 wait", 300, BROKEN)
        session.expect('^acrn-dm: error: the hypervisor refuses VM "o" .*is a VM slot free', 60, BROKEN)
        session.expect("^one too many: 1$", 60, BROKEN)
        session.expect("^vm1: 1 well, status 0", 60, BROKEN)
        session.expect("^ended: 14 with status 0", 120, BROKEN)
        session.expect("^again: 1 well, status 0", 60, BROKEN)
        session.wait_end(60)
        self.no_vm_left(session)

    def test_wakers(self) -> None:
        # What if VMs wake all the time for an instant, several on each processor, beside others that
        # never rest? Each gets on: none of their rounds of work takes long. One is paused and resumed
        # all the time, before and after its timer is due, and finds all as it must be.
        session = self.boot(WAKERS)
        session.expect("^paused: 1 well", 300, BROKEN)
        session.expect("^wakers: 4 well, 5 ended", 300, BROKEN)
        session.wait_end(60)
        slowest = re.findall(r"^lives: . took (\d+) thousand", session.text, re.MULTILINE)
        print("slowest rounds, thousand ticks:", *slowest)
        self.assertEqual(len(slowest), 4)
        self.assertLess(max(map(int, slowest)), LONG)

    def test_reboot_under_vms(self) -> None:
        # What if the Service VM resets the machine, by a triple fault, while it has User VMs, and
        # one has just had a triple fault itself? It comes up, and starts them again.
        session = self.boot(REBOOT, kernel_args="quiet reboot=t")
        for boot in (1, 2):
            session.expect(r"f.*: vCPU 0 triple-faulted, the VM is powered off", 200, BROKEN)
            session.expect("^fault: 1 well, status 0", 60, BROKEN)
            session.expect(f"^boot {boot}: 2 wait", 100, BROKEN)
            session.expect("vCPU 0 triple-faulted", 60, BROKEN)
            session.expect("resets the machine", 60, BROKEN)
        session.close()
        self.assertEqual(session.text.count("invariants hold: 3 VMs"), 2)

    def no_vm_left(self, session: Session) -> None:
        """Each VM that was created went, and the hypervisor had as much then as at its first end."""
        created = re.findall(r"VM [1-9]\d* \((\S+)\): created", session.text)
        ended = re.findall(r"VM [1-9]\d* \((\S+)\): destroyed", session.text)
        alone = re.findall("invariants hold: 1 VMs, .*", session.text)
        self.assertEqual(sorted(created), sorted(ended))
        self.assertEqual({alone[0]}, set(alone))
        self.assertEqual(alone[-1], re.findall("invariants hold.*", session.text)[-1])
