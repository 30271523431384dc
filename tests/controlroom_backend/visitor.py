"""A browser without scripts: what speaks to a real Daphne over a real socket."""

from contextlib import closing
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from urllib.parse import urlencode


class Browser:
    """Cookies and form tokens, nothing else."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, **fields: str) -> tuple[int, dict[str, str], bytes]:
        data = urlencode(fields | {"csrfmiddlewaretoken": self.cookies["station_csrf"]})
        return self._ask("POST", path, data, {"Content-Type": "application/x-www-form-urlencoded"})

    def _ask(
        self, method: str, path: str, data: str | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        with closing(connection):
            connection.request(method, path, data, {"Cookie": cookie} | headers)
            answer = connection.getresponse()
            for name, value in answer.getheaders():
                if name.lower() == "set-cookie":
                    self.cookies |= {key: found.value for key, found in SimpleCookie(value).items()}
            return answer.status, dict(answer.getheaders()), answer.read()
