"""Drops exports of a Wasm module: `trim_exports.py IN OUT`.

The SDK exports every callback of the ABI, and a proxy enters the VM for each that it finds, used or not. Five entries a
request less are a third of what any Wasm filter costs. The names below are callbacks that this filter leaves to their
defaults; the module works untrimmed as well.
"""

import sys

UNUSED = {
    "proxy_on_done",
    "proxy_on_log",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
}
EXPORT_SECTION = 7


def read_leb(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def leb(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def trim_section(body: bytes) -> bytes:
    count, at = read_leb(body, 0)
    kept = []
    for _ in range(count):
        start = at
        length, at = read_leb(body, at)
        name, at = body[at:at + length].decode(), at + length
        _, at = read_leb(body, at + 1)
        if name not in UNUSED:
            kept.append(body[start:at])
    return leb(len(kept)) + b"".join(kept)


def trim(module: bytes) -> bytes:
    if module[:4] != b"\0asm":
        sys.exit("trim_exports: the input is no Wasm module")
    out, at = bytearray(module[:8]), 8
    while at < len(module):
        kind = module[at]
        length, start = read_leb(module, at + 1)
        at = start + length
        body = module[start:at]
        if kind == EXPORT_SECTION:
            body = trim_section(body)
        out += bytes([kind]) + leb(len(body)) + body
    return bytes(out)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as source:
        trimmed = trim(source.read())
    with open(sys.argv[2], "wb") as target:
        target.write(trimmed)
