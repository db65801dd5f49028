"""Compilers, found through entry points of the group `edgepack.compilers`, run in processes of their own."""
