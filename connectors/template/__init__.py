"""What `vdw new connector` writes: a package with a connector that works, to be turned into one of another engine."""
