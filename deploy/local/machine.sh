# shellcheck shell=bash
# A machine of the cluster is a set of namespaces (processes, mounts, network) with `init` as its first process.
# When that one ends, by whatever cause, the kernel ends all that runs in it and takes its mounts and
# network devices away: nothing has to be looked for. To be sourced after cluster.sh and cgroups.sh.

# boot MACHINE: starts its first process; its process id, as the host sees it, is in pids/MACHINE.
boot() {
  local machine=$1 parent
  mkdir -p "$ROOT/pids" "$ROOT/log" "$ROOT/run/$machine"
  (
    join_group "$group/machines"
    exec 9>&-
    exec setsid unshare --pid --mount --net --fork --kill-child --mount-proc --propagation private \
      "$here/init" "$ROOT/run/$machine/ready"
  ) >"$ROOT/log/$machine.log" 2>&1 </dev/null &
  parent=$!
  holds 10 test -e "$ROOT/run/$machine/ready" || failed_step "start the namespaces of $machine" "$ROOT/log/$machine.log"
  pgrep -P "$parent" >"$ROOT/pids/$machine"
}

machine_lives() { grep -qsx "$(cat "$ROOT/pids/$1" 2>/dev/null)" "$(folder_of "$group/machines")/cgroup.procs"; }

inside() {
  local machine=$1
  shift
  nsenter --target "$(<"$ROOT/pids/$machine")" --pid --mount --net -- "$@"
}

# net MACHINE COMMAND…: with its network alone.
net() {
  local machine=$1
  shift
  nsenter --target "$(<"$ROOT/pids/$machine")" --net -- "$@"
}

# start MACHINE PROGRAM COMMAND…: a daemon in a machine. Its process id there is in run/MACHINE/PROGRAM.
start() {
  local machine=$1 program=$2
  shift 2
  (
    join_group "$group/machines"
    exec 9>&-
    # shellcheck disable=SC2016 # expanded by the inner shell
    inside "$machine" setsid --fork bash -c 'echo $$ >"$1"; shift; exec "$@"' - "$ROOT/run/$machine/$program" "$@"
  ) >>"$(log_of "$machine" "$program")" 2>&1 </dev/null
}
log_of() { echo "$ROOT/log/$1-$2.log"; }
