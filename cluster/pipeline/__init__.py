"""Pipelines: a YAML file of steps, each a command of the CLI, made once for each content of what it depends on."""
