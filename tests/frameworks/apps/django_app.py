"""Django in one file. It answers only under the host that browsers use."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.urls import path

settings.configure(
    SECRET_KEY="only for a test",
    ALLOWED_HOSTS=[os.environ["PUBLIC_HOST"].rsplit(":", 1)[0]],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    FORCE_SCRIPT_NAME=os.environ["PREFIX"],
)

FORM = "<form method=post><input type=hidden name=csrfmiddlewaretoken value={}><button>Store</button></form>"


def index(request):
    if request.method == "POST":
        return HttpResponse(f"stored for {request.headers.get('X-Forwarded-User')}")
    return HttpResponse(FORM.format(get_token(request)))


urlpatterns = [path("", index)]
application = get_wsgi_application()
