#!/usr/bin/env python3
"""as_systemd.py PATH TYPE N WATCHDOG_USEC COMMAND... - starts COMMAND as systemd
would: with a listening socket at PATH (TYPE: seqpacket or stream) as the first
of N descriptors that are passed, a socket to notify, and a watchdog. Prints its
own child's number, then what it is told, a line each; passes SIGTERM on, and
exits as the command does."""
import os
import signal
import socket
import sys
import tempfile

path, kind, n, usec = sys.argv[1:5]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET
                         if kind == "seqpacket" else socket.SOCK_STREAM)
listener.bind(path)
os.chmod(path, 0o600)
listener.listen(8)
with tempfile.TemporaryDirectory() as dir:
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(dir + "/notify")
    pid = os.fork()
    if pid == 0:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        for fd in range(4, 4 + int(n) - 1):
            os.dup2(3, fd)
        me = str(os.getpid())
        os.execvpe(sys.argv[5], sys.argv[5:], {
            **os.environ, "LISTEN_FDS": n, "LISTEN_PID": me,
            "NOTIFY_SOCKET": dir + "/notify", "WATCHDOG_USEC": usec,
            "WATCHDOG_PID": me})
    print(pid, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    told.settimeout(0.1)
    status = 0
    while True:
        try:
            print(told.recv(4096).decode(), end="", flush=True)
            continue
        except TimeoutError:
            pass
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
sys.exit(os.waitstatus_to_exitcode(status))
