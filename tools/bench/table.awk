# table.awk - from the lines of rump-bench (row|side|median|least|most|unit|
# note) to the table and, with -v json=FILE, to JSON.

/^#/ { left_out[++n_left] = substr($0, 3); next }
NF >= 6 {
	m[$1, $2] = $3; low[$1, $2] = $4; high[$1, $2] = $5
	unit[$1, $2] = $6; note[$1, $2] = $7
	line[++n_lines] = $1 SUBSEP $2
}

function has(row, side) { return (row, side) in m }

function human(v, u)
{
	if (u == "ns" && v < 1000)
		return sprintf("%.1f ns", v)
	if (u == "ns" && v < 1e6)
		return sprintf("%.2f us", v / 1e3)
	if (u == "ns" && v < 1e9)
		return sprintf("%.2f ms", v / 1e6)
	if (u == "ns")
		return sprintf("%.2f s", v / 1e9)
	if (u == "bytes")
		return sprintf("%.2f MB", v / 1e6)
	return sprintf("%.1f", v)
}

function quoted(s)
{
	gsub(/\\/, "\\\\", s)
	gsub(/"/, "\\\"", s)
	return "\"" s "\""
}

# One line of the table. limit "" : only reported.
function show(what, text, value, limit, limit_text, detail,   met)
{
	met = limit == "" ? "-" : value <= limit ? "met" : "NOT MET"
	printf "%-46s %12s  %-10s %-8s %s\n", what, text,
		limit == "" ? "report" : limit_text, met, detail
	verdict[++n_verdicts] = sprintf("{\"what\":%s,\"value\":%.6g,\"target\":%s,\"met\":%s}",
		quoted(what), value, limit == "" ? "null" : limit,
		limit == "" ? "null" : value <= limit ? "true" : "false")
}

function ratio(what, row, ref, limit,   r)
{
	if (!has(row, "rump") || !has(row, ref))
		return
	r = m[row, "rump"] / m[row, ref]
	show(what, sprintf("%.3f", r), r, limit, "<= " limit,
		human(m[row, "rump"], "ns") " to " human(m[row, ref], "ns"))
}

# The same of two sides that are named.
function between(what, row, side, ref, limit,   r)
{
	if (!has(row, side) || !has(row, ref))
		return
	r = m[row, side] / m[row, ref]
	show(what, sprintf("%.3f", r), r, limit, "<= " limit,
		human(m[row, side], "ns") " to " human(m[row, ref], "ns"))
}

function plain(what, row, side, limit, limit_text)
{
	if (has(row, side))
		show(what, human(m[row, side], unit[row, side]), m[row, side],
			limit, limit_text,
			human(low[row, side], unit[row, side]) " to " \
			human(high[row, side], unit[row, side]))
}

# Both execution models in one line.
function models(what, row)
{
	if (!has(row, "interrupt") || !has(row, "process"))
		return
	show(what ", process", human(m[row, "process"], unit[row, "process"]),
		m[row, "process"], "", "", "interrupt " \
		human(m[row, "interrupt"], unit[row, "interrupt"]))
}

END {
	printf "\n%-46s %12s  %-10s %-8s %s\n", "what", "figure", "target",
		"", "detail"
	ratio("null op, two cores / getppid", "null", "native", 2.0)
	ratio("null op, one core / pipe round trip", "null_one_core", "native", 1.2)
	ratio("64 null ops in flight, each / getppid", "ring", "native", 0.5)
	ratio("pread 4 KiB, library / native", "pread_library", "native", 2.0)
	ratio("hot pread 4 KiB without a call / native", "pages_pread", "native", 1.1)
	ratio("hot fstat without a call / native", "pages_fstat", "native", 1.1)
	ratio("hot stat without a call / native", "pages_stat", "native", 1.1)
	ratio("pread 4 KiB, mount / native", "pread_mount", "native", 1.2)
	ratio("create, write, close, unlink / fuse2fs", "create", "fuse2fs", 0.15)
	ratio("create, write, close, unlink / native", "create", "native", "")
	plain("commit of an ext4 create, in the server", "commit", "rump", 15000, "<= 15 us")
	plain("  pages per commit", "commit", "pages per commit", "", "")
	plain("  blocks per commit", "commit", "blocks per commit", "", "")
	ratio("uncached fstat, same core / fuse2fs", "fstat_bound", "fuse2fs", 0.8)
	ratio("uncached stat, same core / fuse2fs", "stat_bound", "fuse2fs", 0.8)
	ratio("4 KiB direct pread, same core / fuse2fs", "direct_bound", "fuse2fs", 0.8)
	ratio("uncached fstat, not placed / fuse2fs", "fstat_free", "fuse2fs", 0.3)
	ratio("uncached stat, not placed / fuse2fs", "stat_free", "fuse2fs", 0.3)
	ratio("4 KiB direct pread, not placed / fuse2fs", "direct_free", "fuse2fs", 0.3)
	ratio("create and close, 10,000 files / fuse2fs", "many_create", "fuse2fs", 0.15)
	ratio("  / native", "many_create", "native", "")
	ratio("unlink, 10,000 files / fuse2fs", "many_unlink", "fuse2fs", 0.15)
	ratio("  / native", "many_unlink", "native", "")
	ratio("hot stat, mount / native", "hot_stat", "native", 1.2)
	ratio("10,000 hot names and attributes / native", "hot_list", "native", 1.5)
	ratio("stat, library / native", "stat_library", "native", "")
	ratio("open and close, library / native", "open_library", "native", "")
	n_many = split("1 2 4 8 64", many, " ")
	for (i = 1; i <= n_many; i++)
		ratio("stat by " many[i] " processes, library / native",
			"crowd_library_" many[i], "native", "")
	for (i = 1; i <= n_many; i++) {
		ratio("create, unlink by " many[i] " processes / native",
			"crowd_mount_" many[i], "native", "")
		ratio("  / fuse2fs", "crowd_mount_" many[i], "fuse2fs", "")
	}
	for (i = 10; i <= 1000; i *= 10)
		if (has("idle_" i, "rump"))
			show("null op, " i " clients attached / 1",
				sprintf("%.3f", m["idle_" i, "rump"] / m["idle_1", "rump"]),
				m["idle_" i, "rump"] / m["idle_1", "rump"], 1.1, "<= 1.1",
				human(m["idle_" i, "rump"], "ns") " to " human(m["idle_1", "rump"], "ns"))
	n_loads = split("git_status tar sqlite postgres", load, " ")
	for (i = 1; i <= n_loads; i++) {
		ratio(load[i] " on the mount / native", load[i], "native", 1.5)
		ratio("  / fuse2fs", load[i], "fuse2fs", "")
	}
	ratio("stat / the same without survival", "survival_stat", "fragile", 1.15)
	ratio("4 KiB direct pread / without survival", "survival_read", "fragile", 1.15)
	ratio("4 KiB overwrite / without survival", "survival_write", "fragile", "")
	ratio("1 GiB written and read / fuse2fs", "sequential", "fuse2fs", 0.4)
	ratio("  written / fuse2fs", "sequential_write", "fuse2fs", "")
	ratio("  read / fuse2fs", "sequential_read", "fuse2fs", "")
	ratio("1 GiB written and read / native", "sequential", "native", "")
	plain("kill to next answer on the mount, p50", "kill_mount", "p50", 500000, "<= 0.5 ms")
	plain("kill to next answer on the mount, p99", "kill_mount", "p99", 3000000, "<= 3 ms")
	plain("kill to next answer, p50", "kill_1", "p50", 500000, "<= 0.5 ms")
	plain("kill to next answer, p99", "kill_1", "p99", 3000000, "<= 3 ms")
	plain("  with 64 MiB of RM, p50", "kill_64m", "p50", 500000, "<= 0.5 ms")
	plain("  with 64 MiB of RM, p99", "kill_64m", "p99", 3000000, "<= 3 ms")
	plain("  with 1,000 clients, 10,000 files, p50", "kill_many", "p50", "", "")
	plain("  with 1,000 clients, 10,000 files, p99", "kill_many", "p99", "", "")
	plain("pause at rump upgrade, p50", "upgrade", "p50", "", "")
	plain("pause at rump upgrade, p99", "upgrade", "p99", 20000000, "<= 20 ms")
	plain("  with 10,000 open files, p50", "upgrade_many", "p50", "", "")
	plain("  with 10,000 open files, p99", "upgrade_many", "p99", "", "")
	plain("rump export, 10,000 open files", "export", "rump", "", "")
	plain("  its size", "export", "size", "", "")
	plain("rump import of it", "import", "rump", "", "")
	if (has("outage", "share"))
		show("throughput, a kill every 0.5 s / no kills",
			sprintf("%.3f", m["outage", "share"]), m["outage", "share"], "", "", "")
	plain("  longest round around a kill, middle", "outage", "longest", "", "")
	plain("kill to next answer, cold, p50", "cold_0", "p50", "", "")
	plain("  with 1,000 ops to run again, p50", "cold_1k", "p50", "", "")
	plain("  with 100,000 ops to run again, p50", "cold_100k", "p50", "", "")
	plain("  with 1,000 ops and 1,000 open files, p50", "cold_files", "p50", "", "")
	plain("start to first answer", "start", "rump", 10900000, "<= 10.9 ms")
	n_amounts = split("4 1024 16384 65536", amount, " ")
	for (i = 1; i <= n_amounts; i++) {
		checkpoint = "checkpoint_time_" amount[i] "k"
		ratio("checkpoint, " amount[i] " KiB changed / sync", checkpoint, "sync", "")
		between("  sync after it / sync", checkpoint, "sync_after", "sync", "")
		plain("  stored of it", "checkpoint_size_" amount[i] "k", "rump", "", "")
	}
	plain("memory of the server process", "memory", "rump", 1500000, "<= 1.5 MB")
	plain("memory of the whole family", "memory", "family", "", "")
	ratio("null op in the program / getppid", "local_null", "native", 0.44)
	ratio("stat in the program / native", "local_stat", "native", "")
	ratio("pread 4 KiB in the program / native", "local_pread", "native", "")
	n_foreign = split("getppid host", foreign, " ")
	for (i = 1; i <= n_foreign; i++) {
		call = foreign[i] == "host" ? "4 KiB of a host file" : foreign[i]
		between(call ", preload / native", "proxy_" foreign[i], "alone", "native", 1.05)
		between(call ", preload and net / native", "proxy_" foreign[i], "preload", "native", "")
		between(call ", under the net / native", "proxy_" foreign[i], "net", "native", 1.5)
	}
	ratio("hot 4 KiB pread, preload / native", "proxy_hot_pread", "native", 1.1)
	ratio("hot fstat, preload / native", "proxy_hot_fstat", "native", 1.1)
	ratio("hot stat, preload / native", "proxy_hot_stat", "native", 1.1)
	ratio("create ... unlink, preload / mount, one core", "proxy_create", "mount", 0.6)
	ratio("  / native", "proxy_create", "native", "")
	plain("stat through notify, one core", "proxy_notify", "rump", 10000, "<= 10 us")
	ratio("  / gVisor", "proxy_notify", "gvisor", "")
	ratio("  / native", "proxy_notify", "native", "")
	n_loads = split("git_status tar sqlite", load, " ")
	for (i = 1; i <= n_loads; i++) {
		between(load[i] ", preload / mount", "proxy_" load[i], "preload", "mount", "")
		between("  / native", "proxy_" load[i], "preload", "native", "")
	}
	models("null op", "model_null")
	models("stat", "model_stat")
	models("create and unlink", "model_create")
	models("memory of the server", "model_memory")
	models("null op beside long ones, average", "preempt_average")
	models("null op beside long ones, longest", "preempt_most")
	models("done again after a kill, of the op, %", "again")
	models("  of all that the killed op took, %", "again_of_all")

	print "\nplaces:"
	for (i = 1; i <= n_lines; i++) {
		split(line[i], k, SUBSEP)
		if (note[k[1], k[2]] != "")
			printf "  %-18s %-24s %s\n", k[1], k[2], note[k[1], k[2]]
	}
	for (i = 1; i <= n_left; i++)
		print "not measured: " left_out[i]
	if (quick)
		print "a quick run: the figures mean nothing"

	if (json == "")
		exit
	printf("{\"kernel\":%s,\"cores\":%d,\"quick\":%s,\n\"lines\":[",
		quoted(kernel), cores, (quick ? "true" : "false")) > json
	for (i = 1; i <= n_lines; i++) {
		split(line[i], k, SUBSEP)
		printf("%s\n{\"row\":%s,\"side\":%s,\"median\":%s,\"least\":%s,\"most\":%s,\"unit\":%s,\"note\":%s}",
			(i > 1 ? "," : ""), quoted(k[1]), quoted(k[2]),
			m[line[i]], low[line[i]], high[line[i]],
			quoted(unit[line[i]]), quoted(note[line[i]])) > json
	}
	printf("],\n\"table\":[") > json
	for (i = 1; i <= n_verdicts; i++)
		printf("%s\n%s", (i > 1 ? "," : ""), verdict[i]) > json
	printf("],\n\"left_out\":[") > json
	for (i = 1; i <= n_left; i++)
		printf("%s%s", (i > 1 ? "," : ""), quoted(left_out[i])) > json
	print "]}" > json
}
