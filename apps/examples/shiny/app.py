"""A counter, an upload and a download with Shiny for Python."""

import pathlib

from shiny import App, render, ui

app_ui = ui.page_fluid(
    ui.output_text("user"),
    ui.input_action_button("more", "More"),
    ui.output_text("count"),
    ui.input_file("upload", "Any file"),
    ui.output_text("size"),
    ui.download_link("report", "Report"),
    title="Shiny",
)


def server(input, output, session):
    @render.text
    def user():
        return f"signed in as {session.http_conn.headers.get('x-forwarded-user')}"

    @render.text
    def count():
        return f"pressed {input.more()} times"

    @render.text
    def size():
        files = input.upload()
        return f"{pathlib.Path(files[0]['datapath']).stat().st_size if files else 0} bytes"

    @render.download(filename="report.csv")
    def report():
        yield "a;b\n1;2\n"


app = App(app_ui, server)
