# SPDX-License-Identifier: PostgreSQL
# shellcheck shell=bash
# What the subjects of the benchmark share. A subject runs variants in turn (A B A B ...), notes one
# value a round, and reports the median of the ratios of the rounds: noise that comes and goes hits
# both sides of a round. Sourced by each subject; test/bench/run sets the environment.
set -euo pipefail
BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export BENCH

# sql [ARGS...]: unaligned answer of psql, from -c or standard input.
sql()
{
	psql -X -q -A -t -v ON_ERROR_STOP=1 -v module="'$BENCH_MODULE'" "$@"
}

# result NAME VALUE UNIT: one figure, to standard output and to the table that the goals read.
result()
{
	[[ $2 =~ ^[0-9.]+(e[-+]?[0-9]+)?$ ]] || { echo "no figure for $1: $2" >&2 && return 1; }
	printf '%s %s %s\n' "$1" "$2" "$3" | tee -a "$BENCH_OUT"
}

# note VARIANT WHAT VALUE: a round's value.
note()
{
	echo "$3" >>"$BENCH_WORK/$1.$2"
}

# now_ms: milliseconds since the epoch.
now_ms()
{
	date +%s%3N
}

median()
{
	sort -g | awk '{ v[NR] = $1 } END { if (NR) printf "%.4g\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# median_of VARIANT WHAT / ratio_of WHAT VARIANT OTHER: over the rounds, VARIANT over OTHER.
median_of()
{
	median <"$BENCH_WORK/$1.$2"
}
ratio_of()
{
	paste "$BENCH_WORK/$2.$1" "$BENCH_WORK/$3.$1" | awk '$2 > 0 { print $1 / $2 }' | median
}

# CPU of all of the cluster's processes since it started, user and system, in microseconds; what
# ended is in the postmaster's account of its children.
cpu_us()
{
	local ticks
	ticks=$(getconf CLK_TCK)
	cat /proc/[0-9]*/stat 2>/dev/null |
		awk -v top="$(head -1 "$BENCH_CLUSTER/data/postmaster.pid")" -v ticks="$ticks" '
			$1 == top { t += $14 + $15 + $16 + $17 } $4 == top { t += $14 + $15 }
			END { printf "%.0f\n", t * 1000000 / ticks }'
}

# load VARIANT CLIENTS [PGBENCH OPTIONS]: a round of pgbench; notes tps and cpu (us a transaction).
load()
{
	local variant=$1 clients=$2 before out=$BENCH_WORK/pgbench.out
	shift 2
	before=$(cpu_us)
	pgbench -n -M prepared -c "$clients" -j 2 -T "$BENCH_SECONDS" "$@" >"$out" 2>&1 || { cat "$out" >&2 && return 1; }
	note "$variant" tps "$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$out")"
	note "$variant" cpu "$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$out" |
		awk -v us=$(($(cpu_us) - before)) '{ printf "%.1f\n", us / $1 }')"
}

# rounds VARIANT...: each BENCH_ROUNDS times in turn; a variant is a function of the subject. The
# first round, which warms caches, is not counted.
rounds()
{
	local round variant
	for ((round = 0; round <= BENCH_ROUNDS; round++)); do
		for variant in "$@"; do
			"$variant" || { echo "$variant could not be measured" >&2 && return 1; }
		done
		[ $round -gt 0 ] || rm -f "$BENCH_WORK"/*.tps "$BENCH_WORK"/*.cpu "$BENCH_WORK"/*.seconds
	done
}
