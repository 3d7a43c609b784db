#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs in the Service VM: launches the User VM "vm1", a Linux with its console
# on this terminal and a disk that is a file here.
exec acrn-dm -m 96M -s 0,hostbridge -s 1,lpc -l com1,stdio -s 3,virtio-blk,/data/user.img \
	-k /data/bzImage -r /data/user.cpio -B "console=ttyS0 quiet" vm1
