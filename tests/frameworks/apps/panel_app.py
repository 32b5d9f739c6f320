"""Panel, which checks the origin of WebSockets and sends request headers back to the page."""

import panel as pn

pn.extension()
button = pn.widgets.Button(name="More")
pn.Column(
    f"signed in as {pn.state.headers.get('X-Forwarded-User')}",
    button,
    pn.bind(lambda clicks: f"pressed {clicks} times", button.param.clicks),
).servable()
