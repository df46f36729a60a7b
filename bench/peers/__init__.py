"""The programs that Limpid is compared with, each a script of its own for an environment of its own."""
