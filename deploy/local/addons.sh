# shellcheck shell=bash
# What a user expects of any cluster: DNS, a default StorageClass, and a namespace where `dev` may work. To be sourced after control.sh.
apply_dns() {
  as_admin apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: $dns_service, ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints: [{addresses: [$(control_address)]}]
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
YAML
}

# The volumes are folders under $ROOT/volumes; every node sees the same file system.
apply_storage() {
  as_admin apply -f - <<YAML
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: folders, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: herdctl.dev/folders
volumeBindingMode: WaitForFirstConsumer
YAML
}

apply_dev() {
  as_admin apply -f - <<YAML
apiVersion: v1
kind: Namespace
metadata: {name: $DEV_NAMESPACE, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: dev, namespace: $DEV_NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: dev}]
YAML
}

api_is_ready() { as_admin get --raw /readyz; }

nodes_are_ready() {
  local ready
  ready=$(as_admin get nodes --no-headers | awk '$2 == "Ready"' | wc -l)
  [ "$ready" = "$1" ]
}

default_account_exists() { as_admin --namespace "$DEV_NAMESPACE" get serviceaccount default; }

# From a node, by the service's address: this proves kube-proxy's rules too.
dns_answers() { net node1 busybox nslookup kubernetes.default.svc.cluster.local "$dns_service"; }
