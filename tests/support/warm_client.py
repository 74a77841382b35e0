"""Asks :mod:`tests.support.warm` to run a command here; imports nothing of ours, so that it is quick."""

import json
import os
import pathlib
import socket
import struct
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
folder = str(pathlib.Path.cwd())
asked = json.dumps({"words": sys.argv[2:], "environment": dict(os.environ), "folder": folder}).encode()
socket.send_fds(connection, [struct.pack("!I", len(asked))], [0, 1, 2])
connection.sendall(asked)
answer = connection.recv(1)
sys.exit(answer[0] if answer else 1)
