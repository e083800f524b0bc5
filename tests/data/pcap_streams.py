#!/usr/bin/env python3
"""Cut the TCP streams of one port out of a capture, one file for each direction.

    pcap_streams.py CAPTURE PORT DIRECTORY

Writes NNN-to.bin (what the client sent to PORT) and NNN-from.bin (what it answered), numbered in
the order in which the connections began. Understands classic pcap of Ethernet, of Linux' "cooked"
captures and of raw or BSD loopback IPv4. Retransmitted bytes are counted once; a hole (a packet
the capture missed) ends its direction there.
"""
import pathlib
import struct
import sys

LINK_HEADER_SIZE = {0: 4, 1: 14, 12: 0, 101: 0, 113: 16, 276: 20}


def packets(capture):
    magic = capture[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link = struct.unpack_from(order + "I", capture, 20)[0]
    skip = LINK_HEADER_SIZE[link]
    at = 24
    while at + 16 <= len(capture):
        size = struct.unpack_from(order + "I", capture, at + 8)[0]
        yield capture[at + 16 + skip:at + 16 + size]
        at += 16 + size


def segments(capture):
    for ip in packets(capture):
        if len(ip) < 20 or ip[0] >> 4 != 4 or ip[9] != 6:
            continue
        end = struct.unpack_from(">H", ip, 2)[0]
        tcp = ip[(ip[0] & 15) * 4:end]
        source, target, seq = struct.unpack_from(">HHI", tcp, 0)
        data = tcp[(tcp[12] >> 4) * 4:]
        yield (ip[12:16], source), (ip[16:20], target), seq, tcp[13], data


class Direction:
    def __init__(self):
        self.first = None
        self.pieces = []

    def add(self, seq, flags, data):
        if self.first is None:
            self.first = (seq + 1 if flags & 2 else seq) & 0xFFFFFFFF
        if data:
            self.pieces.append(((seq - self.first) & 0xFFFFFFFF, data))

    def join(self):
        out = bytearray()
        for at, data in sorted(self.pieces, key=lambda piece: piece[0]):
            if at > len(out):
                break
            out += data[len(out) - at:]
        return bytes(out)


def streams(capture, port):
    """What each connection to the port carried: to it, and back."""
    connections, current = [], {}
    for source, target, seq, flags, data in segments(capture):
        if port not in (source[1], target[1]):
            continue
        to = target[1] == port and not (flags & 18 == 18)
        key = (source, target) if to else (target, source)
        if key not in current or (to and flags & 18 == 2):
            current[key] = (Direction(), Direction())
            connections.append(current[key])
        current[key][0 if to else 1].add(seq, flags, data)
    return [(to.join(), back.join()) for to, back in connections]


def main():
    capture = pathlib.Path(sys.argv[1]).read_bytes()
    port = int(sys.argv[2])
    directory = pathlib.Path(sys.argv[3])
    for i, (to, back) in enumerate(streams(capture, port)):
        for name, stream in (("to", to), ("from", back)):
            if stream:
                (directory / f"{i:03d}-{name}.bin").write_bytes(stream)


if __name__ == "__main__":
    main()
