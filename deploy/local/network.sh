# shellcheck shell=bash
# The cluster's network: a bridge inside the control machine's namespace joins all machines; one device on the
# host leads to it. To be sourced after machine.sh.
#   SUBNET.1 the host   SUBNET.10 the control plane   SUBNET.(20+N) node N
control_address() { echo "$(<"$ROOT/subnet").10"; }
node_address() { echo "$(<"$ROOT/subnet").$((20 + $1))"; }
pod_subnet() { echo "$pod_network.$(($1 - 1)).0/24"; }

free_subnet() {
  local used number
  used=$(ip -4 -oneline address && ip -4 route)
  for number in {0..255}; do
    [[ $used == *" 172.30.$number."* ]] || {
      echo "172.30.$number"
      return
    }
  done
  fail "Every network 172.30.0 to 172.30.255 is in use on this machine."
}

# The host's device carries the state folder as its alias: two clusters of one name are told apart by it.
connect_host() {
  local subnet
  exec 8>/run/lock/herdctl-subnets.lock
  flock 8
  subnet=$(free_subnet)
  echo "$subnet" >"$ROOT/subnet"
  ip link add "$link" type veth peer name host netns "$(<"$ROOT/pids/control")"
  ip link set "$link" alias "$ROOT"
  ip address add "$subnet.1/24" dev "$link"
  ip link set "$link" up
  exec 8>&-
  net control ip link add bridge type bridge
  net control ip address add "$subnet.10/24" dev bridge
  net control ip link set bridge up
  net control ip link set host master bridge up
  net control ip route add default via "$subnet.1"
}

connect_node() {
  local number=$1 machine=node$1
  net control ip link add "$machine" type veth peer name eth0 netns "$(<"$ROOT/pids/$machine")"
  net control ip link set "$machine" master bridge up
  net "$machine" ip address add "$(node_address "$number")/24" dev eth0
  net "$machine" ip link set eth0 up
  net "$machine" ip route add default via "$(<"$ROOT/subnet").1"
}

# route_pods NODES: every machine knows where each node's pods are.
route_pods() {
  local nodes=$1 number other
  for number in $(seq "$nodes"); do
    net control ip route add "$(pod_subnet "$number")" via "$(node_address "$number")"
    route_to_others "$number" "$nodes"
  done
}

# route_to_others NUMBER NODES: this node knows where the others' pods are.
route_to_others() {
  local number=$1 other
  for other in $(seq "$2"); do
    [ "$number" = "$other" ] || net "node$number" ip route add "$(pod_subnet "$other")" via "$(node_address "$other")"
  done
}
