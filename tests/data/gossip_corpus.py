#!/usr/bin/env python3
"""Make the corpora of gossip's fuzz targets from the recorded gossip (see pcap_gossip.py).

    gossip_corpus.py tests/data/gossip tests/fuzz/corpus

Of messages that look alike, by their first bytes and about as long, one is taken.
"""
import pathlib
import struct
import sys


def records(path):
    data = path.read_bytes()
    at = 0
    while at < len(data):
        size = struct.unpack_from(">I", data, at + 1)[0]
        yield data[at:at + 1], data[at + 5:at + 5 + size]
        at += 5 + size


def lzw_unpack(data):
    out, table, width, last = bytearray(), {}, 9, b""
    bits = int.from_bytes(data, "little")
    while True:
        code = bits & ((1 << width) - 1)
        bits >>= width
        if code == 257:
            return bytes(out)
        if code == 256:
            table, width, last = {i: bytes([i]) for i in range(256)}, 9, b""
            continue
        item = table[code] if code in table else last + last[:1]
        if last:
            table[len(table) + 2] = last + item[:1]
        out += item
        last = item
        if (len(table) + 2) >> width and width < 12:
            width += 1


def raw(data, at):
    """The raw of msgpack that begins there, and where it ends."""
    first = data[at]
    if 0xA0 <= first <= 0xBF:
        size, at = first & 31, at + 1
    elif first == 0xDA:
        size, at = struct.unpack_from(">H", data, at + 1)[0], at + 3
    else:
        size, at = struct.unpack_from(">I", data, at + 1)[0], at + 5
    return data[at:at + size], at + size


def messages(packet, packed):
    """The messages of a datagram or stream; compressed bytes are added to `packed`."""
    if packet[0] == 12:
        yield from messages(packet[5:], packed)
    elif packet[0] == 9:
        body = raw(packet, packet.index(b"\xa3Buf") + 4)[0]
        packed.append(body)
        yield from messages(lzw_unpack(body), packed)
    elif packet[0] == 7:
        at = 2 + 2 * packet[1]
        for size in struct.unpack_from(f">{packet[1]}H", packet, 2):
            yield from messages(packet[at:at + size], packed)
            at += size
    else:
        yield packet


def serf_messages(message):
    if message[0] == 8:
        yield message[1:]
    if message[0] == 4:
        yield raw(message, message.index(b"\xa4Meta") + 5)[0]
    if message[0] == 2 and message[9:11] != b"\x81\xc0" and b"\x01\x84" in message:
        yield b"\x11" + raw(message, message.index(b"\xa7Payload") + 8)[0]
    if message[0] == 6:
        yield b"\x02" + message[message.index(b"\x86\xaaEventLTime"):]


def main():
    source, target = (pathlib.Path(path) for path in sys.argv[1:3])
    corpora = {name: {} for name in ("lzw", "seal", "memberlist_packet", "memberlist_stream", "serf")}

    def add(name, data):
        corpora[name].setdefault((data[:6], len(data) // 64), data)

    for kind, data in records(source / "plain.bin"):
        packed = []
        add("memberlist_packet" if kind == b"d" else "memberlist_stream", data)
        for message in messages(data, packed):
            if kind == b"d":
                add("memberlist_packet", message)
            else:
                add("memberlist_stream", message)
            for serf in serf_messages(message):
                add("serf", serf)
        for body in packed:
            add("lzw", body)
    for kind, data in records(source / "encrypted.bin"):
        corpora["seal"].setdefault((kind, len(data) // 128), data)
    for name, files in corpora.items():
        directory = target / name
        directory.mkdir(parents=True, exist_ok=True)
        for i, data in enumerate(files.values()):
            (directory / f"recorded-{i:02d}").write_bytes(data)


if __name__ == "__main__":
    main()
