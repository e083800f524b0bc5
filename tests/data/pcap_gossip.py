#!/usr/bin/env python3
"""Cut gossip out of a capture: the datagrams, and the streams (one record for each direction).

    pcap_gossip.py CAPTURE FILE PORT...

FILE gets records: a letter ('d' a datagram, 't' what a client sent in a stream, 'f' what it was
answered), four bytes of size (big endian), the bytes. Datagrams that are the same as one before are
left out.
"""
import pathlib
import struct
import sys

import pcap_streams


def datagrams(capture, ports):
    for ip in pcap_streams.packets(capture):
        if len(ip) < 28 or ip[0] >> 4 != 4 or ip[9] != 17:
            continue
        udp = ip[(ip[0] & 15) * 4:]
        _, target, size = struct.unpack_from(">HHH", udp, 0)
        if target in ports:
            yield udp[8:size]


def main():
    capture = pathlib.Path(sys.argv[1]).read_bytes()
    ports = {int(port) for port in sys.argv[3:]}
    records = [(b"d", data) for data in dict.fromkeys(datagrams(capture, ports))]
    for port in sorted(ports):
        for to, back in pcap_streams.streams(capture, port):
            records += [(b"t", to), (b"f", back)]
    with open(sys.argv[2], "wb") as file:
        for kind, data in records:
            if data:
                file.write(kind + struct.pack(">I", len(data)) + data)


if __name__ == "__main__":
    main()
