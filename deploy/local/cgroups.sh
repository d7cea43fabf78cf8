# shellcheck shell=bash
# Cgroups hold every process of a cluster, so that none is missed at the end, however the start was interrupted.
# A group is named by its path in the hierarchies, for example herdctl-demo/machines. To be sourced after cluster.sh.
cgroups=/sys/fs/cgroup
unified() { [ -f "$cgroups/cgroup.controllers" ]; }

hierarchies() {
  local folder
  if unified; then
    echo "$cgroups"
  else
    for folder in "$cgroups"/*/; do
      [ "$folder" = "$cgroups/unified/" ] || echo "${folder%/}"
    done
  fi
}

# folder_of GROUP: in the hierarchy that keeps our own processes; the kubelet's pods are in all of them.
folder_of() { if unified; then echo "$cgroups/$1"; else echo "$cgroups/pids/$1"; fi; }

# create_group GROUP: under every hierarchy, fit for children.
create_group() {
  local hierarchy
  while read -r hierarchy; do
    mkdir -p "$hierarchy/$1"
  done < <(hierarchies)
  if unified; then share_controllers "$(dirname "$cgroups/$1")"; else fill_cpuset "$1"; fi
}

# On v2 a child has the controllers that its parent shares.
share_controllers() {
  local controller
  for controller in $(<"$1/cgroup.controllers"); do
    echo "+$controller" >"$1/cgroup.subtree_control" || true # some kernels refuse some of them
  done
}

# On v1 a cpuset starts empty, and an empty one takes no process.
fill_cpuset() {
  local file
  for file in cpuset.cpus cpuset.mems; do
    cat "$cgroups/cpuset/$file" >"$cgroups/cpuset/$1/$file"
  done
}

# join_group GROUP: for the shell that calls it and all that it starts from then on.
join_group() {
  local shell=$BASHPID
  echo "$shell" >"$(folder_of "$1")/cgroup.procs"
}

# Leaves first. The kubelet and runc make some in hierarchies where we don't.
group_folders() { # GROUP
  local folder
  for folder in "$cgroups/$1" "$cgroups"/*/"$1"; do
    [ ! -d "$folder" ] || find "$folder" -depth -type d
  done
}

group_processes() { # GROUP
  group_folders "$1" | sed 's|$|/cgroup.procs|' | tr '\n' '\0' | xargs -0 -r cat 2>/dev/null | sort -un
}

# A frozen process can't die; runc freezes a v1 group for a moment while it changes it.
thaw_group() { # GROUP
  local state
  unified || [ ! -d "$cgroups/freezer/$1" ] ||
    while read -r state; do
      echo THAWED >"$state" 2>/dev/null || true
    done < <(find "$cgroups/freezer/$1" -name freezer.state)
}

# group_is_empty GROUP: and ends its processes if not. To be asked until it holds, as is the next.
group_is_empty() {
  local processes
  processes=$(group_processes "$1")
  [ -n "$processes" ] || return 0
  thaw_group "$1"
  # shellcheck disable=SC2086 # one argument a process
  kill -9 $processes 2>/dev/null
  return 1
}

# An emptied group is busy for a moment until the kernel has let go of its last process.
group_is_removed() { # GROUP
  group_folders "$1" | tr '\n' '\0' | xargs -0 -r -n1 rmdir 2>/dev/null
  [ -z "$(group_folders "$1")" ]
}

# remove_group GROUP: with all its processes.
remove_group() {
  holds 30 group_is_empty "$1" || fail "These processes of $1 would not end: $(group_processes "$1" | tr '\n' ' ')"
  holds 30 group_is_removed "$1" || fail "These cgroups of $1 would not go:" "$(group_folders "$1")"
}
