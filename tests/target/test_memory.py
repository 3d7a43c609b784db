# SPDX-License-Identifier: BSD-3-Clause
"""Big User VMs: memory on both sides of the hole below 4 GB, in pages of every size."""

from tests.run.target import BROKEN, ServiceVm, TargetTest

GIANT = "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages"

# run NAME SIZE: tells how few giant pages were free meanwhile
LAUNCH = f"""\
run()
{{
	least=$(cat {GIANT})
	acrn-dm -s 0,hostbridge -s 1,lpc -l com1,stdio -k /data/bigmem.bzimage \\
		-m $2 -B "seed=$1" "$1" </dev/null >/run/log &
	while kill -0 $! 2>/dev/null; do
		now=$(cat {GIANT})
		[ "$now" -lt "$least" ] && least=$now
		sleep 0.1
	done
	wait $!
	status=$?
	cat /run/log
	echo "$1: status $status, $least free"
}}
run three 3G
run six 6G
run eight 8G
echo "free: $(cat {GIANT})"
"""


class Memory(TargetTest):
    """One boot of a machine with enough memory."""

    LIMIT = 900

    def test_big(self) -> None:
        # What if a VM's memory reaches above 4 GB, and what if it is more than there is? The
        # administrator set four pages of 1 GB aside: they are used first, and come back.
        vm = ServiceVm(self.hypervisor, self.kernel, self.acrn_dm, "loglevel=5", launch=None,
                       kernel_args="console=ttyS0 quiet acrn.after=poweroff hugepagesz=1G hugepages=4",
                       disk_files=[(self.script("launch", LAUNCH), "/launch.sh"),
                                   (self.guest("bigmem"), "/bigmem.bzimage")])
        session = self.boot_service_vm(vm, memory_mb=8192)
        for name, high, free in ("three", 5, 1), ("six", 8, 0):
            session.expect("^bigmem: 100000 to 80000000: 0 wrong", 600, BROKEN)
            session.expect(f"^bigmem: 100000000 to {high << 30:x}: 0 wrong", 60, BROKEN)
            session.expect(f"^{name}: status 0, {free} free", 60, BROKEN)
        session.expect("^acrn-dm: error: -m: the VM wants 8192 MB", 60, BROKEN)
        session.expect("^eight: status 1, 4 free", 60, BROKEN)
        session.expect("^free: 4", 60, BROKEN)
        session.wait_end(60)
