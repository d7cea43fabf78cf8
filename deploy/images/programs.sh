# shellcheck shell=bash
# The programs that go into the images, and herdctl: ours from cargo, Claude's CLI from the npm registry. To be sourced by `build`.
target=x86_64-unknown-linux-gnu # the CLI's and ours
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}

PROFILE=${PROFILE:-release}
programs=(herd-operator herd-runner herdctl scripted-api)

# cargo_build ARGUMENT…: static, so that a program runs in any image, whatever its libc.
cargo_build() {
  RUSTFLAGS='-C target-feature=+crt-static' CARGO_TARGET_DIR=$CARGO_TARGET_DIR \
    with_bar cargo build --manifest-path "$root/Cargo.toml" --locked --profile "$PROFILE" --target "$target" "$@"
}

# compile PROGRAM…: prepares programs/PROGRAM in the cache. With PROGRAMS=FOLDER they are taken from there as they are.
compile() {
  local program
  mkdir -p "$images/programs"
  if [ -z "${PROGRAMS:-}" ] && [ "$PROFILE" = local ]; then compile_all; fi
  for program in "$@"; do
    if [ -n "${PROGRAMS:-}" ]; then
      install "$PROGRAMS/$program" "$images/programs/$program"
    elif [ "$PROFILE" = local ]; then
      install_program "$program"
    else
      progress=crates_so_far step "$cache/log/cargo-$program.log" "compiling $program" compile_one "$program"
      install_program "$program"
    fi
  done
}

install_program() { install "$CARGO_TARGET_DIR/$target/$PROFILE/$1" "$images/programs/$1"; }

# As it is shipped: each with no more than it needs.
compile_one() {
  case $1 in
  herd-runner) cargo_build --no-default-features --features runner --bin herd-runner ;; # lean: no Kubernetes client
  *) cargo_build --bin "$1" ;;
  esac
}

# As it is soonest there: all of them from the same crates, each compiled once.
compile_all() {
  [ -z "${compiled:-}" ] || return 0
  progress=crates_so_far step "$cache/log/cargo.log" "compiling herdctl's programs" cargo_build "${programs[@]/#/--bin=}"
  compiled=1
}

# The pinned CLI: its version and checksum are one committed file.
claude_archive() { awk '{print $2}' "$here/agent/claude.sha512"; }
claude_package() { claude_archive | sed -E 's/^anthropic-ai-(.*)-([0-9.]+)\.tgz$/@anthropic-ai\/\1@\2/'; }
claude_program() { echo "$cache/claude/claude-$(claude_package | sed 's/.*@//')"; }

fetch_claude() {
  [ -x "$(claude_program)" ] || step "$cache/log/claude.log" "fetching $(claude_package) (175 MB)" unpack_claude
}

unpack_claude() {
  local program
  program=$(claude_program)
  mkdir -p "$cache/claude"
  cd "$cache/claude"
  sha512sum --check --status "$here/agent/claude.sha512" || npm pack "$(claude_package)"
  sha512sum --check "$here/agent/claude.sha512"
  tar --extract --to-stdout --file "$(claude_archive)" package/claude >"$program.part"
  chmod 755 "$program.part"
  mv "$program.part" "$program"
}
