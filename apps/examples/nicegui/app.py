"""A counter, an upload and a download with NiceGUI."""

import os

from nicegui import ui


@ui.page("/")
def index():
    ui.label(f"signed in as {ui.context.client.request.headers.get('x-forwarded-user')}")
    presses = ui.label("pressed 0 times")
    count = 0

    def press():
        nonlocal count
        count += 1
        presses.set_text(f"pressed {count} times")

    ui.button("More", on_click=press).props("id=more")
    size = ui.label("0 bytes")

    async def uploaded(event):
        size.set_text(f"{len(await event.file.read())} bytes")

    ui.upload(on_upload=uploaded, auto_upload=True)
    ui.button("Report", on_click=lambda: ui.download(b"a;b\n1;2\n", "report.csv"))


# The preset sets PORT. The appliance restarts the app, so it needs no reload of its own.
ui.run(host="127.0.0.1", port=int(os.environ["PORT"]), title="NiceGUI", show=False, reload=False)
