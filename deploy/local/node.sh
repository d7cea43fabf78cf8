# shellcheck shell=bash
# A node: containerd, kubelet and kube-proxy in a machine of its own. To be sourced after machine.sh, network.sh and pki.sh.
start_node() {
  local number=$1 machine=node$1 folder=$ROOT/node$1
  mkdir -p "$folder"/{cni,containerd,kubelet,plugins,logs}
  certificate "$machine" "/O=system:nodes/CN=system:node:$machine" "IP:$(node_address "$number"),DNS:$machine"
  kubeconfig "$ROOT/auth/$machine" "$machine"
  create_group "$group/$machine"
  cni_config "$number" >"$folder/cni/10-bridge.conflist"
  containerd_config "$number" >"$folder/containerd.toml"
  kubelet_config "$number" >"$folder/kubelet.yaml"
  proxy_config "$number" >"$folder/proxy.yaml"
  start_programs "$number"
}

# start_programs NUMBER: on a node whose files are there, as after a power cut.
start_programs() {
  start_containerd "$1"
  start_kubelet "$1"
  start "node$1" kube-proxy kube-proxy --config "$ROOT/node$1/proxy.yaml"
}

start_containerd() {
  local folder=$ROOT/node$1
  rm -f "$folder/containerd.sock"
  start "node$1" containerd containerd -c "$folder/containerd.toml"
  holds 20 test -S "$folder/containerd.sock"
}

# A kubelet that finds its container runtime not ready yet ends, and is started again, as by any init system.
start_kubelet() {
  launch_kubelet "$1"
  holds 60 kubelet_speaks "$1" || failed_step "start the kubelet of node$1" "$(log_of "node$1" kubelet)"
}

kubelet_speaks() {
  net "node$1" bash -c '</dev/tcp/127.0.0.1/10248' && return
  if kubelet_has_ended "$1"; then launch_kubelet "$1"; fi
  return 1
}

# Its process id stands there once it has begun.
kubelet_has_ended() {
  local pid
  pid=$(cat "$ROOT/run/node$1/kubelet") && [ -n "$pid" ] && ! inside "node$1" kill -0 "$pid"
}

launch_kubelet() {
  local machine=node$1 folder=$ROOT/node$1
  rm -f "$ROOT/run/$machine/kubelet"
  start "$machine" kubelet kubelet --config "$folder/kubelet.yaml" --kubeconfig "$ROOT/auth/$machine" \
    --root-dir "$folder/kubelet" --cert-dir "$folder/certs" --hostname-override "$machine" --node-ip "$(node_address "$1")"
}

cni_config() {
  cat <<JSON
{"cniVersion":"1.0.0","name":"pods","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true,"ipam":{"type":"host-local",
  "dataDir":"$ROOT/node$1/ipam","ranges":[[{"subnet":"$(pod_subnet "$1")"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
JSON
}

containerd_config() {
  local folder=$ROOT/node$1
  # shellcheck disable=SC2154 # `up` says which image the sandbox is; who sources this for other things needs none
  cat <<TOML
version = 3
root = "$folder/containerd/root"
state = "$folder/containerd/state"
[grpc]
address = "$folder/containerd.sock"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "$pause"
[plugins."io.containerd.cri.v1.runtime"]
disable_apparmor = true
# Where root lacks CAP_SYS_RESOURCE a container's oom_score_adj may not go below the daemon's own
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "$folder/cni"
TOML
}

kubelet_config() {
  local folder=$ROOT/node$1
  cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$group/node$1
containerRuntimeEndpoint: unix://$folder/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/node$1.crt
tlsPrivateKeyFile: $pki/node$1.key
clusterDNS: [$dns_service]
clusterDomain: cluster.local
failSwapOn: false
resolvConf: ""
podLogsDir: $folder/logs
volumePluginDir: $folder/plugins
imageGCHighThresholdPercent: 100
# Tests kill the controller again and again; a longer pause each time would prove nothing more
crashLoopBackOff: {maxContainerRestartPeriod: 2s}
# A sign of life every 2.5 s; see --node-monitor-grace-period
nodeLeaseDurationSeconds: 10
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
YAML
}

proxy_config() {
  cat <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $ROOT/auth/proxy}
clusterCIDR: $pod_network.0.0/16
mode: nftables
hostnameOverride: node$1
conntrack: {maxPerCore: 0}
YAML
}
