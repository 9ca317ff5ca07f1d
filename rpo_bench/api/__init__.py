"""The Python interface of ``import rpo_bench``, on which the command line is built."""
