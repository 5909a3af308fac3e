"""What the console asks the gateway over HTTP. Its files are served by `web.files`."""
