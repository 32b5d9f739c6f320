"""The pages of the project."""

from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import path, reverse

PAGE = """<!doctype html><title>Django</title>
<p>signed in as {user}</p>
<form method=post action="{more}">{token}<button id=more>More</button></form>
<p>pressed {count} times, {size} bytes</p>
<form method=post action="{upload}" enctype=multipart/form-data>{token}<input type=file name=file onchange="this.form.submit()"></form>
<a href="{report}" download>Report</a>"""


def index(request):
    token = f'<input type=hidden name=csrfmiddlewaretoken value="{get_token(request)}">'
    addresses = {name: reverse(name) for name in ("more", "upload", "report")}
    count, size = request.session.get("count", 0), request.session.get("size", 0)
    user = request.headers.get("X-Forwarded-User")
    return HttpResponse(PAGE.format(user=user, token=token, count=count, size=size, **addresses))


def more(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return redirect("index")


def upload(request):
    request.session["size"] = request.FILES["file"].size
    return redirect("index")


def report(_request):
    return HttpResponse("a;b\n1;2\n", content_type="text/csv")


urlpatterns = [
    path("", index, name="index"),
    path("more", more, name="more"),
    path("upload", upload, name="upload"),
    path("report.csv", report, name="report"),
]
