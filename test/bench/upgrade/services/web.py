"""A plain Python web service, as one writes it: it binds its port itself and knows nothing of who started it.
   web.py PORT [SOCKET]      GENERATION in the environment is what it calls itself.
On SIGTERM it stops accepting, answers what comes on open connections with `Connection: close`, says "bye" on upgraded ones, and ends with the last."""
import io
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GENERATION = os.environ.get("GENERATION", "1")
leaving = threading.Event()
connections = set()
upgraded = set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 8192  # header and body in one packet

    def handle(self):
        try:
            super().handle()
            self.wfile.flush()
        except OSError:  # the client is gone
            self.wfile = io.BytesIO()

    def log_message(self, *_):
        pass

    def head(self, status, *fields):
        self.send_response_only(status)
        self.send_header("x-request-id", self.headers.get("x-request-id", "none"))
        self.send_header("x-generation", GENERATION)
        for name, value in fields:
            self.send_header(name, value)
        if leaving.is_set() and status != 101:
            self.send_header("Connection", "close")
        self.end_headers()

    def text(self, body):
        data = body.encode()
        self.head(200, ("Content-Length", str(len(data))))
        self.wfile.write(data)

    def do_GET(self):
        request = self.headers.get("x-request-id", "none")
        if self.path == "/plain":
            self.text(f"plain {request}\n")
        elif self.path == "/stream":
            self.stream(request)
        elif self.path == "/upgraded":
            self.echo()
        else:
            self.send_error(404)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        self.text(f"post {self.headers['x-request-id']} {len(body)}\n")

    def stream(self, request):
        self.head(200, ("Transfer-Encoding", "chunked"))
        for line in [f"{request} {i}\n" for i in range(12)] + [f"end {request}\n"]:
            self.wfile.write(f"{len(line):x}\r\n{line}\r\n".encode())
            self.wfile.flush()
            time.sleep(0.25)
        self.wfile.write(b"0\r\n\r\n")

    def echo(self):
        self.close_connection = True
        self.head(101, ("Connection", "Upgrade"), ("Upgrade", "echo"))
        self.wfile.flush()
        upgraded.add(self.connection)
        try:
            if leaving.is_set():
                self.connection.sendall(b"bye\n")
            while data := self.connection.recv(4096):
                self.connection.sendall(data)
        except OSError:
            pass
        finally:
            upgraded.discard(self.connection)


class Web(ThreadingHTTPServer):
    request_queue_size = 1024

    # counted from accept() on: what was accepted is answered
    def process_request(self, request, client_address):
        connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        connections.discard(request)
        super().shutdown_request(request)


class Local(Web):
    address_family = socket.AF_UNIX

    def server_bind(self):
        if os.path.exists(self.server_address):
            os.unlink(self.server_address)
        self.socket.bind(self.server_address)

    def get_request(self):
        connection, _ = self.socket.accept()
        return connection, ("local", 0)


servers = [Web(("127.0.0.1", int(sys.argv[1])), Handler)]
if len(sys.argv) > 2:
    servers.append(Local(sys.argv[2], Handler))


def leave(*_):
    leaving.set()
    for server in servers:
        threading.Thread(target=server.shutdown).start()
    for connection in list(upgraded):
        try:
            connection.sendall(b"bye\n")
        except OSError:
            pass


signal.signal(signal.SIGTERM, leave)
loops = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in servers]
for loop in loops:
    loop.start()
print(f"listening, generation {GENERATION}", flush=True)
for loop in loops:
    loop.join()
deadline = time.monotonic() + 10
while connections and time.monotonic() < deadline:
    time.sleep(0.01)
