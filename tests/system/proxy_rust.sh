#!/bin/bash
# proxy_rust.sh - a Rust program, static and linked to libc's, works in a mount
# through both proxies as it does on the host, without kills and with them.
# limit: 120
. "$(dirname "$0")/../harness/lib.sh"
command -v rustc >/dev/null || skip "rustc is not installed"

cat >"$WORK/main.rs" <<'END'
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{symlink, FileExt, MetadataExt};
use std::process::{Command, Stdio};
use std::{env, fs, thread};

fn one(dir: &str, i: usize) -> std::io::Result<()> {
    let name = format!("{dir}/a/b/f{i}");
    let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&name)?;
    let mut out = BufWriter::new(file.try_clone()?);
    for k in 0..50 {
        writeln!(out, "{i} {k}")?;
    }
    out.flush()?;
    file.sync_all()?;
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let mut all = String::new();
    file.read_to_string(&mut all)?;
    assert_eq!(all.len() as u64, file.metadata()?.size());
    let mut first = [0u8; 3];
    file.read_exact_at(&mut first, 0)?;
    assert_eq!(&first, format!("{i} 0").as_bytes());
    file.set_len(10)?;
    fs::rename(&name, name.clone() + ".done")
}

fn main() -> std::io::Result<()> {
    let dir = env::args().nth(1).unwrap();
    fs::create_dir_all(format!("{dir}/a/b"))?;
    let threads: Vec<_> = (0..8)
        .map(|i| {
            let dir = dir.clone();
            thread::spawn(move || one(&dir, i).unwrap())
        })
        .collect();
    for t in threads {
        t.join().unwrap();
    }
    let entries = fs::read_dir(format!("{dir}/a/b"))?.count();
    symlink("a/b/f0.done", format!("{dir}/link"))?;
    env::set_current_dir(&dir)?;
    let text = fs::read("link")?;
    let copied = fs::copy("link", "copy")?;
    let out = Command::new("cat").arg("link").output()?;
    let status = Command::new("sh").args(["-c", "cat >>copy"]).stdin(Stdio::from(fs::File::open("link")?)).status()?;
    let here = env::current_dir()?;
    let appended = fs::metadata("copy")?.len();
    fs::remove_dir_all("a")?;
    println!(
        "{entries} {} {copied} {} {} {appended} {} {:?}",
        text.len(), out.stdout.len(), status.success(), here.display(),
        fs::metadata("a").unwrap_err().kind()
    );
    Ok(())
}
END
cd "$WORK"
for kind in static dynamic; do
	flag=+crt-static
	[ $kind = static ] || flag=-crt-static
	rustc -O -C target-feature=$flag -o prog main.rs 2>"$WORK/err" </dev/null || {
		[ $kind = static ] || { cat "$WORK/err" >&2; fail "it is not compiled"; }
		say "no static Rust program can be made here"
		continue
	}
	rm -rf "$WORK/x"
	want=$(./prog "$WORK/x" | sed "s,$WORK/x,DIR,")
	for door in notify preload; do
		for kills in "" "--kill-every=20ms"; do
			image "$WORK/disk.img" 64M
			# shellcheck disable=SC2086
			got=$("$RUMP" run --proxy=$door $kills \
				-m "/vol=ext4:$WORK/disk.img" -- \
				"$WORK/prog" /vol/x 2>"$WORK/err" </dev/null) ||
				{ cat "$WORK/err" >&2; fail "$kind $door $kills: $got"; }
			[ "${got//\/vol\/x/DIR}" = "$want" ] ||
				fail "$kind $door $kills: $got, not $want"
			check_image "$WORK/disk.img"
		done
		say "$kind $door: $want"
	done
done
