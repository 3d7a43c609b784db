#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the kernel's HSM sample program, unmodified, with our payload:
#   build-sample.sh KERNEL_FOLDER OUTPUT
# where KERNEL_FOLDER is what build-kernel.sh printed.
set -eu

here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/linux"
cp "$1/acrn.h" "$work/linux/acrn.h"
mkdir -p "$(dirname "$2")"
# Static, so that the Service VM's initramfs needs no libraries for it.
gcc -static -O1 -I"$work" -o "$2" "$1/sample/vm-sample.c" "$here/guest16.S"
