"""A counter, an upload and a download with Panel."""

import io

import panel as pn

pn.extension()

button = pn.widgets.Button(name="More")
upload = pn.widgets.FileInput()
report = pn.widgets.FileDownload(callback=lambda: io.StringIO("a;b\n1;2\n"), filename="report.csv", embed=True)

pn.Column(
    # Only the headers that the preset names are here.
    f"signed in as {pn.state.headers.get('X-Forwarded-User')}",
    button,
    pn.bind(lambda clicks: f"pressed {clicks} times", button.param.clicks),
    upload,
    pn.bind(lambda value: f"{len(value or b'')} bytes", upload),
    report,
).servable(title="Panel")
