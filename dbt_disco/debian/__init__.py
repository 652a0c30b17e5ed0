"""Debian as a guest: fetched from its archive, made into an initramfs and a root disk without root."""
