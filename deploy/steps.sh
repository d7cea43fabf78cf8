# shellcheck shell=bash
# How the scripts under deploy/ speak: each long step says what it does, meanwhile how far it is, and at last how long
# it took; a failing one names itself, its log and the last lines of it. To be sourced.
#   TELL_EVERY  seconds from one word to the next where there is no terminal, 30 if not given

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

# minutes SECONDS: 45s, 2m10s.
minutes() {
  (($1 < 60)) || printf '%dm' $(($1 / 60))
  printf '%ds' $(($1 % 60))
}

# on_terminal: whether what is written to stderr can be written over.
on_terminal() { [ -t 2 ] && [ "${TERM:-dumb}" != dumb ]; }

# say TITLE WORDS: the line of a step, again. On a terminal in the place of the one before, and never longer than
# a row, which could not be written over.
say() {
  local title=$1 words=$2 columns
  if on_terminal; then
    read -r _ columns < <(stty size <&2)
    local room=$((${columns:-80} - ${#words} - 4))
    printf '\r\e[K%s … %s' "${title:0:room > 0 ? room : 0}" "$words" >&2
  else
    printf '\n%s … %s' "$title" "$words" >&2
  fi
}

# tell TITLE LOG PROGRESS: says how far a step is and how long it has taken, until its standard input ends, which the
# step's script holds open: so it ends with that, however that ends. Its status says whether it has said anything.
tell() {
  local title=$1 log=$2 progress=$3 since=$SECONDS every=${TELL_EVERY:-30} status said=1 far
  ! on_terminal || every=1
  while true; do
    status=0
    read -r -t "$every" || status=$?
    ((status > 128)) || return "$said" # no more to wait for
    far=
    [ -z "$progress" ] || far=$("$progress" "$log" 2>/dev/null) || far=
    say "$title" "${far:+$far, }$(minutes $((SECONDS - since)))"
    said=0
  done
}

# watched TITLE LOG COMMAND…: runs the command under `set -e`, and tells meanwhile how far it is; the function that
# `progress` names says so from LOG: 812 of 1430 packages. Sets `status` to the command's.
watched() {
  local title=$1 log=$2 since=$EPOCHREALTIME told teller said=1
  shift 2
  printf '%s … ' "$title" >&2
  exec {told}> >(tell "$title" "$log" "${progress:-}")
  teller=$!
  set +e
  (
    exec {told}>&-
    set -e
    "$@"
  )
  status=$?
  set -e
  exec {told}>&-
  wait "$teller" || said=0
  [ "$said" = 0 ] || say "$title" ''
  [ "$status" != 0 ] || {
    elapsed "$since"
    echo
  } >&2
}

logged() {
  local log=$1
  shift
  "$@" >"$log" 2>&1
}

# [progress=FUNCTION] step LOG TITLE COMMAND…: runs the command with its output in LOG.
# Never call it in a condition: bash would ignore `set -e` inside the command.
step() {
  local log=$1 title=$2 status
  shift 2
  mkdir -p "$(dirname "$log")"
  watched "$title" "$log" logged "$log" "$@"
  [ "$status" = 0 ] || failed_step "$title" "$log"
}

# with_bar CARGO ARGUMENT…: cargo with its bar of progress also in a log, for crates_so_far to find.
with_bar() { CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=80 "$@"; }
crates_so_far() { grep -ao '\] [0-9]*/[0-9]*: ' "$1" | tail -n 1 | sed -E 's|.* (.*)/(.*): |\1 of \2 crates|'; }

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
  local seconds=$1 log=$2 title=$3 status
  shift 3
  watched "$title" "$log" holds "$seconds" "$@"
  [ "$status" = 0 ] || failed_step "$title (waited $seconds s)" "$log"
}
