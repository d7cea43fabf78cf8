# shellcheck shell=bash
# NAT=1: a way out of the cluster, for a real API key where there is internet. The pods' packets leave their node
# under its address, and the host under its own. To be sourced after network.sh.
nat() { [ "${NAT:-}" = 1 ]; }

# A table of our own, so that taking it away is one command too.
nat_table() { # source
  cat <<NFT
table ip $group {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr $1 ip daddr != { $pod_network.0.0/16, $service_network, $(<"$ROOT/subnet").0/24 } masquerade
  }
}
NFT
}

open_nat() { # nodes
  local number
  nat || return 0
  for number in $(seq "$1"); do
    nat_table "$(pod_subnet "$number")" | net "node$number" nft -f -
  done
  nat_table "$(<"$ROOT/subnet").0/24" | nft -f -
  sysctl -n net.ipv4.ip_forward >"$ROOT/ip_forward"
  sysctl -qw net.ipv4.ip_forward=1
  # A container engine on the host may drop what it does not know; a table of our own could not overrule it
  [ "$(iptables -S FORWARD)" = '-P FORWARD ACCEPT' ] || forward_rules --insert
}

forward_rules() { # --insert or --delete
  iptables "$1" FORWARD --in-interface "$link" --jump ACCEPT
  iptables "$1" FORWARD --out-interface "$link" --jump ACCEPT
}

close_nat() {
  if nft list table ip "$group" >/dev/null 2>&1; then nft delete table ip "$group"; fi
  iptables -S FORWARD | sed -n "s/^-A\(.* $link .*\)/-D\1/p" | while read -r rule; do
    # shellcheck disable=SC2086 # iptables' own words
    iptables $rule
  done
  if [ -s "$ROOT/ip_forward" ] && ! nft list tables | grep -q "ip herdctl-"; then
    sysctl -qw "net.ipv4.ip_forward=$(<"$ROOT/ip_forward")"
  fi
}

# nat_forward: CoreDNS asks the host's own servers for all other names. A server on the host's loopback is out of reach.
nat_forward() {
  local servers
  nat || return 0
  servers=$(cat /run/systemd/resolve/resolv.conf /etc/resolv.conf 2>/dev/null |
    awk '$1 == "nameserver" && $2 !~ /^127\.|:/ && !seen[$2]++ {printf " %s", $2}')
  [ -n "$servers" ] || fail "NAT=1 needs a name server in /etc/resolv.conf that is not on the loopback device."
  echo "forward .$servers"
}
