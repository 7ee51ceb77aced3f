"""Access: token and cookie, Host header, methods, security headers."""

import pytest
from dashboard_clients import ADDRESS, TOKEN, TestClient, open_client

from mlnb.dashboard.access_control import is_local
from mlnb.dashboard.application import create_application


@pytest.fixture
def stranger(empty):
    """A client without a cookie."""
    return TestClient(create_application([empty], TOKEN), ADDRESS, follow_redirects=False)


@pytest.mark.parametrize("path", ["/", "/dashboard.js", "/p/x/runs", "/nowhere", "/?tok=1"])
def test_without_a_token_nothing_is_shown(stranger, path):
    response = stranger.get(path)
    assert response.status_code == 401 and "`mlnb ui` printed" in response.text


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "é"])
def test_a_wrong_token_is_refused(stranger, token):
    response = stranger.get("/", params={"token": token})
    assert response.status_code == 403 and "set-cookie" not in response.headers


def test_the_token_becomes_a_cookie_and_leaves_the_address(stranger):
    response = stranger.get("/p/x/runs", params={"token": TOKEN, "q": "a b"})
    assert (response.status_code, response.headers["location"]) == (303, "/p/x/runs?q=a+b")
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie and TOKEN not in cookie
    assert stranger.get("/").status_code == 200
    stranger.cookies.set("mlnb-ui-8790", "forged", domain="127.0.0.1")
    stranger.cookies.clear()
    assert stranger.get("/", headers={"cookie": "mlnb-ui-8790=forged"}).status_code == 401


def test_the_redirect_stays_on_this_host(stranger):
    response = stranger.get(f"{ADDRESS}//evil.example/a", params={"token": TOKEN})
    assert response.headers["location"] == "/evil.example/a"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8790", "127.0.0.1.evil.example", "localhost@evil.example", "", "127.0.0.1:x"]
)
def test_other_hosts_are_refused_even_with_the_token(stranger, host):
    response = stranger.get("/", params={"token": TOKEN}, headers={"host": host})
    assert response.status_code == 400 and "Host header" in response.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "[::1]:8790", "LOCALHOST"])
def test_names_of_this_machine(host):
    assert is_local(host)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(stranger, method):
    assert stranger.request(method, "/", params={"token": TOKEN}).status_code == 405


@pytest.mark.parametrize("path", ["/", "/nowhere", "/?token=wrong", "/dashboard.js"])
def test_every_response_has_the_security_headers(empty, path):
    headers = open_client(empty).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer" and headers["x-frame-options"] == "DENY"
