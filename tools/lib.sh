# SPDX-License-Identifier: PostgreSQL
# shellcheck shell=bash
# What the scripts of tools/ and test/ share: where things lie, who runs them, free ports, time.
# Sourced, never run. Sets ROOT (the tree), RUN (a path the server's user reaches, short enough
# for sockets; .run is that folder or a link to it) and PGBIN.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
# Looked up when first needed: this file is also sourced before the packages are installed.
PGBIN=$(dirname "$PG_CONFIG")
SERVER_USER=$(id -un)
[ "$(id -u)" -ne 0 ] || SERVER_USER=postgres
export ROOT PG_CONFIG PGBIN SERVER_USER
# A socket's path may have 107 bytes; ours are RUN/tap-NAME/.s.PGSQL.NNNNN.
RUN_MAX_BYTES=70

die()
{
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# as_server CMD...: run as the user that PostgreSQL runs as, which is never root.
as_server()
{
	if [ "$(id -u)" -eq 0 ]; then
		runuser -u "$SERVER_USER" -- "$@"
	else
		"$@"
	fi
}

# need_run: make .run, or mend it, and set RUN.
need_run()
{
	local link=$ROOT/.run target
	if [ -L "$link" ]; then
		[ -d "$link" ] || rm -f "$link"
	fi
	if [ ! -e "$link" ]; then
		if [ ${#link} -le $RUN_MAX_BYTES ] && mkdir "$link" && as_server test -x "$link"; then
			chmod 755 "$link"
		else
			rmdir "$link" 2>/dev/null || true
			target=$(mktemp -d /tmp/ga-XXXXXX)
			chmod 755 "$target"
			ln -s "$target" "$link"
		fi
	fi
	RUN=$(readlink -f "$link")
	export RUN
}

# own_dir DIR: an empty folder that belongs to the server's user.
own_dir()
{
	rm -rf "$1"
	mkdir -p "$1"
	[ "$(id -u)" -ne 0 ] || chown "$SERVER_USER" "$1"
}

# free_port: a TCP port of the loopback that nobody listens on now.
free_port()
{
	perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# now_ms / since MS: for the line that each step prints with its time.
now_ms()
{
	date +%s%3N
}
since()
{
	local ms=$(($(now_ms) - $1))
	printf '%d.%01d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# step TEXT CMD...: run CMD, then say TEXT with how long it took; its output only if it fails.
step()
{
	local text=$1 start log
	shift
	start=$(now_ms)
	log=$(mktemp)
	if "$@" >"$log" 2>&1; then
		printf '  %-44s %8s\n' "$text" "$(since "$start")"
		rm -f "$log"
	else
		printf '  %-44s failed\n' "$text"
		cat "$log"
		rm -f "$log"
		return 1
	fi
}
