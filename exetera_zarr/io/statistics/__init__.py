"""Files of SPSS, Stata and SAS, by pyreadstat: `reading` and `writing`, and what both know.

`times` has how these packages count time, and `variables` decides which field a variable becomes.
"""
