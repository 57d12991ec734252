# compare.awk - differences.txt NATIVE OTHER: which cases of two outputs of replay
# differ, and whether the list knows of them. -v driver= -v door= say whose list.
# "script NAME" begins the cases of a script.
function keep(	name)
{
	name = script "/" $2
	# A name may come again: it is the same case.
	if (!(name in known)) {
		known[name] = 1
		order[++n] = name
	}
	return name
}
function listed(name,	i)
{
	for (i = 1; i <= entries; i++)
		if ((i in pattern) && name ~ pattern[i]) {
			used[i] = 1
			return 1
		}
	return 0
}
# Is what the other said of a call only that there is no such call?
function no_call(text,	word, n, i)
{
	if (text !~ / = ENOSYS/)
		return 0
	n = split(text, word, " ")
	i = 1
	if (word[i] ~ /^@/)
		i++
	if (word[i] == "&")
		i++
	if (word[i] == "in")
		i += 2
	if (!(word[i] in lacks))
		return 0
	used[lacks[word[i]]] = 1
	return 1
}
function differ(name, k)
{
	return text[2, name, k] != text[3, name, k] && !no_call(text[3, name, k])
}
function glob(s)
{
	gsub(/[.+^$()|{}\\]/, "\\\\&", s)
	gsub(/\*/, ".*", s)
	return "^" s "$"
}
# -v max= of those that differ are shown; with -v partial=1 not all scripts were
# run, and lines of the list that no case needs are left alone.
BEGIN { max = max ? max : 6 }
FNR == 1 { file++ }
file == 1 {
	if ($0 ~ /^#/ || NF == 0)
		next
	if (NF < 4) {
		print "differences.txt:" FNR ": no reason is given"
		bad = 1
	}
	if (($1 == driver || $1 == "*") && ($2 == door || $2 == "*")) {
		entry[++entries] = $0
		if ($3 ~ /^call:/)
			lacks[substr($3, 6)] = entries
		else
			pattern[entries] = glob($3)
	}
	next
}
$1 == "script" { script = $2; next }
$1 == "case" || $1 == "look" { now = keep(); line = count[file, now] }
{
	text[file, now, ++count[file, now]] = $0
	lines += file == 3
}
END {
	for (i = 1; i <= n; i++) {
		name = order[i]
		differs = count[2, name] != count[3, name]
		for (k = 1; k <= count[2, name] && !differs; k++)
			differs = differ(name, k)
		if (!differs)
			continue
		total++
		if (listed(name))
			continue
		bad = 1
		shown++
		if (shown > max)
			continue
		print name " differs:"
		m = 0
		for (k = 1; k <= count[2, name] && m < 6; k++)
			if (differ(name, k)) {
				print "  native: " text[2, name, k]
				print "  " driver ": " text[3, name, k]
				m++
			}
	}
	if (shown > max)
		print "and " shown - max " more"
	for (i = 1; i <= entries; i++)
		if (!used[i] && !partial) {
			print "listed, and no longer different: " entry[i]
			bad = 1
		}
	if (!lines)
		bad = 1
	printf "%d calls of %d cases, %d cases differ as listed\n", lines, n,
		total - shown
	exit bad
}
