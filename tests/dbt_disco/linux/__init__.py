"""Tests of the Linux personality."""
