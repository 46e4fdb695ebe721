"""Warm processes that fork one confined child a job, and what parent and child say to each other."""
