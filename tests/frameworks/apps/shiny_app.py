"""Shiny for Python: all its URLs are relative to the page."""

from shiny import App, render, ui

app_ui = ui.page_fluid(
    ui.output_text("user"),
    ui.input_action_button("more", "More"),
    ui.output_text("count"),
)


def server(input, output, session):
    @render.text
    def user():
        return f"signed in as {session.http_conn.headers.get('x-forwarded-user')}"

    @render.text
    def count():
        return f"pressed {input.more()} times"


app = App(app_ui, server)
