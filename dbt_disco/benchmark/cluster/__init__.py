"""Measurements of many virtual machines on one machine."""
