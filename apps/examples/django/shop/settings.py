"""Settings that follow the address of the app. The preset sets the variables."""

import os

SECRET_KEY = os.environ.get("SECRET_KEY") or os.urandom(32).hex()
ALLOWED_HOSTS = [os.environ.get("PUBLIC_HOST", "localhost").rsplit(":", 1)[0]]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
# Apps of one address share its cookies, so each has its path.
PREFIX = os.environ.get("PREFIX", "")
FORCE_SCRIPT_NAME = PREFIX or None
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = PREFIX + "/"
STATIC_URL = PREFIX + "/static/"
