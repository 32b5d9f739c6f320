"""A counter, an upload and a download with Gradio."""

import pathlib

import gradio as gr


def who(request: gr.Request):
    return f"signed in as {request.headers.get('x-forwarded-user')}"


def count(presses):
    return presses + 1, f"pressed {presses + 1} times"


def size(file):
    return f"{pathlib.Path(file).stat().st_size} bytes"


def report():
    path = pathlib.Path(gr.utils.get_upload_folder()) / "report.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a;b\n1;2\n")
    return str(path)


with gr.Blocks(title="Gradio") as demo:
    person = gr.Markdown()
    presses = gr.State(0)
    button = gr.Button("More", elem_id="more")
    counter = gr.Markdown("pressed 0 times")
    upload = gr.File(label="Any file")
    uploaded = gr.Markdown()
    gr.DownloadButton("Report", value=report, elem_id="report")
    demo.load(who, outputs=person)
    button.click(count, presses, [presses, counter])
    upload.upload(size, upload, uploaded)

demo.launch()
