"""The commands, one module each: `add_parser` declares its options, `execute` carries it out.

A module is imported only when its command is the one given.
"""
