"""Tables of rules for families of published checkpoints, a TOML file each; `mapping.presets` finds them."""
