"""What stands on both sides of a rule: names with holes, and regular expressions of a bounded kind.

pattern       a name with holes, `layer_{n:int}/kernel`: what it matches, and the names that it makes
hole          one hole: its kind (number, text, path, one of some words) and its arithmetic
regex         an expression -> a tree (regex_tree) -> a program (regex_program)
matcher       the one way to run such a program, in a bounded number of steps
overlap       names that two patterns both match
"""
