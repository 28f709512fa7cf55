"""What a person is told when a bucket cannot be used: where, why, what to do; within seconds."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import threading
import time
import weakref

import aiohttp
import pytest

from exetera_zarr import (
    AccessDeniedError,
    DatasetNotFoundError,
    Session,
    StorageError,
    UnsupportedError,
    set_credentials,
)
from support.rules import PASS, answer, only
from support.study import STEPS, append, create, read


def test_no_such_bucket(bucket):
    scheme = bucket.prefix.partition("://")[0]
    for attempt in (create, append, read):
        with pytest.raises((DatasetNotFoundError, StorageError), match="no-such-bucket-here"):
            attempt(f"{scheme}://no-such-bucket-here/x.zarr", bucket.options)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "no-such-host.invalid:80"])
@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_no_server(scheme, host, s3_environment):
    """A wrong endpoint, or no network: a few tries, and then what could not be reached."""
    options = {"endpoint_url": f"http://{host}"}
    if scheme == "gs":
        options["token"] = "anon"
    began = time.monotonic()
    with pytest.raises(StorageError, match=rf"could not .* {scheme}://bucket/x\.zarr.*") as caught:
        read(f"{scheme}://bucket/x.zarr", options)
    assert host.partition(":")[0] in str(caught.value)
    assert time.monotonic() - began < 30


def test_without_permission_to_list(bucket):
    """Reading goes on from the version that the root shows, also where that is behind."""
    create(bucket.url(), bucket.options)
    append(bucket.url(), bucket.options)
    bucket.proxy.rule = only(lambda _: answer(403), kind="LIST")
    assert read(bucket.url(), bucket.options) == STEPS[1][1]
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "r", "study", storage_options=bucket.options)
        assert ds.version == 2
    # S3 says of what is not there only that one may not: so it is with everything but the root.
    bucket.proxy.rule = only(lambda e: refused(e), kind=None)
    assert read(bucket.url(), bucket.options) == STEPS[1][1]
    bucket.proxy.rule = lambda _: answer(403)
    with pytest.raises(AccessDeniedError, match=r"could not .* .*study\.zarr"):
        read(bucket.url(), bucket.options)


def refused(exchange):
    beyond = "__exetera__/commits/9999999996.json" in exchange.path
    return answer(403) if beyond or exchange.kind == "LIST" else PASS


def test_a_root_that_is_behind_where_nothing_can_be_listed(s3_bucket):
    """Versions that were committed and not shown are found one by one."""
    bucket = s3_bucket
    create(bucket.url(), bucket.options)
    with Session() as s:
        ds = s.open_dataset(bucket.url(), "r+", "study", storage_options=bucket.options)
        bucket.proxy.rule = only(lambda _: answer(403), kind="PUT", path=r"study\.zarr/zarr\.json$")
        for age in (5, 6):
            ds["people"]["age"].data[0] = age
            with pytest.warns(RuntimeWarning, match="is committed, but other Zarr readers"):
                ds.commit()
        bucket.proxy.rule = only(lambda _: answer(403), kind="LIST")
        with Session() as other:
            place = s3_server_at(bucket)
            found = other.open_dataset(bucket.url(), "r", "study", storage_options=place)
            assert (found.version, found["people"]["age"].data[0]) == (3, 6)
        bucket.fine()


def s3_server_at(bucket):
    """The proxy by another name, so that what is open in this process is not shared."""
    options = dict(bucket.options)
    options["endpoint_url"] = options["endpoint_url"].replace("127.0.0.1", "localhost")
    return options


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (answer(400, "ExpiredToken"), "expired"),
        (answer(403, "InvalidAccessKeyId"), "InvalidAccessKeyId"),
        (answer(403, "SignatureDoesNotMatch"), "SignatureDoesNotMatch"),
        (answer(403, "AccessDenied"), "AccessDenied"),
        (answer(403, "RequestTimeTooSkewed"), "RequestTimeTooSkewed"),
    ],
    ids=lambda value: getattr(value, "code", value),
)
def test_credentials_that_do_not_do(s3_bucket, reply, said):
    create(s3_bucket.url(), s3_bucket.direct)
    s3_bucket.proxy.rule = lambda _: reply
    with pytest.raises(AccessDeniedError, match=rf"could not .*study\.zarr.*{said}"):
        read(s3_bucket.url(), s3_bucket.options)
    assert len(s3_bucket.proxy.log) <= 3


def test_a_bucket_in_another_region(s3_bucket):
    """The region is named, and where to say it."""
    redirect = answer(400, "AuthorizationHeaderMalformed", ("x-amz-bucket-region", "eu-west-2"))
    s3_bucket.proxy.rule = lambda _: redirect
    with pytest.raises(StorageError, match=r"'eu-west-2'.*AWS_DEFAULT_REGION"):
        read(s3_bucket.url(), s3_bucket.options)


def test_no_credentials_at_all(s3_bucket, monkeypatch, tmp_path):
    """The error says where they come from."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    options = {"endpoint_url": s3_bucket.proxy.endpoint}
    with pytest.raises(AccessDeniedError, match=r"AWS_ACCESS_KEY_ID.*set_credentials.*anon=True"):
        read(s3_bucket.url(), options)


def test_a_profile_and_the_environment(s3_bucket, monkeypatch, tmp_path):
    """Credentials and endpoint from where Amazon's tools have them."""
    key, secret = (s3_bucket.direct[name] for name in ("key", "secret"))
    (tmp_path / "credentials").write_text(
        f"[study]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    endpoint = s3_bucket.direct["endpoint_url"]
    create(s3_bucket.url("a.zarr"), {"endpoint_url": endpoint, "profile": "study"})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert read(s3_bucket.url("a.zarr"), {}) == STEPS[0][1]


def test_without_the_package(monkeypatch):
    """What to install."""
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    monkeypatch.delitem(__import__("sys").modules, "exetera_zarr.storage.remote.s3", raising=False)
    with pytest.raises(UnsupportedError, match=r"pip install 'exetera-zarr\[s3\]'"):
        read("s3://bucket/x.zarr", {})


class Provider:
    """Credentials that the server takes after a number of askings, and counts them."""

    def __init__(self, bucket, bad=0, expires_in=None):
        self.right = {
            "access_key_id": bucket.direct["key"],
            "secret_access_key": bucket.direct["secret"],
        }
        self.bad, self.expires_in, self.asked = bad, expires_in, 0

    def __call__(self):
        self.asked += 1
        given = dict(self.right)
        if self.asked <= self.bad:
            given["secret_access_key"] = f"a secret of before, {self.asked}"
        if self.expires_in is not None:
            moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.expires_in)
            given["expires_at"] = moment
        return given


@pytest.fixture
def plain(s3_bucket, monkeypatch):
    """Options that reach the server, and credentials from nowhere."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    return {"endpoint_url": s3_bucket.proxy.endpoint}


def test_credentials_given(s3_bucket, plain):
    """As a mapping, a function, or for all that is below a URL."""
    provider = Provider(s3_bucket)
    create(s3_bucket.url("a.zarr"), {**plain, "credentials": provider})
    assert provider.asked == 1
    assert read(s3_bucket.url("a.zarr"), {**plain, "credentials": provider()}) == STEPS[0][1]
    try:
        set_credentials("s3://another-bucket", {"access_key_id": "x", "secret_access_key": "x"})
        set_credentials(s3_bucket.prefix, provider)
        assert read(s3_bucket.url("a.zarr"), plain) == STEPS[0][1]
    finally:
        set_credentials(s3_bucket.prefix, None)
        set_credentials("s3://another-bucket", None)
    with pytest.raises(AccessDeniedError):
        read(s3_bucket.url("a.zarr"), plain)


def test_credentials_that_are_about_to_expire_are_renewed(s3_bucket, plain):
    provider = Provider(s3_bucket, expires_in=60)  # botocore asks anew in the last minutes
    create(s3_bucket.url(), {**plain, "credentials": provider})
    assert provider.asked > 2


def test_credentials_that_have_expired_are_asked_for_again(s3_bucket, plain):
    """Once the server says so, whatever the provider had said of how long they hold."""
    provider = Provider(s3_bucket, expires_in=3600)
    create(s3_bucket.url(), {**plain, "credentials": provider})
    asked = provider.asked
    expired = iter([answer(400, "ExpiredToken")] * 2)
    s3_bucket.proxy.rule = lambda _: next(expired, PASS)
    options = {**plain, "credentials": provider}
    assert read(s3_bucket.url(), options) == STEPS[0][1]
    assert provider.asked > asked
    fixed = {**plain, "credentials": Provider(s3_bucket)()}
    s3_bucket.proxy.rule = lambda _: answer(400, "ExpiredToken")
    with pytest.raises(AccessDeniedError, match="the credentials have expired"):
        read(s3_bucket.url(), fixed)


@pytest.mark.parametrize("expires_in", [None, 3600])
def test_what_was_opened_with_credentials_is_let_go(s3_bucket, plain, expires_in):
    """A service that opens datasets for months keeps no client of those that it has closed."""
    options = {**plain, "credentials": Provider(s3_bucket, expires_in=expires_in)}
    create(s3_bucket.url(), options)
    with Session() as s:
        ds = s.open_dataset(s3_bucket.url(), "r", "study", storage_options=options)
        assert ds["people"]["age"].data[3] == 3
        kept = weakref.ref(ds.storage.draft.store._client.fs)
        assert kept() is not None
    del s, ds
    gc.collect()
    assert kept() is None


def test_what_is_let_go_is_closed_however_long_that_takes(s3_bucket, plain, monkeypatch):
    """Connections that stay open would be a warning of aiohttp, and be missing one day."""
    closed, real = threading.Event(), aiohttp.ClientSession.close

    async def slowly(self):
        await asyncio.sleep(0.3)
        await real(self)
        closed.set()

    monkeypatch.setattr(aiohttp.ClientSession, "close", slowly)
    create(s3_bucket.url(), {**plain, "credentials": Provider(s3_bucket)})
    gc.collect()
    assert closed.wait(20)


def test_a_provider_that_fails(s3_bucket, plain):
    def provider():
        raise RuntimeError("the vault's password is hunter2")

    with pytest.raises(AccessDeniedError, match=r"provider of credentials failed.*RuntimeError"):
        read(s3_bucket.url(), {**plain, "credentials": provider})
    with pytest.raises(AccessDeniedError, match="secret_access_key"):
        read(s3_bucket.url(), {**plain, "credentials": {"access_key_id": "x"}})
