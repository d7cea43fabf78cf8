# shellcheck shell=bash
# How the scripts under deploy/ speak: each long step says what it does and how long it took,
# and a failing one names itself, its log and the last lines of it. To be sourced.

# fail MESSAGE…: one line each, on stderr, and the end of the script.
fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# elapsed SINCE: seconds with one decimal since an earlier $EPOCHREALTIME.
elapsed() {
  local now=${EPOCHREALTIME/[.,]/} since=${1/[.,]/} tenths
  tenths=$(((now - since) / 100000))
  printf '%d.%d s' $((tenths / 10)) $((tenths % 10))
}

# failed_step TITLE LOG: what a person needs to go on from a step that did not work.
failed_step() {
  printf 'failed\n' >&2
  [ ! -s "$2" ] || tail -n 8 "$2" | sed 's/^/  | /' >&2
  fail "This step failed: $1" "Its log: $2"
}

# step LOG TITLE COMMAND…: runs the command with its output in LOG.
# Never call it in a condition: bash would ignore `set -e` inside the command.
step() {
  local log=$1 title=$2 since=$EPOCHREALTIME status
  shift 2
  mkdir -p "$(dirname "$log")"
  printf '%s … ' "$title" >&2
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1
  status=$?
  set -e
  [ "$status" = 0 ] || failed_step "$title" "$log"
  elapsed "$since" >&2
  echo >&2
}

# holds SECONDS COMMAND…: whether the command succeeds within the deadline, asked five times a second.
holds() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

# await SECONDS LOG TITLE COMMAND…: a step that waits for a condition; LOG is where its cause would stand.
await() {
  local seconds=$1 log=$2 title=$3 since=$EPOCHREALTIME
  shift 3
  printf '%s … ' "$title" >&2
  holds "$seconds" "$@" || failed_step "$title (waited $seconds s)" "$log"
  elapsed "$since" >&2
  echo >&2
}
