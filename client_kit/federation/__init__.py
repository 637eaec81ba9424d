"""Taking part in federations, and running whole ones on one machine.

`participant` is the loop of one site, `site` makes it from a settings file, `runner` runs many sites with a server.
"""
