"""A counter, an upload and a download with Dash."""

import base64

import flask
from dash import Dash, Input, Output, State, callback, dcc, html

app = Dash(__name__, title="Dash")
# gunicorn serves this object.
server = app.server


def layout():
    # The function also runs once without a request, when Dash checks it.
    user = flask.request.headers.get("X-Forwarded-User") if flask.has_request_context() else None
    return html.Main(
        [
            html.P(f"signed in as {user}"),
            html.Button("More", id="more"),
            html.P(id="count"),
            dcc.Upload(html.Button("Any file"), id="upload", max_size=-1),
            html.P(id="size"),
            html.Button("Report", id="report"),
            dcc.Download(id="download"),
        ]
    )


app.layout = layout


@callback(Output("count", "children"), Input("more", "n_clicks"))
def count(clicks):
    return f"pressed {clicks or 0} times"


@callback(Output("size", "children"), Input("upload", "contents"), prevent_initial_call=True)
def size(contents):
    return f"{len(base64.b64decode(contents.split(',')[1]))} bytes"


@callback(Output("download", "data"), Input("report", "n_clicks"), State("count", "children"), prevent_initial_call=True)
def report(_, text):
    return {"content": text, "filename": "report.txt"}
