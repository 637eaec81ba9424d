"""What `make sbom` and `make audit` run; no part of the wheel."""
