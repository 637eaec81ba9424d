"""Taking part in federations, and running whole ones on one machine.

`participant` is the loop of one site, `site` what the site brings along, `joining` makes both from a settings file;
`runner` runs many participants with a server.
"""
