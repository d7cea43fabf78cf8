# shellcheck shell=bash
# The control plane's programs, in the machine `control`. To be sourced after machine.sh, network.sh and pki.sh.
start_etcd() {
  start control etcd etcd --data-dir "$ROOT/etcd" --unsafe-no-fsync \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
}

# The audit log has one line a request, with who and what and no bodies.
start_apiserver() {
  cat >"$ROOT/audit-policy.json" <<'JSON'
{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}
JSON
  start control apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
    --advertise-address="$(control_address)" --secure-port=6443 --cert-dir="$pki" \
    --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
    --kubelet-preferred-address-types=InternalIP \
    --service-account-key-file="$pki/sa.key" --service-account-signing-key-file="$pki/sa.key" \
    --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range="$service_network" \
    --authorization-mode=Node,RBAC --allow-privileged \
    --requestheader-client-ca-file="$pki/front-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$pki/front-proxy-client.crt" --proxy-client-key-file="$pki/front-proxy-client.key" \
    --enable-aggregator-routing=true \
    --audit-policy-file="$ROOT/audit-policy.json" --audit-log-path="$ROOT/log/audit.log" --audit-log-maxsize=200
}

# A silent node is told as NotReady after 20 s instead of 50: tests lose nodes.
start_managers() {
  local auth=$ROOT/auth/controller-manager
  start control controller-manager kube-controller-manager --kubeconfig="$auth" --authentication-kubeconfig="$auth" \
    --authorization-kubeconfig="$auth" --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --use-service-account-credentials --leader-elect=false --node-monitor-grace-period=20s
  auth=$ROOT/auth/scheduler
  start control scheduler kube-scheduler --kubeconfig="$auth" --authentication-kubeconfig="$auth" \
    --authorization-kubeconfig="$auth" --leader-elect=false
}

start_dns() {
  cat >"$ROOT/Corefile" <<CORE
.:53 {
  bind $(control_address)
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $ROOT/auth/dns
  }
  cache 5
  $(nat_forward)
}
CORE
  start control coredns coredns -conf "$ROOT/Corefile"
}

start_provisioner() {
  mkdir -p "$ROOT/volumes"
  start control provisioner provisioner --kubeconfig "$ROOT/auth/provisioner" --root "$ROOT/volumes"
}
