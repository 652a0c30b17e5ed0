"""`--trace`: what a program does, instruction by instruction, block by block, or access by access.

The program runs on the engine that was chosen, which stops exactly after each instruction (block) while
tracing is on, and runs at its own speed while it is off.
"""
