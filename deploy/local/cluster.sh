# shellcheck shell=bash disable=SC2034 # the names are for the scripts that source this file
# What a local cluster is called and where it lives. To be sourced by the scripts beside it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../steps.sh
. "$here/../steps.sh"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/herdctl
NAME=${NAME:-herd}
BIN=${BIN:-$cache/bin}
ROOT=$cache/clusters/$NAME
# Letters that a network device and a cgroup may carry: a device's name ends at 15.
[[ $NAME =~ ^[a-z][a-z0-9]{0,7}$ ]] || fail "NAME is '$NAME': a cluster's name is at most 8 small letters or digits."
link=herd-$NAME     # the host's one network device of this cluster
group=herdctl-$NAME # its cgroup, in every hierarchy
export PATH=$BIN:$PATH:/usr/sbin:/sbin

# What the cluster's networks are inside its own namespaces: no other cluster ever sees them.
pod_network=10.244
service_network=10.96.0.0/16
api_service=10.96.0.1
dns_service=10.96.0.53

need_root() {
  [ "$(uname -s) $(id -u)" = "Linux 0" ] ||
    fail "A local cluster needs Linux and root (namespaces, cgroups, mounts)." \
      "Elsewhere, name a cluster of yours: make demo CONTEXT=… REGISTRY=…"
}

# One start or stop of a cluster at a time, machine-wide. Whatever they run holds the lock (descriptor 9) too,
# but for the cluster's own processes: so after a kill, `down` waits for what the killed `up` left unfinished.
lock_cluster() {
  mkdir -p /run/lock
  exec 9>"/run/lock/$group.lock"
  flock --wait 120 9 || fail "Another start or stop of cluster '$NAME' has run for two minutes; try again when it is through."
}

as_admin() { kubectl --kubeconfig "$ROOT/kubeconfig" "$@"; }
