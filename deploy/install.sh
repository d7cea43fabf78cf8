# shellcheck shell=bash
# How the operator gets onto a cluster, for the demo and the tests alike. To be sourced after steps.sh.
# The caller has set: admin and helm (kubectl and Helm with their options, arrays), cache.
deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
system_namespace=herd-system

# The references that deploy/images/build printed: operator=…, agent=…, scripted-api=…; and the path herdctl=…
reference() { sed -n "s/^$1=//p" <<<"$references"; }

# build_images: sets `references`. Nothing of this is shipped or measured, unless the caller sets PROFILE.
build_images() { references=$(PROFILE=${PROFILE:-local} "$deploy/images/build" operator agent scripted-api herdctl); }

# load_images: puts them on the nodes of the local cluster NAME.
load_images() {
  local image archives=()
  for image in operator agent scripted-api; do
    archives+=("$cache/images/$image-$(reference "$image" | sed 's/.*://').tar")
  done
  "$deploy/local/load" "${archives[@]}"
}

# install_chart HELM-OPTION…: the one place that knows how the chart's values name the images. Helm waits for the
# pods; whether the API server reaches a gateway is its own word.
install_chart() {
  "${helm[@]}" upgrade herd "$deploy/../charts/herdctl" --install --namespace "$system_namespace" --create-namespace \
    --set "operator.image=$(reference operator)" --set "agent.image=$(reference agent)" --wait --timeout 3m "$@"
  "${admin[@]}" wait --for=condition=Available apiservice/output-v1.herdctl.dev --timeout=1m
}

# deploy_scripted_api KUBECTL…: into the namespace of that kubectl; a user who may edit it is enough.
deploy_scripted_api() {
  sed "s|IMAGE|$(reference scripted-api)|" "$deploy/demo/scripted-api.yaml" | "$@" apply --filename -
  "$@" rollout status deployment/scripted-api --timeout=2m
}
