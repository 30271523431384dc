"""Django's settings. Everything that differs between hosts comes from the environment, read once, here."""

import os
import sys
import tempfile
from pathlib import Path

import pysqlite3

# Before Django looks for it: Debian's SQLite can corrupt a log that several processes write (fixed in 3.51.3).
sys.modules["sqlite3"] = pysqlite3
sys.modules["sqlite3.dbapi2"] = pysqlite3.dbapi2

from controlroom import environment  # noqa: E402 - nothing of Django may come before the line above
from controlroom.valkey import cache_configuration  # noqa: E402

if pysqlite3.sqlite_version_info < (3, 51, 3):
    raise environment.SettingError(
        f"SQLite {pysqlite3.sqlite_version} is too old; install the locked requirements (3.51.3 or newer)"
    )

BASE_DIR = Path(__file__).resolve().parent.parent
DATA = environment.data_paths(BASE_DIR)
"""The data directory of this station; code asks ``settings.DATA`` each time, so that a test may move it."""

SECRET_KEY = environment.secret_key(DATA)
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *filter(None, environment.text("STATION_HOST").split(","))]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "controlroom.access.apps.AdminConfig",
    "channels",
    "django_htmx",
    "guardian",
    "events",
    "risk",
    "agents",
    "tournaments",
    "tournaments.evolution",
    "controlroom",
    "controlroom.access",
    "controlroom.pages",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "controlroom.access.headers.SecurityHeaders",
    "controlroom.api.problems.ProblemAnswers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "controlroom.access.middleware.SessionLimits",
    "controlroom.access.middleware.RouteAccess",
    "controlroom.access.middleware.KillCookie",
]

ROOT_URLCONF = "controlroom.urls"
ASGI_APPLICATION = "controlroom.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "controlroom.access.context.person",
            ]
        },
    }
]

DATABASES = environment.databases(DATA, Path(tempfile.gettempdir()) / f"station-test-{os.getpid()}.sqlite3")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = cache_configuration(DATA)

AUTH_USER_MODEL = "access.User"
AUTHENTICATION_BACKENDS = ["controlroom.access.backends.RoleBackend", "controlroom.access.backends.ObjectBackend"]
ANONYMOUS_USER_NAME = None  # of guardian: nobody without a login is given a permission
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"

TLS = environment.text("STATION_TLS") == "1"
SESSION_COOKIE_NAME = "station_session"
SESSION_COOKIE_AGE = 30 * 60  # idle, in seconds
SESSION_ABSOLUTE_AGE = 12 * 60 * 60  # since the login, in seconds
SESSION_COOKIE_SECURE = TLS
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "station_csrf"
CSRF_COOKIE_SECURE = TLS
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "controlroom.access.views.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if TLS else 0
X_FRAME_OPTIONS = "DENY"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "controlroom.vendor.VendorFinder",
]
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 60

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en-us"

LOGGING_CONFIG = None  # each process calls events.logs.configure with its own name
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]  # our ObjectBackend is guardian's, without its rule for superusers
