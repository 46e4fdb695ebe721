"""Carries out TTIR on the CPU: text in, loads and stores on NumPy arrays out; without Triton."""
