"""Segmentation as a service: fitted in a process of its own, kept, and used on new customers at once."""
