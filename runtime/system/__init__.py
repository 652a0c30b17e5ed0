"""One vCPU of a virtual machine: privileged state, physical memory behind pmap, the run loop."""
