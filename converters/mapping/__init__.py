"""The language of mapping tables: which tensors of a source give which tensors of a result, and how.

    document      TOML, JSON or YAML -> plain data, and the line of each rule
    pattern       names with holes (`hole`): `layer_{n:int}/kernel`; regex: regular expressions of a bounded kind
    matcher       what both are compiled to (regex_tree, regex_program), and the one way to run it
    verbs         what a rule does (transpose, split, concat, ...) and its inverse; lazy: the tensors that come of it
    rule, table   one rule; a file of them: includes, `variables`, and all that is wrong with it
    plan          rules and named tensors -> moves, or one error that lists everything that does not fit
    select        tables, averages and globs -> the tensors of a result
    inverse       the table that goes back, its rules in an order (order, overlap) that keeps them apart
    spell         a table as text again
    presets       tables that come with the package; recognition: which of them a source is made for
    config        what is written beside the result: config.json, a vocabulary

`converters.drafting` proposes tables. docs/tables.md is the user's page, `schema.json` the grammar for editors.
"""
