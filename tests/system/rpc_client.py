"""A client of port 8300: calls over a connection of their own (byte 0) and over yamux (byte 4).

    rpc = Single(ip)                      # or Mux(ip).stream()
    rpc.call("Status.Ping", {})           # the reply; Refused with the error's text
    rpc.send("KVS.Get", {...}); rpc.receive()
"""
import socket
import struct

import msgpack

RPC, TLS, MULTIPLEX, SNAPSHOT = 0, 3, 4, 5
DATA, WINDOW, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
WINDOW_SIZE = 256 * 1024


class Refused(Exception):
    pass


class Closed(Exception):
    pass


def connect(ip, first_byte, port=8300, timeout=30):
    s = socket.create_connection((ip, port), timeout)
    s.sendall(bytes([first_byte]))
    return s


class Calls:
    """Calls over something with write() and read_more(), which fills self.input or raises Closed."""

    def __init__(self):
        self.seq = 0
        self.input = bytearray()

    def send(self, method, args):
        self.seq += 1
        header = {"Seq": self.seq, "ServiceMethod": method}
        self.write(msgpack.encode(header) + msgpack.encode(args))
        return self.seq

    def receive(self, raw=False):
        """(seq, reply) of the next answer; raw: the bytes of the reply's body."""
        while True:
            try:
                header, at = msgpack.decode(self.input)
                reply, end = msgpack.decode(self.input, at)
            except msgpack.Short:
                self.read_more()
                continue
            body = bytes(self.input[at:end])
            del self.input[:end]
            if header["Error"]:
                raise Refused(header["Error"].decode())
            return header["Seq"], body if raw else reply

    def call(self, method, args, raw=False):
        seq = self.send(method, args)
        got, reply = self.receive(raw)
        assert got == seq
        return reply


class Single(Calls):
    def __init__(self, ip):
        super().__init__()
        self.socket = connect(ip, RPC)

    def write(self, data):
        self.socket.sendall(data)

    def read_more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed()
        self.input += data

    def close(self):
        self.socket.close()


class Stream(Calls):
    def __init__(self, mux, id):
        super().__init__()
        self.mux, self.id = mux, id
        self.send_window = WINDOW_SIZE
        self.closed = False

    def write(self, data):
        while data:
            while self.send_window == 0:
                self.mux.step()
            n = min(len(data), self.send_window)
            self.mux.frame(DATA, 0, self.id, data[:n])
            self.send_window -= n
            data = data[n:]

    def read_more(self):
        if self.closed:
            raise Closed()
        before = len(self.input)
        while len(self.input) == before and not self.closed:
            self.mux.step()

    def close(self):
        self.mux.frame(WINDOW, FIN, self.id)


class Mux:
    def __init__(self, ip):
        self.socket = connect(ip, MULTIPLEX)
        self.next_id = 1
        self.streams = {}
        self.pings = []

    def frame(self, kind, flags, id, data=b"", length=None):
        length = len(data) if length is None else length
        self.socket.sendall(struct.pack(">BBHII", 0, kind, flags, id, length) + data)

    def stream(self):
        s = self.streams[self.next_id] = Stream(self, self.next_id)
        self.frame(WINDOW, SYN, s.id)
        self.next_id += 2
        return s

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise Closed()
            data += more
        return data

    def step(self):
        """Read one frame and act on it."""
        version, kind, flags, id, length = struct.unpack(">BBHII", self.exactly(12))
        assert version == 0
        s = self.streams.get(id)
        if kind == DATA:
            data = self.exactly(length)
            s.input += data
            if length:
                self.frame(WINDOW, 0, id, length=length)
        elif kind == WINDOW and s is not None:
            s.send_window += length
        elif kind == PING and flags & SYN:
            self.frame(PING, ACK, 0, length=length)
        elif kind == PING:
            self.pings.append(length)
        if flags & (FIN | RST) and s is not None:
            s.closed = True

    def close(self):
        self.socket.close()
