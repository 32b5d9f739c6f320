"""An app that answers with its process id, and echoes over WebSockets; there, `who` gets its process id and `handle` the handle for access tokens."""
import base64, hashlib, http.server, os

ME = str(os.getpid()).encode()


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        key = self.headers.get("Sec-WebSocket-Key")
        if key and self.headers.get("Upgrade"):
            return self.tunnel(key)
        told = {"headers": str(self.headers), "url": os.environ.get("APPLIANCE_TOKEN_URL", "")}
        body = told.get(self.path.rpartition("/")[2], ME.decode()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def tunnel(self, key):
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Protocol", "streamlit")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.close_connection = True
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            mask, data = self.rfile.read(4), self.rfile.read(head[1] & 127)
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
            handle = self.headers.get("X-Appliance-Token-Handle", "").encode()
            data = {b"who": ME, b"handle": handle}.get(data, data)
            self.wfile.write(bytes([head[0], len(data)]) + data)
            if head[0] & 15 == 8:
                return

    def log_message(self, *_):
        print("a request for", os.environ["PORT"], flush=True)


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
