"""The app behind the front door: answers each request with 1000 bytes, after it has read the body."""
import http.server
import os


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def read_chunks(self):
        while size := int(self.rfile.readline(), 16):
            self.rfile.read(size + 2)
        self.rfile.readline()

    def answer(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.read_chunks()
        else:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"x" * 1000)

    do_GET = do_HEAD = do_POST = answer


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """The suites break connections on purpose."""


Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
