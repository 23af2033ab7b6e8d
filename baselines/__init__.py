"""Single-file references of the methods; they share the environments with the package."""

from mppi_zoo.compute.threads import wait_passively

wait_passively()  # before a reference imports torch
