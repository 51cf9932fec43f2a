# What the scripts of this folder share. Source it from beside it.
apps=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$apps/../.." && pwd)
work=$apps/.work
mkdir -p "$work"

# Installs what is missing of: PROGRAM:PACKAGE...
need() {
    local missing=() pair
    for pair; do
        PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} = 0 ] && return
    echo "installs ${missing[*]}"
    # Servers are started by the tests, not by their packages.
    local quiet=/usr/sbin/policy-rc.d made=
    [ -e $quiet ] || { printf '#!/bin/sh\nexit 101\n' >$quiet; chmod +x $quiet; made=yes; }
    local status=0
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$work/apt.log" 2>&1 ||
        status=$?
    [ -z "$made" ] || rm -f $quiet
    [ $status = 0 ] || { tail "$work/apt.log"; exit 1; }
}

need_servers() {
    need redis-server:redis-server nginx:nginx-light
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || need postgres:postgresql
}

need_browser() {
    need chromium:chromium node:nodejs npm:npm
    fc-list 2>/dev/null | grep -qi 'noto color emoji' || need no-such-program:fonts-noto-color-emoji
}

# Sets `bin` to the folder of the programs: BIN, or what is built here.
build() {
    if [ -n "${BIN:-}" ]; then bin=$BIN; return; fi
    (cd "$root" && cargo build --release -p klamm -p chat -p distrisocks -p unsent -p demo \
        -p simulate --bins)
    bin=${CARGO_TARGET_DIR:-$root/target}/release
}

# Starts a demo of the set $1 (embedded or servers) in the folder $2 at port $3, further arguments
# behind; sets `demo_pid`. Returns when it is ready.
start_demo() {
    local set=$1 data=$2 port=$3
    shift 3
    rm -rf "$data"
    mkdir -p "$data"
    : >"$data/demo.out"
    # The database's user has to reach its folder.
    chmod 755 "$data"
    local command=("$bin/demo" --data "$data" --port "$port" --only-door)
    [ "$set" = embedded ] || command=("$bin/demo" up --data "$data" --port "$port")
    "${command[@]}" "$@" >"$data/demo.out" 2>&1 &
    demo_pid=$!
    local tries
    for tries in $(seq 600); do
        grep -q '^the demo is ready' "$data/demo.out" && return 0
        kill -0 $demo_pid 2>/dev/null || break
        sleep 0.1
    done
    echo "the demo did not start:"; tail -n 20 "$data/demo.out"
    stop_demo
    return 1
}

stop_demo() {
    [ -n "${demo_pid:-}" ] || return 0
    kill -TERM "$demo_pid" 2>/dev/null || true
    wait "$demo_pid" 2>/dev/null || true
    demo_pid=
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
