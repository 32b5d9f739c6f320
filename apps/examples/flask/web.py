"""A counter, an upload and a download with Flask."""

import os

from flask import Flask, Response, redirect, request, session, url_for

app = Flask(__name__)
# Apps of one address share its cookies, so each needs a name of its own. A real app keeps its secret
# in a file, so that people stay known over a restart.
app.config.update(SECRET_KEY=os.urandom(32), SESSION_COOKIE_NAME="flask-example")

PAGE = """<!doctype html><title>Flask</title>
<p>signed in as {user}</p>
<form method=post action="{more}"><button id=more>More</button></form>
<p>pressed {count} times, {size} bytes</p>
<form method=post action="{upload}" enctype=multipart/form-data><input type=file name=file onchange="this.form.submit()"></form>
<a href="{report}" download>Report</a>"""


@app.get("/")
def index():
    addresses = {name: url_for(name) for name in ("more", "upload", "report")}
    user = request.headers.get("X-Forwarded-User")
    return PAGE.format(user=user, count=session.get("count", 0), size=session.get("size", 0), **addresses)


@app.post("/more")
def more():
    session["count"] = session.get("count", 0) + 1
    return redirect(url_for("index"))


@app.post("/upload")
def upload():
    session["size"] = len(request.files["file"].read())
    return redirect(url_for("index"))


@app.get("/report.csv")
def report():
    return Response("a;b\n1;2\n", mimetype="text/csv")
