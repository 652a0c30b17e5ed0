import hashlib
import sys

data = sys.stdin.buffer.read()
for name in ("md5", "sha1", "sha256", "sha3_256", "blake2b", "blake2s"):
    print(name, hashlib.new(name, data).hexdigest())
