"""Many virtual machines on one machine of several nodes: their processors' time, their lives, and how to reach them."""
