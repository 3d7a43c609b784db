#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A Debian as its users have it: the cloud kernel, its own initramfs, and a root
# file system with systemd, from the packages of the release that is named.
# Changed is only what lets a test log in: root has no password. Prints the
# folder, which holds vmlinuz, initrd.img, disk.img, the root file system alone,
# and efi.img, the same on a partition of a disk from which UEFI firmware starts
# the release's GRUB. It is cached by a hash of this script, and for as long as
# nobody deletes it.
#
#   make-debian.sh RELEASE [MIRROR]
set -eu

release=$1
mirror=${2:-http://deb.debian.org/debian}
cache=${ACRN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/acrn}
hash=$(sha256sum <"$0" | cut -c1-16)
folder=$cache/debian-$release-$hash

if [ ! -e "$folder/done" ]; then
	command -v mmdebstrap >/dev/null || {
		echo "stock: mmdebstrap is not installed: run misc/setup/install.sh" >&2
		exit 1
	}
	echo "stock: making a root file system of Debian $release" >&2
	rm -rf "$folder"
	mkdir -p "$folder"
	# The hooks run where the files belong to root, whoever calls this; /proc is mounted there.
	export folder
	# shellcheck disable=SC2016 # "$1" is the hook's
	mmdebstrap --variant=minbase --quiet \
		--include=linux-image-cloud-amd64,systemd-sysv,udev,initramfs-tools,kmod,zstd \
		--include=grub-efi-amd64-signed \
		--customize-hook='chroot "$1" passwd -d root' \
		--customize-hook='echo stock >"$1/etc/hostname"' \
		--customize-hook='echo "LABEL=root / ext4 defaults 0 1" >"$1/etc/fstab"' \
		--customize-hook='cp "$1"/boot/vmlinuz-* "$folder/vmlinuz"' \
		--customize-hook='cp "$1"/boot/initrd.img-* "$folder/initrd.img"' \
		--customize-hook='cp "$1"/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed "$folder/grub.efi"' \
		--customize-hook='mkdir "$folder/root"' \
		--customize-hook='tar -C "$1" --one-file-system -cf - . | tar -C "$folder/root" -xf -' \
		--customize-hook='mke2fs -q -t ext4 -L root -d "$folder/root" "$folder/disk.img" 768M' \
		--customize-hook='rm -r "$folder/root"' \
		"$release" /dev/null "$mirror" >&2
	cat >"$folder/grub.cfg" <<-'END'
		search --no-floppy --label --set=root root
		linux /vmlinuz root=LABEL=root rw console=ttyS0
		initrd /initrd.img
		boot
	END
	truncate -s 16M "$folder/esp.img"
	mformat -i "$folder/esp.img" -T 32768 ::
	mmd -i "$folder/esp.img" ::/EFI ::/EFI/BOOT ::/EFI/debian
	mcopy -i "$folder/esp.img" "$folder/grub.efi" ::/EFI/BOOT/BOOTX64.EFI
	mcopy -i "$folder/esp.img" "$folder/grub.cfg" ::/EFI/debian/grub.cfg
	truncate -s 786M "$folder/efi.img"
	printf 'label: gpt\nstart=1MiB, size=16MiB, type=uefi\nstart=17MiB, size=768MiB\n' |
		sfdisk -q "$folder/efi.img" >&2
	dd if="$folder/esp.img" of="$folder/efi.img" bs=1M seek=1 conv=notrunc status=none
	dd if="$folder/disk.img" of="$folder/efi.img" bs=1M seek=17 conv=notrunc,sparse status=none
	rm "$folder/esp.img"
	touch "$folder/done"
fi
echo "$folder"
