// The button of the page in a frame, and the window that the button opens. Both are pages of the same
// origin: nothing is sent to another one.
"use strict";

const button = document.getElementById("open");
if (button) {
  let opened = null;
  button.addEventListener("click", (event) => {
    event.preventDefault();
    opened = window.open(button.href, "_blank", "popup,width=560,height=720");
  });
  window.addEventListener("message", async (event) => {
    const ours = event.origin === location.origin && opened && event.source === opened;
    if (!ours || typeof event.data?.code !== "string") return;
    opened = null;
    const body = new URLSearchParams({ app: button.dataset.app, code: event.data.code });
    const response = await fetch("/oauth2/embed", { method: "POST", body });
    if (response.ok) location.reload();
  });
}

const code = document.getElementById("code");
if (code && window.opener) {
  window.opener.postMessage({ code: code.dataset.code }, location.origin);
  window.close();
}
