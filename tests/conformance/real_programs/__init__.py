"""Debian's own mipsel programs, run as a user would and compared with literals and with qemu-mipsel."""
