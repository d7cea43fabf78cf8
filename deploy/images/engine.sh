# shellcheck shell=bash
# Docker where an engine answers, else buildah on a Debian base made here. Both take the same Dockerfiles.
# To be sourced by `build`.
if docker version >/dev/null 2>&1; then engine=docker; else engine=buildah; fi

# alone COMMAND…: in mount and process namespaces of its own: nothing is left mounted, however it ends.
alone() { unshare --mount --pid --fork --kill-child --mount-proc --propagation private -- "$@"; }

# One at a time, until the end of the step: who mounts what is nothing that two of them could agree on.
lock_engine() {
  exec 8>"$images/.lock"
  flock 8
}

buildah() {
  STORAGE_DRIVER=${STORAGE_DRIVER:-overlay} BUILDAH_ISOLATION=chroot \
    alone buildah --root "$images/storage" --runroot "$images/storage-run" "$@"
}

# base_of IMAGE: what `FROM ${BASE}` stands for, as a name that changes with its content where we make it ourselves.
base_of() {
  if [ "$1" = pause ]; then
    echo scratch
  elif [ "$engine" = docker ]; then
    echo debian:bookworm-slim
  else
    echo "localhost/herdctl-base:$(cut -c1-12 "$images/base.sha256")"
  fi
}

prepare_base() {
  [ "$engine" = buildah ] && [ ! -s "$images/base.sha256" ] || return 0
  step "$cache/log/base.log" "making a Debian base image" make_base
}

make_base() {
  local context=$images/base
  lock_engine
  [ ! -s "$images/base.sha256" ] || return 0 # another one has made it meanwhile
  rm -rf "$context"
  mkdir -p "$context"
  debian_sources >"$context/sources.list"
  # shellcheck disable=SC2046 # one option a line, without blanks
  alone mmdebstrap --mode=root --variant=minbase --include=ca-certificates $(apt_options) \
    bookworm "$context/base.tar" "$context/sources.list"
  sha256sum "$context/base.tar" | cut -d' ' -f1 >"$context/sha256"
  buildah bud --quiet --tag "localhost/herdctl-base:$(cut -c1-12 "$context/sha256")" --file "$here/base/Dockerfile" "$context"
  mv "$context/sha256" "$images/base.sha256"
  rm -rf "$context"
}

# The mirrors that this machine's own apt uses for Debian 12.
debian_sources() {
  local sources
  # shellcheck disable=SC2016 # apt fills these in
  sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
    grep ' bookworm' | sort -u) || true
  [ -n "$sources" ] || fail "apt knows no mirror of Debian 12 (bookworm), which the images' base is made from: add one to its sources."
  echo "$sources"
}

# A proxy, and what a mirror of a past day needs.
apt_options() {
  apt-config dump --format '%f="%v"%n' | grep -E '^Acquire::(Check-|https?::Proxy)' | sed 's/^/--aptopt=/; s/"//g' || true
}

# build_image REFERENCE DOCKERFILE CONTEXT BASE
build_image() {
  if [ "$engine" = docker ]; then
    docker build --tag "$1" --build-arg "BASE=$4" --file "$2" "$3"
  else
    buildah bud --layers --tag "$1" --build-arg "BASE=$4" --file "$2" "$3"
  fi
}

# archive_image REFERENCE FILE
archive_image() {
  if [ "$engine" = docker ]; then
    docker save --output "$2.part" "$1"
  else
    rm -f "$2.part"
    buildah push --quiet --compression-format zstd --compression-level 1 "$1" "oci-archive:$2.part:$1"
  fi
  mv "$2.part" "$2"
}

push_image() {
  if [ "$engine" = docker ]; then docker push "$1"; else buildah push "$1" "docker://$1"; fi
}
