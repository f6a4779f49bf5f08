"""Asks a Kafka broker, in its own protocol, whether it serves. Standard library only.

usage: kafka_ready.py host:port

Succeeds when metadata names a broker and a controller, and the coordinators of consumer groups and
of transactions answer without an error: a listening port alone says none of that.
"""

import socket
import struct
import sys

METADATA, FIND_COORDINATOR = 3, 10
GROUP, TRANSACTION = 0, 1


def text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def ask(connection, api_key, version, body):
    """One request, one response; returns the response after its correlation id."""
    header = struct.pack(">hhi", api_key, version, 1) + text("rtsap-ready")
    connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
    size = struct.unpack(">i", receive(connection, 4))[0]
    return receive(connection, size)[4:]


def receive(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the broker closed the connection")
        data += part
    return data


def brokers(connection):
    """How many brokers metadata (version 1, no topics) names."""
    return struct.unpack_from(">i", ask(connection, METADATA, 1, struct.pack(">i", 0)))[0]


def coordinator_error(connection, kind):
    """The error code of FindCoordinator version 1, after its throttle time; 0 is none."""
    body = text("rtsap-ready") + struct.pack(">b", kind)
    return struct.unpack_from(">h", ask(connection, FIND_COORDINATOR, 1, body), 4)[0]


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            if brokers(connection) < 1:
                sys.exit("metadata names no broker yet")
            for name, kind in (("groups", GROUP), ("transactions", TRANSACTION)):
                error = coordinator_error(connection, kind)
                if error:
                    sys.exit(f"the coordinator of {name} answers with error {error}")
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error}")


main()
