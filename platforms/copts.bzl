"""Warnings for this project's own code. In `copts`, so that nothing of it reaches a dependent."""

COPTS = [
    "-Wall",
    "-Wextra",
    "-Wimplicit-fallthrough",
    "-Wnon-virtual-dtor",
    "-Wshadow-uncaptured-local",
    "-Wthread-safety",
    "-Wvla",
]
