#!/bin/bash
# proxy_go.sh - a Go program, static and with a scheduler of its own, works in a
# mount through both proxies as it does on the host, without kills and with them.
# limit: 90
. "$(dirname "$0")/../harness/lib.sh"
command -v go >/dev/null || skip "go is not installed"

cat >"$WORK/main.go" <<'END'
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

func must(err error) {
	if err != nil {
		fmt.Println("FAIL:", err)
		os.Exit(1)
	}
}

func main() {
	dir := os.Args[1]
	must(os.MkdirAll(dir+"/a/b", 0o755))
	var wg sync.WaitGroup
	for i := 0; i < 8; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			name := fmt.Sprintf("%s/a/b/f%d", dir, i)
			f, err := os.Create(name)
			must(err)
			for k := 0; k < 50; k++ {
				_, err = fmt.Fprintf(f, "%d %d\n", i, k)
				must(err)
			}
			must(f.Sync())
			_, err = f.Seek(0, io.SeekStart)
			must(err)
			all, err := io.ReadAll(f)
			must(err)
			st, err := f.Stat()
			must(err)
			if int64(len(all)) != st.Size() {
				must(fmt.Errorf("%d bytes of %d", len(all), st.Size()))
			}
			must(f.Close())
			must(os.Rename(name, name+".done"))
		}(i)
	}
	wg.Wait()
	entries, err := os.ReadDir(dir + "/a/b")
	must(err)
	must(os.Symlink("a/b/f0.done", dir+"/link"))
	text, err := os.ReadFile(dir + "/link")
	must(err)
	must(os.Chdir(dir))
	here, err := os.Getwd()
	must(err)
	out, err := exec.Command("cat", "link").Output()
	must(err)
	must(os.RemoveAll("a"))
	_, err = os.Stat("a")
	fmt.Println(len(entries), len(text), here, len(out), os.IsNotExist(err))
}
END
(cd "$WORK" && CGO_ENABLED=0 HOME=$WORK GO111MODULE=off go build -o prog main.go)
want=$("$WORK/prog" "$WORK/x" | sed "s,$WORK/x,DIR,")
for door in notify preload; do
	for kills in "" "--kill-every=20ms"; do
		image "$WORK/disk.img" 64M
		# shellcheck disable=SC2086
		got=$("$RUMP" run --proxy=$door $kills -m "/vol=ext4:$WORK/disk.img" -- \
			"$WORK/prog" /vol/x 2>"$WORK/err" </dev/null) ||
			{ cat "$WORK/err" >&2; fail "$door $kills: $got"; }
		[ "${got//\/vol\/x/DIR}" = "$want" ] || fail "$door $kills: $got, not $want"
		check_image "$WORK/disk.img"
	done
	say "$door: $want"
done
