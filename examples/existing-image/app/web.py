"""Serves what the other two wrote. Accepts on the socket that it is given as file descriptor 3."""
import http.server
import signal
import socket
import sys


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open("/run/app/began") as began, open("/run/app/now") as now:
            body = f"began {began.read()}now   {now.read()}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("", 0), Page, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=3)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server.serve_forever()
