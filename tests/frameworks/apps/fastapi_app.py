"""FastAPI as its guide says for a proxy that strips the prefix: `uvicorn --root-path`."""

from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.get("/items/")
def items(request: Request, response: Response):
    response.set_cookie("seen", "yes", path=request.scope["root_path"] or "/")
    return {"user": request.headers.get("x-forwarded-user"), "seen": request.cookies.get("seen")}
