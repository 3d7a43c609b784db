# SPDX-License-Identifier: BSD-3-Clause
# Completion of acrn-dm's command line for bash. Options and devices are those that the program
# itself names in its help, so that this file knows none.

_acrn_dm()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} help slot
	help=$(${COMP_WORDS[0]/#\~/$HOME} --help 2>/dev/null) || return
	case $prev in
	-k | --kernel | -E | --elf_file | -r | --ramdisk | --cmd_monitor)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-l | --lpc)
		mapfile -t COMPREPLY < <(compgen -W "com1, com2, com3, com4," -- "$cur")
		compopt -o nospace 2>/dev/null
		return
		;;
	-s | --pci_slot)
		# Behind the slot's comma, which is no end of a word.
		slot=${cur%%,*},
		if [[ $cur == *,* && ${cur#*,} != *,* ]]; then
			mapfile -t COMPREPLY < <(compgen -P "$slot" -W \
				"$(sed -n '/^Devices:/,$ { s/^Devices://; p }' <<<"$help")" -- "${cur#*,}")
			compopt -o nospace 2>/dev/null
		fi
		return
		;;
	--ovmf)
		# Behind the last word that is not a part of a path.
		slot=${cur%"${cur##*[,=]}"}
		mapfile -t COMPREPLY < <(compgen -P "$slot" -f -- "${cur##*[,=]}")
		return
		;;
	-m | --memsize | -B | --bootargs | --cpu_affinity | --logger_setting)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$(grep -oE '^  (-., )?--[a-z_-]+|^  -.' <<<"$help" | tr -d ,)" -- "$cur")
	fi
}
complete -F _acrn_dm acrn-dm
