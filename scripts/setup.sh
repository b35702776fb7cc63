#!/usr/bin/env bash
# Installs what this machine lacks. Says nothing and takes no time when nothing is missing.
#
#   scripts/setup.sh run      a C compiler, and PostgreSQL unless DATABASE_URL is set
#   scripts/setup.sh test     the same, with PostgreSQL in any case, Redis and a browser: the tests start servers of their own
#   scripts/setup.sh check    the same, and the linters of the template in .venv
#   scripts/setup.sh lambda   a C compiler, and cargo-lambda with its cross compiler in .venv
#   scripts/setup.sh deploy   the same, and the linters of the template, of which one deploys it
set -euo pipefail
cd "$(dirname "$0")/.."
goal=${1:-run}
oldest_postgres=15
packages=()

say() { printf 'setup: %s\n' "$*" >&2; }

# give_up WHAT COMMAND: what is missing and the command that mends it.
give_up() {
    printf 'setup: %s\nsetup: please run:  %s\nsetup: and then the same command again\n' "$1" "$2" >&2
    exit 1
}

# In a container there is often no sudo, and in CI nobody to type a password.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        sudo "$@"
    else
        give_up "installing needs root" "sudo apt-get install -y ${packages[*]}"
    fi
}

need_cargo() {
    command -v cargo >/dev/null || [ -x "$HOME/.cargo/bin/cargo" ] ||
        give_up "Rust is not installed" "see https://rustup.rs, which installs rustup and cargo"
}

# ring compiles C and assembly, and rustc links with cc.
need_compiler() {
    command -v cc >/dev/null || packages+=(gcc libc6-dev)
}

need_python() {
    # Debian splits the part of Python that makes virtual environments into a package of its own.
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
}

has_postgres() {
    local bin version
    if [ -n "${PG_BIN_DIR:-}" ]; then
        [ -x "$PG_BIN_DIR/initdb" ] && return
        give_up "PG_BIN_DIR=$PG_BIN_DIR holds no initdb" "unset PG_BIN_DIR"
    fi
    for bin in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
        version=${bin%/bin} version=${version##*[/-]}
        [ -x "$bin/initdb" ] && [ "$version" -ge "$oldest_postgres" ] && return
    done
    for bin in /opt/homebrew/opt/postgresql* /usr/local/opt/postgresql* /Applications/Postgres.app/Contents/Versions/*; do
        [ -x "$bin/bin/initdb" ] && return
    done
    command -v initdb >/dev/null
}

need_postgres() {
    has_postgres || packages+=(postgresql)
}

need_redis() {
    command -v redis-server >/dev/null || packages+=(redis-server)
}

# Debian's packages start what they install and have it started at every boot, unless a policy forbids it. Only the
# programs are wanted; a policy that is there already is left alone.
policy=/usr/sbin/policy-rc.d
forbid_services() {
    [ -e "$policy" ] && return 1
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

install_packages() {
    [ ${#packages[@]} = 0 ] && return
    if ! command -v apt-get >/dev/null; then
        if command -v brew >/dev/null; then
            give_up "missing: ${packages[*]}" "xcode-select --install; brew install postgresql@17 redis python3"
        fi
        give_up "missing: ${packages[*]}" "your package manager's command for a C compiler, python3, redis and a PostgreSQL server, version $oldest_postgres or newer"
    fi
    say "installing ${packages[*]}"
    local drop_in=/etc/postgresql-common/createcluster.d/wellspring.conf log
    log=$(mktemp)
    # Debian's package would create a cluster and start it on port 5432 at every boot. Only the programs are
    # wanted, so the package is told not to, for the time of this installation.
    if [[ " ${packages[*]} " == *" postgresql "* ]]; then
        as_root mkdir -p "${drop_in%/*}"
        echo 'create_main_cluster = false' | as_root tee "$drop_in" >/dev/null
    fi
    local failed='' forbidden=''
    if [[ " ${packages[*]} " == *" redis-server "* ]] && forbid_services; then forbidden=1; fi
    as_root apt-get update -qq >"$log" 2>&1 || failed=1
    # Lists that are partly out of date may still hold what is wanted, so only the installation decides.
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${packages[@]}" >>"$log" 2>&1; then failed=; else failed=1; fi
    if [ -e "$drop_in" ]; then as_root rm -f "$drop_in"; fi
    if [ -n "$forbidden" ]; then as_root rm -f "$policy"; fi
    if [ -n "$failed" ]; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        give_up "apt-get failed, see above" "apt-get update && apt-get install -y ${packages[*]}"
    fi
    rm -f "$log"
    if [[ " ${packages[*]} " == *" postgresql "* ]] && ! has_postgres; then
        give_up "this distribution's PostgreSQL is older than version $oldest_postgres" \
            "install a newer server and set PG_BIN_DIR to its bin folder, or set DATABASE_URL"
    fi
}

# The page of the API's description is tested in Chromium. Not every distribution has these packages (Ubuntu has a snap in
# their place), so a failure is only said: every test but those of the page works without a browser.
install_browser() {
    command -v chromedriver >/dev/null && return
    (packages=(chromium chromium-driver) && install_packages) ||
        say 'there is no Chromium with its chromedriver: the tests of /api/docs will fail, all others work'
}

# install_tools LIST: the programs of scripts/tools/LIST.txt in .venv, once per version of that list.
install_tools() {
    local list="scripts/tools/$1.txt" stamp=".venv/$1.installed"
    cmp -s "$list" "$stamp" && return
    say "installing the tools of $list into .venv"
    [ -x .venv/bin/pip ] || python3 -m venv .venv || give_up "python3 cannot make .venv" "rm -rf .venv; python3 -m venv .venv"
    .venv/bin/pip install --quiet --disable-pip-version-check --requirement "$list" ||
        give_up "pip failed, see above" "rm -rf .venv; scripts/setup.sh $goal"
    cp "$list" "$stamp"
}

need_cargo
need_compiler
case $goal in
run) [ -n "${DATABASE_URL:-}" ] || need_postgres ;;
test)
    need_postgres
    need_redis
    ;;
check)
    need_postgres
    need_redis
    need_python
    ;;
lambda | deploy) need_python ;;
*) give_up "unknown goal $goal" "scripts/setup.sh run|test|check|lambda|deploy" ;;
esac
install_packages
case $goal in test | check) install_browser ;; esac
case $goal in check | deploy) install_tools check ;; esac
case $goal in lambda | deploy) install_tools lambda ;; esac
