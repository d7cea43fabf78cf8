# shellcheck shell=bash
# Certificates and kubeconfigs. To be sourced after cluster.sh.
pki=$ROOT/pki

authority() { # name
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$1" -keyout "$pki/$1.key" -out "$pki/$1.crt"
}

certificate() { # name subject alternative-names [authority]
  local authority=${4:-ca}
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$pki/$1.key" -out "$pki/$1.csr"
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/$authority.crt" -CAkey "$pki/$authority.key" -CAcreateserial -days 3650 -out "$pki/$1.crt" \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3")
}

kubeconfig() { # file user [namespace]
  local config=(kubectl config --kubeconfig "$1")
  "${config[@]}" set-cluster "$NAME" --server="https://$(control_address):6443" --certificate-authority="$pki/ca.crt" --embed-certs
  "${config[@]}" set-credentials "$2" --client-certificate="$pki/$2.crt" --client-key="$pki/$2.key" --embed-certs
  "${config[@]}" set-context "$NAME" --cluster="$NAME" --user="$2" --namespace="${3:-default}"
  "${config[@]}" use-context "$NAME"
}

create_pki() {
  local user
  mkdir -p "$pki" "$ROOT/auth"
  authority ca
  authority front-ca
  openssl genrsa -out "$pki/sa.key" 2048
  certificate apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:$api_service,IP:$(control_address)"
  certificate admin /O=system:masters/CN=admin DNS:admin
  certificate dev /O=developers/CN=dev DNS:dev
  certificate kubelet-client /O=system:masters/CN=apiserver-kubelet DNS:kubelet-client
  certificate front-proxy-client /CN=front-proxy-client DNS:front-proxy-client front-ca
  for user in controller-manager scheduler proxy; do
    certificate "$user" "/CN=system:kube-$user" "DNS:$user"
    kubeconfig "$ROOT/auth/$user" "$user"
  done
  # Names of their own, so that the audit log tells them from an administrator.
  for user in dns provisioner; do
    certificate "$user" "/O=system:masters/CN=system:local-$user" "DNS:$user"
    kubeconfig "$ROOT/auth/$user" "$user"
  done
  kubeconfig "$ROOT/kubeconfig" admin
  kubeconfig "$ROOT/kubeconfig-dev" dev "$DEV_NAMESPACE"
}
