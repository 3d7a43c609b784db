# SPDX-License-Identifier: BSD-3-Clause
"""Networks of User VMs: one bridge for two VMs and the Service VM's adapter."""

import hashlib
import random
import socketserver
import threading
from pathlib import Path

from tests.run.target import BROKEN, TargetTest
from tests.target.test_bare import ADAPTER
from tests.target.test_devices import SLEPT, UNTIL

BUSYBOX = Path("/bin/busybox")
MEGABYTES = 16
FILE = random.Random(1).randbytes(1 << 16)  # what the host has for them
# The slirp network of Bochs: the host is 10.0.2.2, and its loopback interface behind it.
LAUNCH = UNTIL + SLEPT + """\
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
acrn-bridge -i eth0 tap2
start()
{
	acrn-dm -m 64M -s 0,hostbridge -s 1,lpc -l com1,stdio --cpu_affinity $2 \\
		-s 4,virtio-net,tap=tap$1$3 -s 5,vhost-vsock,cid=$((40 + $1)) \\
		-k /data/bzImage -r /data/user.cpio \\
		-B "console=ttyS0 quiet acrn.test=/bin/network me=$1" vm$1 </dev/null >/run/vm$1 2>&1 &
	eval dm$1=$!
}
vsock serve 700 &
start 1 0,1 ,queues=2,vhost
sleep 1
until_line 'tap tap1; it is made' /run/vm1
acrn-bridge tap1
until_line '^up' /run/vm1
kernels=$(pidof vhost-$dm1 | sed 's,[0-9][0-9]*,/proc/&/status,g')
for n in $(seq 8); do
	own=$(slept /proc/$dm1/task/*/status)
	its=$(slept $kernels)
	ping -c 40 -i 0.05 10.0.2.21 | grep -o '.. packets received'
	echo "acrn-dm slept $(($(slept /proc/$dm1/task/*/status) - own)) times, vhost $(($(slept $kernels) - its))"
done
echo "vhost: $(echo $kernels | wc -w) threads"
echo "by vsock: $(head -c 300000 /bin/busybox | vsock send 41 701 | md5sum)"
start 2 1
ping -c 1 10.0.2.2 | grep received
until_line '^up' /run/vm2 && ping -c 1 10.0.2.22 | grep received
for me in 1 2; do
	eval wait \\$dm$me
	echo "vm$me: acrn-dm ended with status $?"
done
cat /run/vm1 /run/vm2
acrn-bridge -d && echo "gone: $(ip route show | grep default)"
"""

# PORT is the host's.
NETWORK = """\
me=$(sed 's/.*me=\\([0-9]\\).*/\\1/' /proc/cmdline)
ip addr add 10.0.2.2$me/24 dev eth0
ip link set eth0 up
seconds() { cut -d ' ' -f 1 /proc/uptime; }
until_up() { until ping -c 1 -W 1 $1 >/dev/null; do :; done; }
cd /sys/class/net/eth0
[ $me = 2 ] || vsock serve 701 &
echo "queues: $(echo $(ls queues))"
echo up
if [ $me = 2 ]; then
	# nc itself would copy a kilobyte at a time, each to be acknowledged before the next.
	nc -l -p 5000 -e sh -c 'md5sum >/run/got' &
	until_up 10.0.2.21
	wait
	echo "got $(cat /run/got)"
	echo "a packet: $(($(cat statistics/rx_bytes) / $(cat statistics/rx_packets)))"
	until_up 10.0.2.2
	echo "outside $(nc 10.0.2.2 PORT </dev/null | md5sum)"
else
	until_up 10.0.2.22
	echo "also $(head -c 300000 /bin/busybox | vsock send 2 700 | md5sum)"
	ping -c 2 10.0.2.22 | grep received
	from=$(seconds)
	nc 10.0.2.22 5000 -e sh -c 'for i in $(seq COPIES); do cat /bin/busybox; done'
	echo "sent from $from to $(seconds)"
fi
"""


# On average, more than fits into a frame; how much more is a matter of time.
FAT = r"^a packet: ([2-9][0-9]{3}|[0-9]{5})$"


class Handler(socketserver.BaseRequestHandler):
    """Sends the file."""

    def handle(self) -> None:
        self.request.sendall(FILE)


class Net(TargetTest):
    """Two User VMs, one with several queues by vhost, an adapter of the Service VM, a host beyond."""

    LIMIT = 600

    def test_bridge(self) -> None:
        # Do VMs reach each other and the world, and do 16 MB between them arrive as they were sent?
        # Does vhost move the packets of one, without waking its acrn-dm for each, and do sockets
        # that need no network pass 300 KB to the Service VM and back, and as many from there?
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.addCleanup(server.shutdown)
            self.judge(server.server_address[1])

    def judge(self, port: int) -> None:
        """The machine, and what it says."""
        copies = (MEGABYTES << 20) // BUSYBOX.stat().st_size + 1
        sent = BUSYBOX.read_bytes() * copies
        script = NETWORK
        for name, value in (("PORT", port), ("COPIES", copies)):
            script = script.replace(name, str(value))
        vm = self.service_vm(LAUNCH, network=script)
        vm.user_disk_mb = 0
        program = self.program("vsock")
        vm.service_files = [(Path("misc/bridge/acrn-bridge.sh"), "/bin/acrn-bridge"),
                            (program, "/bin/vsock")]
        vm.user_files.append((program, "/bin/vsock"))
        session = self.boot_service_vm(vm, cpus=2, extra=ADAPTER)
        failed = BROKEN + "|launch ended"
        once = hashlib.md5(BUSYBOX.read_bytes()[:300000]).hexdigest()
        pings = r"40 packets received\nacrn-dm slept (\d+) times, vhost (\d+)\n"
        slept = [session.expect(pings, 300, failed).groups() for _ in range(8)]
        # Linux moves a vector to its CPU at the vector's first interrupt, by some 14 requests: four
        # vectors, and what it does at its start, may spoil a window each. Of the 80 packets of a
        # window, those of one direction alone would wake acrn-dm 40 times.
        self.assertLess(min(int(own) for own, _ in slept), 30, slept)
        self.assertGreaterEqual(min(int(its) for _, its in slept), 40, slept)
        for line in ("^vhost: 3 threads$", f"^by vsock: {once}",
                     "1 packets received", "1 packets received", "^vm1: acrn-dm ended with status 0",
                     "^vm2: acrn-dm ended with status 0", "^queues: rx-0 rx-1 tx-0 tx-1", f"^also {once}",
                     "2 packets received", "^sent from", f"^got {hashlib.md5(sent).hexdigest()}", FAT,
                     f"^outside {hashlib.md5(FILE).hexdigest()}", "^gone: default via 10.0.2.2 dev eth0"):
            session.expect(line, 300, failed)
        session.wait_end(60)
