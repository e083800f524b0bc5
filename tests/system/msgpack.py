"""As much msgpack as Consul's RPC needs: dicts, lists, strings and bytes (one raw family), integers,
booleans, None, floats. What is read comes back as bytes; decode() tells where the value ended."""
import struct


class Short(Exception):
    """There are not enough bytes yet."""


def encode(value):
    if value is None:
        return b"\xc0"
    if value is True or value is False:
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        if 0 <= value <= 0x7f or -32 <= value < 0:
            return struct.pack("b" if value < 0 else "B", value)
        return b"\xcf" + struct.pack(">Q", value) if value > 0 else b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        n = len(value)
        head = struct.pack("B", 0xa0 | n) if n < 32 else b"\xdb" + struct.pack(">I", n)
        return head + value
    if isinstance(value, (list, tuple)):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(encode(v) for v in value)
    if isinstance(value, dict):
        pairs = b"".join(encode(k) + encode(v) for k, v in value.items())
        return b"\xdf" + struct.pack(">I", len(value)) + pairs
    raise TypeError(type(value))


def _take(data, at, n):
    if at + n > len(data):
        raise Short()
    return bytes(data[at:at + n]), at + n


def _number(data, at, n, signed=False):
    raw, at = _take(data, at, n)
    return int.from_bytes(raw, "big", signed=signed), at


def _list(data, at, n):
    out = []
    for _ in range(n):
        value, at = decode(data, at)
        out.append(value)
    return out, at


def _map(data, at, n):
    out = {}
    for _ in range(n):
        key, at = decode(data, at)
        out[key.decode() if isinstance(key, bytes) else key], at = decode(data, at)
    return out, at


def decode(data, at=0):
    """The value at `at` and where the next one begins; Short when it is not all there."""
    tag, at = _number(data, at, 1)
    if tag <= 0x7f or tag >= 0xe0:
        return (tag if tag <= 0x7f else tag - 256), at
    if tag <= 0x8f:
        return _map(data, at, tag & 15)
    if tag <= 0x9f:
        return _list(data, at, tag & 15)
    if tag <= 0xbf:
        return _take(data, at, tag & 31)
    if tag in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[tag], at
    if 0xc4 <= tag <= 0xc6 or 0xd9 <= tag <= 0xdb:
        n, at = _number(data, at, 1 << (tag - (0xc4 if tag <= 0xc6 else 0xd9)))
        return _take(data, at, n)
    if tag == 0xcb:
        raw, at = _take(data, at, 8)
        return struct.unpack(">d", raw)[0], at
    if 0xcc <= tag <= 0xcf:
        return _number(data, at, 1 << (tag - 0xcc))
    if 0xd0 <= tag <= 0xd3:
        return _number(data, at, 1 << (tag - 0xd0), signed=True)
    if tag in (0xdc, 0xdd, 0xde, 0xdf):
        n, at = _number(data, at, 2 << (tag & 1))
        return (_list if tag <= 0xdd else _map)(data, at, n)
    raise ValueError("msgpack tag 0x%02x" % tag)
