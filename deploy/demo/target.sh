# shellcheck shell=bash disable=SC2034 # the names are for the scripts that source this file
# Which cluster the demo is about: the one that CONTEXT names, else a local one of its own. To be sourced by up and down.
set -euo pipefail
demo=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
namespace=team-a
if [ -n "${CONTEXT:-}" ]; then
  # shellcheck source=../steps.sh
  . "$demo/../steps.sh"
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/herdctl
  admin=(kubectl --context "$CONTEXT")
  as_dev=(--context "$CONTEXT" --namespace "$namespace")
  helm=(helm --kube-context "$CONTEXT")
  get_jobs=false # who else uses this cluster has not been asked
else
  export NAME=${NAME:-demo}
  # shellcheck source=../local/cluster.sh
  . "$demo/../local/cluster.sh"
  # shellcheck source=../local/cgroups.sh
  . "$demo/../local/cgroups.sh"
  need_root
  admin=(kubectl --kubeconfig "$ROOT/kubeconfig")
  as_dev=(--kubeconfig "$ROOT/kubeconfig-dev")
  helm=(helm --kubeconfig "$ROOT/kubeconfig")
  get_jobs=true # "kubectl get jobs" lists ours
fi
dev=(kubectl "${as_dev[@]}") # herdctl takes the same options
logs=$cache/log
mark=demo=made # on what the demo made in a cluster that is not its own
# shellcheck source=../install.sh
. "$demo/../install.sh"

# The chart's release, if it was the demo that installed it.
demo_release() { "${helm[@]}" list --namespace "$system_namespace" --selector "$mark" --short; }

# A demo's own processes (compilers, image builders, kubectl) have a cgroup too, beside the cluster's,
# so that those of a demo that was killed can be found and ended.
end_other_demo() { remove_group "$group.demo"; }

join_demo_group() {
  mkdir -p "$(folder_of "$group.demo")"
  join_group "$group.demo"
}
