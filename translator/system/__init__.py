"""The privileged architecture as native code: address translation, exceptions, the TLBs, time, control.

Everything here is LLVM IR that tier 0 and tier 1 share. Python is entered only for what a `Stop` names.
"""
