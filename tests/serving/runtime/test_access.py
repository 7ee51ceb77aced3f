import socket

import click
import pytest

from mlnb.errors import UsageError
from mlnb.serving.runtime.access import AccessControl, bound_host, check_exposure
from mlnb.settings import ServiceSettings

KEYED = {"MLNB_API_KEY": " one , two "}


@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        ({b"x-api-key": b"one"}, True),
        ({b"authorization": b"Bearer two"}, True),
        ({b"authorization": b"bearer  one"}, True),
        ({}, False),
        ({b"x-api-key": b""}, False),
        ({b"x-api-key": b"on"}, False),
        ({b"x-api-key": b"one , two"}, False),
        ({b"authorization": b"Basic one"}, False),
        ({b"authorization": b"one"}, False),
        ({b"x-api-key": "ünïcödé".encode()}, False),
    ],
)
def test_any_of_the_keys_is_accepted(headers, admitted):
    assert AccessControl.from_settings(ServiceSettings(environment=KEYED)).allows(headers) is admitted


def test_without_keys_every_request_is_accepted():
    assert AccessControl.from_settings(ServiceSettings(environment={})).allows({})
    assert AccessControl.from_settings(ServiceSettings(environment={"MLNB_API_KEY": " , "})).keys == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_serving_a_network_without_keys_is_refused_unless_requested(host):
    with pytest.raises(UsageError, match="MLNB_API_KEY"):
        check_exposure(host, {})
    check_exposure(host, KEYED)
    check_exposure(host, {"MLNB_ALLOW_ANONYMOUS": "1"})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_key(host):
    check_exposure(host, {})


def test_the_address_is_known_from_the_command_that_binds_it():
    assert bound_host() is None
    command = click.Command("serve")
    with click.Context(command) as context:
        context.params = {"host": "1.2.3.4"}
        assert bound_host() == "1.2.3.4"
        context.params = {"host": None}
        assert bound_host() == "0.0.0.0"
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            context.params = {"fd": listening.fileno()}
            assert bound_host() == "127.0.0.1"
            assert listening.fileno() >= 0
