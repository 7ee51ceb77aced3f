"""The handlers answer this machine only."""

import asyncio
from types import SimpleNamespace

import pytest
from jupyter_server.base.handlers import APIHandler
from tornado import web

from mlnb.lab.handlers import PanelHandler


@pytest.mark.parametrize(("address", "refused"), [("127.0.0.1", False), ("::1", False), ("192.0.2.7", True)])
def test_other_machines_are_refused(monkeypatch, address, refused):
    async def prepare(self):
        """Every request is authenticated."""

    monkeypatch.setattr(APIHandler, "prepare", prepare)
    handler = PanelHandler.__new__(PanelHandler)
    handler.request = SimpleNamespace(remote_ip=address)
    try:
        asyncio.run(handler.prepare())
    except web.HTTPError as error:
        assert refused and error.status_code == 403
    else:
        assert not refused
