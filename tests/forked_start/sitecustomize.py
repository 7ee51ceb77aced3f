"""Lets an interpreter wait before it runs its program: for each request a fork goes on, see `forked_programs`.

The interpreter has the command line of the program and finds this folder first in its path.
"""

import gc
import importlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
import warnings


def serve(channel, imports):
    """Import, then wait for requests; return in the forks, and end this process with the channel."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C ends the tests and the forks
    gc.disable()
    exec(imports, {})
    gc.freeze()
    gc.enable()
    while True:
        message, streams, _, _ = socket.recv_fds(channel, 1 << 20, 3)
        if not message:
            os._exit(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forks of a process with threads
            middle = os.fork()
            if not middle:
                middle = os.getpid()
                if os.fork():
                    os._exit(0)
                while os.getppid() == middle:  # until it has ended: the process with the tests becomes the parent
                    time.sleep(0.0002)
                break
        os.waitpid(middle, 0)
        for stream in streams:
            os.close(stream)
    become(json.loads(message), streams)
    channel.send(str(os.getpid()).encode())
    channel.close()


def become(request, streams):
    """Take the session, streams, environment, folder and arguments of a request."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    os.chdir(request["folder"])
    sys.argv[1:] = request["arguments"]
    sys.orig_argv.extend(request["arguments"])


sys.path.remove(os.path.dirname(__file__))
this = sys.modules.pop(__name__)
try:
    importlib.import_module(__name__)  # the one that this folder hides
except ImportError:
    sys.modules[__name__] = this
try:
    serve(socket.socket(fileno=int(os.environ["MLNB_FORKED_START"])), os.environ["MLNB_FORKED_IMPORTS"])
except BaseException:
    traceback.print_exc()
    os._exit(1)
