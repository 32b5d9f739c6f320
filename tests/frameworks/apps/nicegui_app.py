"""NiceGUI without a base path of its own: it reads `X-Forwarded-Prefix`."""

import os

from nicegui import ui


@ui.page("/")
def index():
    user = ui.context.client.request.headers.get("x-forwarded-user")
    ui.label(f"signed in as {user}")
    presses = []
    label = ui.label("pressed 0 times")

    def press():
        presses.append(1)
        label.set_text(f"pressed {len(presses)} times")

    ui.button("More", on_click=press)


ui.run(host="127.0.0.1", port=int(os.environ["PORT"]), show=False, reload=False)
