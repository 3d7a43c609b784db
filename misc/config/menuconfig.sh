#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Edit .config: menuconfig.sh [BOARD] [SCENARIO], as given to make.
set -eu
cd "$(dirname "$0")/../.."
export MENUCONFIG_STYLE="${MENUCONFIG_STYLE:-default}" KCONFIG_CONFIG=.config
exec /usr/bin/python3 misc/config/kconfig.py .config \
	"configs/scenarios/${1:-bochs}/${2:-shared}.xml"
