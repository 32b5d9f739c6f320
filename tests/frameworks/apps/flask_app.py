"""Flask behind ProxyFix, as Werkzeug's guide says for a proxy that strips the prefix."""

import os
import time

from flask import Flask, redirect, request, url_for
from werkzeug.middleware.proxy_fix import ProxyFix

# A program that needs a while to load, after gunicorn has opened its port.
time.sleep(float(os.environ.get("LOAD_SECONDS", "0")))
print("the program is loaded")

app = Flask(__name__)
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)


@app.get("/")
def index():
    return f"signed in as {request.headers.get('X-Forwarded-User')} at {url_for('index', _external=True)}"


@app.get("/go")
def go():
    return redirect(url_for("index", _external=True))
