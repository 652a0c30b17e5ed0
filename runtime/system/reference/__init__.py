"""The reference engine in system mode: the privileged architecture on Python integers, one instruction at a time.

It is the oracle of native code, so it has no tables: every access looks through segments and TLBs anew. The
second-level TLB is modelled entry by entry, as what it holds decides which refill exceptions a guest sees.
"""
