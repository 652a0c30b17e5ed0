import struct
import sys
import zlib

data = sys.stdin.buffer.read()
packed = zlib.compress(data, 9)
print(len(packed), zlib.crc32(packed), zlib.decompress(packed) == data)
print(struct.pack(">dfq", 1.1, 2.5, -3).hex())
