"""Disk images, and how several virtual machines share them."""
