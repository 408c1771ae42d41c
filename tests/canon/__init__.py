"""Tests of the canon."""
