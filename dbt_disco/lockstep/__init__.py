"""`--lockstep`: one program on two engines, each with an address space of its own, until they differ.

The first engine leads: it runs a stretch – a block, or as much translated code as runs between two looks at
the instruction limit –, then the second does as many instructions, and registers must be equal. System
calls are made once, for the leader; before each, memory must be equal, and what it changes is copied to the
second address space.
"""
