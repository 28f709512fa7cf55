"""A secret that is given in any way is shown in none."""

from __future__ import annotations

import contextlib
import logging
import pickle
import subprocess
import sys
import threading
import traceback
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from exetera_zarr import Session, set_credentials
from exetera_zarr.errors import DataError, ExeteraError
from exetera_zarr.storage.remote import credentials, requests
from exetera_zarr.storage.stores.opening import open_store
from exetera_zarr.tables.redirects import Redirect
from support.proxy import FaultProxy, fault_proxy
from support.rules import DROP, answer
from support.study import append, create, read

CANARY = "ca/nary-4c1d+9e"
FORMS = (CANARY, quote(CANARY, safe=""), quote(CANARY), repr(CANARY)[1:-1])
OURS = "exetera_zarr"


def shows(text: str) -> bool:
    """Whether a text has the secret, also in the form of a URL or of a login."""
    logins = [b64encode(f"user:{CANARY}".encode()).decode(), b64encode(CANARY.encode()).decode()]
    return any(form in text for form in (*FORMS, *logins))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and all that it can be followed to."""
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__]


def assert_silent(error: BaseException) -> None:
    """Neither an error nor what led to it says the secret, however it is shown."""
    assert not shows("".join(traceback.format_exception(error)))
    for each in chain(error):
        assert not shows(f"{each}{each!r}{each.args}{getattr(each, '__notes__', '')}")
        with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
            assert not shows(pickle.dumps(each).decode("latin-1"))


class Records(logging.Handler):
    """All that is logged, by the name of the library."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += logging.Formatter().formatException(record.exc_info)
        self.found.append((record.name.partition(".")[0], text))

    def leaking(self) -> set[str]:
        """Names of the libraries that have logged the secret."""
        return {name for name, text in self.found if shows(text)}


@pytest.fixture
def records() -> Iterator[Records]:
    """What all loggers say at their most talkative."""
    handler, root = Records(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture(autouse=True)
def no_credentials_stay() -> Iterator[None]:
    yield
    credentials._providers.clear()


def texts_of(session: Session) -> Iterator[str]:
    """All that there is to see of a session, and of what is behind it."""
    (ds,) = session.datasets.values()
    table = ds["people"]
    field = table["age"]
    storage = ds.storage
    store = storage.draft.store
    seen = [session, ds, table, field, field.data, storage, storage.draft, storage.root, store]
    client = getattr(store, "_client", None)
    seen += [client, getattr(client, "fs", None), getattr(store, "_requests", None)]
    seen += [ds.history(), storage.draft.base, storage.draft.context]
    for each in seen:
        yield f"{each!r}{each}"
        if hasattr(each, "_repr_html_"):
            yield each._repr_html_()
        with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
            yield pickle.dumps(each).decode("latin-1")
    yield from (store.url, store.identity)


WAYS = ["options", "mapping", "function", "set_credentials", "environment"]


def on_each(*ways: str) -> pytest.MarkDecorator:
    """Over both kinds of servers; Google's tools take no secret itself from the environment."""
    places = [pytest.param("s3", way, marks=pytest.mark.s3) for way in ways]
    others = [way for way in ways if way != "environment"]
    places += [pytest.param("gcs", way, marks=pytest.mark.gcs) for way in others]
    return pytest.mark.parametrize(("lax", "way"), places, indirect=["lax"])


def given(way: str, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Storage options to reach a server that takes any credentials: those with the secret."""
    options = {k: v for k, v in bucket.options.items() if k not in ("key", "secret", "token")}
    of_s3 = bucket.prefix.startswith("s3")
    if of_s3:
        said = {"access_key_id": "id", "secret_access_key": CANARY, "token": f"{CANARY}-session"}
    else:
        said = {"token": CANARY}
    match way:
        case "options" if of_s3:
            return {**options, "key": "id", "secret": CANARY, "token": f"{CANARY}-session"}
        case "options":
            return {**options, "token": CANARY}
        case "mapping":
            return {**options, "credentials": said}
        case "function":
            return {**options, "credentials": lambda: dict(said)}
        case "set_credentials":
            set_credentials(bucket.prefix, said)
            return options
        case "environment" if of_s3:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
            monkeypatch.setenv("AWS_SESSION_TOKEN", f"{CANARY}-session")
            return options
    raise AssertionError(way)


@dataclass(frozen=True)
class Lax:
    """A place on a server that takes any credentials, by way of a proxy."""

    prefix: str
    options: dict[str, Any]
    proxy: FaultProxy

    def url(self, name: str = "study.zarr") -> str:
        return f"{self.prefix}/{name}"


@pytest.fixture(
    params=[pytest.param("s3", marks=pytest.mark.s3), pytest.param("gcs", marks=pytest.mark.gcs)]
)
def lax(request: pytest.FixtureRequest) -> Iterator[Lax]:
    place = request.getfixturevalue(f"{request.param}_place")
    server = request.getfixturevalue(f"{request.param}_server")
    with fault_proxy(server.endpoint) as proxy:
        yield Lax(place.prefix, server.at(proxy.endpoint).storage_options, proxy)


@on_each(*WAYS)
def test_what_there_is_to_see(lax, way, monkeypatch, records):
    """No object of ours, no object in the bucket and no record of a log has it."""
    options = given(way, lax, monkeypatch)
    create(lax.url(), options)
    append(lax.url(), options)
    with Session() as s:
        s.open_dataset(lax.url(), "r+", "study", storage_options=options)
        for text in texts_of(s):
            assert not shows(text)
    authorized = [e.headers.get("authorization", "") for e in lax.proxy.log]
    if lax.prefix.startswith("gs"):
        assert any(CANARY in header for header in authorized)
    else:
        assert any("x-amz-security-token" in e.headers for e in lax.proxy.log)
    for key, data in objects(lax, options):
        assert not shows(key + data.decode("latin-1"))
    assert OURS not in records.leaking()
    assert {name for name, _ in records.found} >= {"botocore" if "s3" in lax.prefix else "gcsfs"}
    # Amazon's library logs what it signs, which a temporary session's token is a part of.
    assert records.leaking() <= {"botocore", "aiobotocore"}


def objects(lax: Lax, options: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """All that is in the bucket."""
    store = open_store(lax.url(), options, durable=False, single_writer=False)
    for entry in store.everything(""):
        yield entry.key, store.get(entry.key)


BROKEN = {
    "403": lambda lax: setattr(lax.proxy, "rule", lambda _: answer(403)),
    "503": lambda lax: setattr(lax.proxy, "rule", lambda _: answer(503)),
    "dropped": lambda lax: setattr(lax.proxy, "rule", lambda _: DROP),
    "expired": lambda lax: setattr(lax.proxy, "rule", lambda _: answer(400, "ExpiredToken")),
    "nothing there": lambda lax: None,
}


@pytest.mark.parametrize("trouble", BROKEN)
@on_each("options", "environment")
def test_what_is_raised(lax, way, trouble, monkeypatch, records):
    """No error that a store's failure becomes has it, nor one that led to that."""
    monkeypatch.setattr(requests.patience, "deadline", 0.2)
    monkeypatch.setattr(requests.patience, "first_contact", 0.2)
    options = given(way, lax, monkeypatch)
    BROKEN[trouble](lax)
    with pytest.raises((ExeteraError, OSError)) as caught:
        read(lax.url(), options)
    assert_silent(caught.value)
    assert OURS not in records.leaking()


@pytest.mark.parametrize("way", ["options", "function"])
def test_places_that_there_are_not(lax, way, monkeypatch):
    """A bucket, or a server, that is not there."""
    monkeypatch.setattr(requests.patience, "deadline", 0.2)
    monkeypatch.setattr(requests.patience, "first_contact", 0.2)
    options = given(way, lax, monkeypatch)
    elsewhere = {**options, "endpoint_url": "http://127.0.0.1:9"}
    secretive = {**options, "endpoint_url": f"http://user:{CANARY}@127.0.0.1:9"}
    scheme = lax.prefix.partition("://")[0]
    for url, given_options in [
        (f"{scheme}://no-such-bucket-anywhere/study.zarr", options),
        (lax.url(), elsewhere),
        (lax.url(), secretive),
    ]:
        for mode in ("r", "w"):
            with pytest.raises((ExeteraError, OSError)) as caught, Session() as s:
                s.open_dataset(url, mode, "study", storage_options=given_options)
            assert_silent(caught.value)


def fails() -> dict[str, str]:
    raise RuntimeError(f"no token for {CANARY}")


WRONG = [
    CANARY,
    [CANARY],
    {"secret_access_key": CANARY},
    {"access_key_id": "id", "secret_access_key": CANARY.encode()},
    {"access_key_id": "id", "secret_access_key": CANARY, "token": [CANARY]},
    {"access_key_id": "id", "secret_access_key": CANARY, "expires_at": CANARY},
    {"token": {"value": CANARY}},
    {"token": CANARY, "expires_at": CANARY},
    fails,
    lambda: CANARY,
    lambda: {"token": [CANARY]},
]


@pytest.mark.parametrize("said", WRONG, ids=range(len(WRONG)))
def test_credentials_that_are_none(lax, said, records):
    """What is wrong with them is said without what they are."""
    options = {**lax.options, "credentials": said}
    for name in ("key", "secret", "token"):
        options.pop(name, None)
    with pytest.raises((DataError, PermissionError), match=r"credentials|provider") as caught:
        create(lax.url(), options)
    assert_silent(caught.value)
    assert not records.leaking()
    if callable(said) or isinstance(said, dict):
        set_credentials(lax.prefix, said)
    else:
        with pytest.raises(DataError) as caught:
            set_credentials(lax.prefix, said)
        assert_silent(caught.value)


def test_a_provider_that_fails_is_named(lax):
    """By the kind of error and the line, which are no secret."""
    options = {k: v for k, v in lax.options.items() if k != "token"}
    with pytest.raises(PermissionError, match=r"RuntimeError in test_secrets\.py, line \d+"):
        create(lax.url(), {**options, "credentials": fails})


def test_a_redirection_shows_no_options():
    assert CANARY not in repr(Redirect("a.hdf5", "s3://b/a.zarr", {"secret": CANARY}))


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_credentials_in_the_url_of_a_bucket(scheme, records):
    """They are refused before a library that logs URLs sees them, and not repeated."""
    secret = quote(CANARY, safe="")
    for url in (f"{scheme}://user:{secret}@bucket/study.zarr", f"{scheme}://{secret}@bucket/a.zip"):
        with pytest.raises(DataError, match="do not belong in a URL") as caught, Session() as s:
            s.open_dataset(url, "r", "study")
        assert_silent(caught.value)
    assert not records.leaking()


@contextlib.contextmanager
def web_server(folder: Path, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A web server that wants to know a password; its address, and who has come."""
    login = "Basic " + b64encode(f"user:{CANARY}".encode()).decode()
    seen: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(folder))

        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            if status != 200 or seen[-1] != login:
                self.send_error(status if status != 200 else 401)
            else:
                super().do_GET()

        do_HEAD = do_GET  # noqa: N815 - as the library calls it

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_password_in_the_url_of_a_web_server(tmp_path, records):
    """It opens the place, and is seen nowhere."""
    create(str(tmp_path / "study.zarr"), {})
    with web_server(tmp_path) as (host, seen):
        url = f"http://user:{quote(CANARY, safe='')}@{host}/study.zarr"
        with Session() as s:
            ds = s.open_dataset(url, "r", "study")
            assert ds["people"]["age"].data[:3].tolist() == [0, 1, 2]
            for text in texts_of(s):
                assert not shows(text)
        assert all(seen)
        for name in ("nothing.zarr", "nothing.zip", "nothing.hdf5"):
            with pytest.raises(FileNotFoundError) as caught, Session() as s:
                s.open_dataset(f"http://user:{quote(CANARY, safe='')}@{host}/{name}", "r", "d")
            assert_silent(caught.value)
    assert not records.leaking()


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_password_that_a_web_server_does_not_take(tmp_path, status, monkeypatch, records):
    monkeypatch.setattr(requests.patience, "deadline", 0.2)
    monkeypatch.setattr(requests.patience, "first_contact", 0.2)
    with web_server(tmp_path, status) as (host, _):
        for name in ("study.zarr", "study.zip", "study.hdf5", f"study.zarr?sig={CANARY}"):
            with pytest.raises((ExeteraError, OSError)) as caught, Session() as s:
                s.open_dataset(f"http://user:{quote(CANARY, safe='')}@{host}/{name}", "r", "d")
            assert_silent(caught.value)
    if status != 500:
        assert OURS not in records.leaking()


RUN = "from exetera_zarr.cli import main; main()"


@pytest.mark.parametrize(
    "trouble",
    ["403", *(pytest.param(each, marks=pytest.mark.slow) for each in ("none", "no server"))],
)
def test_the_command(lax, trouble, monkeypatch):
    """Neither what it prints nor what it complains of."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    options = given("options", lax, monkeypatch)
    create(lax.url(), options)
    if trouble == "403":
        lax.proxy.rule = lambda _: answer(403)
    if trouble == "no server":
        options["endpoint_url"] = "http://127.0.0.1:9"
    said = [f"--storage-option={k}={v}" for k, v in {**options, "retry_deadline": 1}.items()]
    for command in ("info", "history") if trouble == "none" else ("info",):
        done = subprocess.run(
            [sys.executable, "-c", RUN, command, lax.url(), *said],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not shows(done.stdout + done.stderr)
        assert (done.returncode == 0) == (trouble == "none"), done.stderr
