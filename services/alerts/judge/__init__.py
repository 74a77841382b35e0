"""Judgement of rules: observations in, verdict out. No I/O and no clock; the time is a parameter."""
