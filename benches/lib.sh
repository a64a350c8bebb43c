# What the measuring scripts share: servers that end with the script, gateways, samples, a summary. To be sourced from the
# repository's root, after `set -euo pipefail`.

floors=${CARGO_TARGET_DIR:-benches/floor/target}/release
built=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d "${TMPDIR:-/tmp}/matamat-bench.XXXXXX")
pids=()

end() { # PID...: asks, waits up to five seconds, insists
  local pid n
  for pid in "$@"; do kill "$pid" 2>/dev/null || true; done
  for pid in "$@"; do
    for ((n = 0; n < 100; n++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
    kill -KILL "$pid" 2>/dev/null || true
  done
}
trap 'end "${pids[@]}"; rm -rf "$work"' EXIT

open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free() { # the next free port, into $port
  while open $((++port)); do :; done
}
port=${PORT:-18100}
start() { # NAME PORT COMMAND...: in the background, until the port is open; its pid into $pid
  local name=$1 at=$2
  shift 2
  "$@" >>"$work/$name.log" 2>&1 &
  pid=$!
  pids+=("$pid")
  for ((n = 0; n < 400; n++)); do
    open "$at" && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.02
  done
  echo "$name did not start:" >&2
  tail -20 "$work/$name.log" >&2
  exit 1
}
redis() { # NAME: one with an append-only file, synced every second, as the gateway expects at durability "process"
  free
  redis_port=$port
  mkdir -p "$work/redis-$1"
  start "redis-$1" "$port" redis-server --port "$port" --bind 127.0.0.1 --dir "$work/redis-$1" --save '' \
    --appendonly yes --appendfsync everysec --maxmemory-policy noeviction --loglevel warning
  redis_pid=$pid
}
more= # further configuration of the gateways that start from now on
gateway() { # NAME STORE
  free
  gateway_port=$port
  mkdir -p "$work/$1"
  cat >"$work/$1/config.toml" <<TOML
[[channel]]
id       = "at-ussd"
vendor   = "africastalking"
bearer   = "ussd"
address  = "*4545*1#"
language = "en"
auth     = "none"
[[department]]
id   = "ledger"
kind = "file"
path = "$work/$1/responses.ndjson"
[[route]]
to = "ledger"
$more
TOML
  start "$1" "$port" env MATAMAT_SERVER__LISTEN="127.0.0.1:$port" MATAMAT_STORE__URL="$2" \
    MATAMAT_PRIVACY__KEYS="{ file = \"$work/$1/keys\" }" MATAMAT_FLOWS__DIR="$PWD/flows" \
    "$built/matamat" serve --config "$work/$1/config.toml"
  gateway_pid=$pid
  for ((n = 0; n < 200; n++)); do [[ $(ask /readyz) == *'"ready":true'* ]] && return; sleep 0.05; done
  echo "$1 is not ready: $(ask /readyz)" >&2
  exit 1
}
ask() { # PATH: of the last gateway
  exec 3<>"/dev/tcp/127.0.0.1/$gateway_port"
  printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3
  tr -d '\r' <&3
  exec 3>&-
}
load() { # A sample with wrong answers stays in the tables, and is told.
  "$floors/load" --json "$work/samples.jsonl" "$@" || note "**Some answers were wrong or missing; the tables say whose.**"
}
used() { redis-cli -p "$1" info memory | tr -d '\r' | awk -F: '$1 == "used_memory" { print $2 }'; }
section() { printf '\n## %s\n\n' "$1" >>"$work/summary.md"; }
note() { printf '%s\n' "$*" >>"$work/summary.md"; }
