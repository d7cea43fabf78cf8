# shellcheck shell=bash
# Takes a cluster away by its NAME alone: also one whose start was killed, or whose state folder is gone.
# To be sourced after cgroups.sh and nat.sh.
anything_left() { [ -e "$ROOT" ] || [ -n "$(group_folders "$group")" ] || ip link show "$link" >/dev/null 2>&1; }

remove_cluster() {
  remove_group "$group"
  close_nat
  if ip link show "$link" >/dev/null 2>&1; then ip link delete "$link"; fi
  rm -rf --one-file-system "$ROOT"
}
