"""The language of mapping tables: which tensors of a source give which tensors of a result, and how.

    document      TOML, JSON or YAML -> data (plain: which they may be), and the line of each rule
    patterns/     both sides of a rule: names with holes, regular expressions of a bounded kind
    verbs/        what a rule does (transpose, split, concat, ...), its inverse, and the lazy tensors that come of it
    rule, table   one rule; a file of them: `variables`, what it includes (includes), and all that is wrong with it
    plan          rules and named tensors -> moves, or one error that lists everything that does not fit
    select        tables, averages and globs -> the tensors of a result; naming: the names that a table speaks of
    inverse       the table that goes back, its rules in an order that keeps them apart (order)
    spell         a table as text again
    presets       tables that come with the package (shipped); recognition: which of them a source is made for
    config        the config.json of a result; beside: its other files, and what its copies tell of them (told)

`converters.drafting` proposes tables. docs/tables.md is the user's page, `schema.json` the grammar for editors.
"""
