"""Programs that measure the gateway and its parts; README.md lists them."""
