"""A page, events from the server, an upload and a download with FastAPI."""

import asyncio
from typing import Annotated

from fastapi import FastAPI, File, Header
from fastapi.responses import HTMLResponse, PlainTextResponse, StreamingResponse

app = FastAPI(title="FastAPI")

# The addresses are relative to the page, so they need no base path.
PAGE = """<!doctype html><title>FastAPI</title>
<p>signed in as {user}</p>
<button id=more onclick="new EventSource('ticks').onmessage = event => document.querySelector('#count').textContent = event.data">More</button>
<p id=count>pressed 0 times</p>
<input type=file onchange="const form = new FormData(); form.append('file', this.files[0]);
    fetch('upload', {{ method: 'POST', body: form }}).then(r => r.json()).then(text => bytes.textContent = text)">
<p id=bytes></p>
<a href=report.csv download>Report</a> <a href=docs>API</a>"""


@app.get("/", response_class=HTMLResponse)
def index(x_forwarded_user: Annotated[str | None, Header()] = None):
    return PAGE.format(user=x_forwarded_user)


@app.get("/ticks")
def ticks():
    async def events():
        yield "data: pressed 1 times\n\n"
        await asyncio.sleep(3600)

    return StreamingResponse(events(), media_type="text/event-stream")


@app.post("/upload")
def upload(file: Annotated[bytes, File()]):
    return f"{len(file)} bytes"


@app.get("/report.csv", response_class=PlainTextResponse)
def report():
    return "a;b\n1;2\n"
