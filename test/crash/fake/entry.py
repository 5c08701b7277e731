"""A stand-in for a product that can be upgraded: it only has to be right, or wrong in one way (FLAW), so that the crash matrix can be tested.
   entry.py DIR PORT SOCKET FLAW COMMAND...     this process is the "init"; it binds, starts a "supervisor" (sleep) and the service of each generation.
   A line "upgrade N" on DIR/control.sock is answered with "0 done" or "1 reason".
FLAWS: rebinds  stops the old service and binds anew       both   the old service is left running    lock     gives the lock away
       journal  leaves the journal at "committed"          deaf   never answers                      once     is busy after the first upgrade
       fragile  ends when a process of it dies"""
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

DIR, PORT, SOCKET, FLAW, COMMAND = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:]
UPGRADE = os.path.join(DIR, "upgrade")
os.makedirs(UPGRADE, exist_ok=True)
# 3 and 4 are for the sockets
lock = fcntl.fcntl(os.open(os.path.join(UPGRADE, "owner.lock"), os.O_CREAT | os.O_RDWR), fcntl.F_DUPFD_CLOEXEC, 10)
fcntl.flock(lock, fcntl.LOCK_EX)
upgraded = 0


def bind():
    tcp = socket.socket()
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind(("127.0.0.1", PORT))
    tcp.listen(1024)
    local = socket.socket(socket.AF_UNIX)
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    local.bind(SOCKET)
    local.listen(1024)
    return tcp, local


def place(sockets):
    for number, each in zip((3, 4), sockets):
        fd = each.detach()
        if fd != number:
            os.dup2(fd, number, inheritable=True)
            os.close(fd)


class Generation:
    def __init__(self, number):
        self.number = number
        env = {**os.environ, "GENERATION": str(number), "LISTEN_FDS": "2"}
        self.supervisor = subprocess.Popen(["sleep", "1000"], env={**env, "FAKE_ROLE": "supervisor"})
        self.service = subprocess.Popen(COMMAND, env=env, pass_fds=(3, 4), stdout=subprocess.PIPE)
        self.service.stdout.readline()

    def lives(self):
        return all(each.poll() is None and state(each.pid) != "T" for each in (self.supervisor, self.service))

    def end(self):
        self.supervisor.kill()
        self.service.send_signal(signal.SIGTERM)
        threading.Thread(target=self.late, daemon=True).start()

    def late(self):
        try:
            self.service.wait(8)
        except subprocess.TimeoutExpired:
            self.service.kill()


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(") ")[2][0]


def journal(generation, attempt):
    text = json.dumps({"version": 1, "owner": {"release": f"r{generation.number}"}, "attempt": {"state": attempt}})
    with open(os.path.join(UPGRADE, "journal.new"), "w") as file:
        file.write(text)
    os.rename(os.path.join(UPGRADE, "journal.new"), os.path.join(UPGRADE, "journal.json"))


def step(name):
    for side in ("old", "new"):
        print(json.dumps({"step": name, "side": side}), file=sys.stderr, flush=True)
    time.sleep(0.1)


def upgrade(number):
    global current, upgraded
    old = current
    upgraded += 1
    if FLAW == "once" and upgraded > 1:
        return "75 busy"
    for name in ("HELLO", "LEASE", "OFFER", "CLAIM", "STATE"):
        step(name)
    if FLAW == "rebinds":
        old.service.terminate()
        os.close(3)
        os.close(4)
        time.sleep(0.3)
        place(bind())
    new = Generation(number)
    for name in ("PREPARING", "READY", "COMMIT", "PROBATION"):
        step(name)
    if FLAW == "fragile" and not (new.lives() and old.lives()):
        os._exit(1)
    if not new.lives():
        new.end()
        if not old.lives():
            current = revive(old)
        journal(current, "failed")
        return "1 the new generation is gone"
    current = new
    journal(new, "committed" if FLAW == "journal" else "finalized")
    step("FINALIZE")
    if FLAW == "lock":
        fcntl.flock(lock, fcntl.LOCK_UN)
    if FLAW != "both":
        old.end()
    step("DRAINED")
    if FLAW == "deaf":
        time.sleep(1000)
    if not new.lives():
        current = revive(new)
    return "0 done"


def revive(generation):
    generation.supervisor.kill()
    generation.service.kill()
    return Generation(generation.number)


place(bind())
control = socket.socket(socket.AF_UNIX)
control.bind(os.path.join(DIR, "control.sock"))
control.listen()
# last: who waits for an answer of the service finds the rest
current = Generation(1)
journal(current, "finalized")
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True:
    connection, _ = control.accept()
    _, generation = connection.recv(64).decode().split()
    try:
        connection.sendall(upgrade(int(generation)).encode())
    except OSError:  # nobody waits any more
        pass
    connection.close()
