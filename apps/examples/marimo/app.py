"""A counter, an upload and a download with marimo."""

import marimo

app = marimo.App(app_title="marimo")


@app.cell
def _():
    import marimo as mo

    return (mo,)


@app.cell
def _(mo):
    # There is no request when the notebook runs as a script.
    request = mo.app_meta().request
    mo.md(f"signed in as {request.headers.get('x-forwarded-user') if request else None}")
    return


@app.cell
def _(mo):
    button = mo.ui.button(value=0, on_click=lambda value: value + 1, label="More")
    upload = mo.ui.file()
    mo.vstack([button, upload, mo.download(b"a;b\n1;2\n", filename="report.csv", label="Report")])
    return button, upload


@app.cell
def _(button, mo, upload):
    size = len(upload.value[0].contents) if upload.value else 0
    mo.md(f"pressed {button.value} times, {size} bytes")
    return


if __name__ == "__main__":
    app.run()
